"""Sends a registration to an admin port. Blocking; standard library only."""

import gzip
import http.client
import json
from typing import Any

from sidecar.adminport import AdminRefused, AdminUnreachable, address

PATH = "/v1/models"
ANSWER_S = 3600.0
"""The sidecar reads the whole artifact before it answers: 100 GB in an hour are 28 MB/s."""


def register(admin: str, body: bytes, token: str) -> dict[str, Any]:
    """Return what the admin port says of the registration in ``body``.

    AdminRefused when it is refused, AdminUnreachable when nothing answers: it may then have been
    registered all the same, and sending it again is harmless.
    """
    host, port = address(admin)
    headers = {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "accept": "application/json",
        "authorization": f"Bearer {token}",
    }
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("POST", PATH, gzip.compress(body, 1), headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise AdminUnreachable(
            f"nothing answers at {admin} ({exc or type(exc).__name__}). Is `understudy run` "
            "running? Its admin address is `admin.listen` in the routing file: --admin http://..."
        ) from exc
    finally:
        connection.close()
    return _told(admin, response.status, answer)


def _told(admin: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        content = json.loads(answer)
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except ValueError as exc:
        raise AdminUnreachable(f"{admin} does not speak JSON: is it the admin port?") from exc
    if status not in (200, 201):
        said = f"{content.get('error', status)}; {content.get('remedy', '')}"
        raise AdminRefused(f"{admin}{PATH} answered {status}: {said}")
    return content
