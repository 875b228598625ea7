"""Asks the admin port for JSON, for the command line. Blocking; standard library only."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

DEFAULT_ADMIN = "http://127.0.0.1:8081"
TIMEOUT_S = 10.0
MAX_BYTES = 64 * 1024 * 1024
"""A page of audit records with all their evidence stays far below it; chosen."""


class AdminUnreachable(Exception):
    """Nothing that speaks the admin API answers there; the message says what to do next."""


class AdminRefused(Exception):
    """The admin port answered, with an error status; the message quotes it."""


def get(admin: str, path: str) -> dict[str, Any]:
    """Return the JSON object at ``path`` of the admin port ``admin`` (http://HOST:PORT).

    Does not go through proxies that the environment names: the admin port is a local address.
    """
    host, port = address(admin)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as exc:
        raise AdminUnreachable(
            f"nothing answers at {admin} ({exc or type(exc).__name__}). Is `understudy run` "
            "running? Its admin address is `admin.listen` in the routing file: --admin http://..."
        ) from exc
    finally:
        connection.close()
    return _json(admin, path, response.status, body)


def address(admin: str) -> tuple[str, int]:
    """Return host and port of http://HOST:PORT; AdminUnreachable if it is something else."""
    try:
        parts = urlsplit(admin)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None or parts.scheme != "http" or parts.path not in ("", "/"):
        raise AdminUnreachable(f"--admin must be http://HOST:PORT, got {admin!r}")
    return host, port


def _json(admin: str, path: str, status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        said = body[:300].decode("utf-8", "replace")
        raise AdminRefused(f"{admin}{path} answered {status}: {said}")
    try:
        answer = json.loads(body)
    except ValueError as exc:
        raise AdminUnreachable(f"{admin} does not speak JSON: is it the admin port?") from exc
    if not isinstance(answer, dict):
        raise AdminUnreachable(f"{admin} is not Understudy's admin port: no object at {path}")
    return answer
