"""Asks the admin port for JSON, for the command line. Blocking; standard library only."""

import http.client
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sidecar.admintoken import TOKEN

DEFAULT_ADMIN = "http://127.0.0.1:8081"
TIMEOUT_S = 10.0
MAX_BYTES = 64 * 1024 * 1024
"""A page of audit records with all their evidence stays far below it; chosen."""


class AdminUnreachable(Exception):
    """Nothing that speaks the admin API answers there; the message says what to do next."""


class AdminRefused(Exception):
    """The admin port answered, with an error status; the message quotes it."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def get(
    admin: str, path: str, token: str | None = None, *, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """Return the JSON object at ``path`` of the admin port ``admin`` (http://HOST:PORT).

    ``token`` is shown if it is not empty; None takes what the environment has (UNDERSTUDY_TOKEN).
    Does not go through proxies that the environment names: the admin port is a local address.
    """
    token = os.environ.get(TOKEN, "") if token is None else token
    return _ask(admin, "GET", path, None, token, timeout_s)


def post(admin: str, path: str, content: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Send ``content`` as JSON and return the object that is answered; never sent a second time."""
    return _ask(admin, "POST", path, json.dumps(content).encode(), token, TIMEOUT_S)


def _ask(
    admin: str, method: str, path: str, body: bytes | None, token: str, timeout_s: float
) -> dict[str, Any]:
    host, port = address(admin)
    headers = {"accept": "application/json"}
    if body is not None:
        headers["content-type"] = "application/json"
    if token:
        headers["authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read(MAX_BYTES + 1)
    except (OSError, http.client.HTTPException) as exc:
        raise AdminUnreachable(
            f"nothing answers at {admin} ({exc or type(exc).__name__}). Is `understudy run` "
            "running? Its admin address is `admin.listen` in the routing file: --admin http://..."
        ) from exc
    finally:
        connection.close()
    return _json(admin, path, response.status, answer)


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
        raise AdminRefused(f"{admin}{path} answered {status}: {_said(body)}", status)
    try:
        answer = json.loads(body)
    except ValueError as exc:
        raise AdminUnreachable(f"{admin} does not speak JSON: is it the admin port?") from exc
    if not isinstance(answer, dict):
        raise AdminUnreachable(f"{admin} is not Understudy's admin port: no object at {path}")
    return answer


def _said(body: bytes) -> str:
    """Return what a refusal says: the error and what to do, or its first bytes as they came."""
    try:
        content = json.loads(body)
        error, remedy = str(content["error"]), str(content.get("remedy", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return body[:300].decode("utf-8", "replace")
    return f"{error}; {remedy}" if remedy else error
