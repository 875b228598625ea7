"""What every request to the admin port must pass: Host, Origin, method, content type and size.

The port is meant for people and machines that can reach it, not for what a browser can be talked
into: a foreign Host (DNS rebinding) and a foreign Origin (cross-site requests) are refused, and
nothing changes state but a POST with a JSON body. Who may do what is in sidecar/permit.py.
"""

import ipaddress
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
BODY_TYPES = frozenset({"application/json"})
LABEL_TYPES = BODY_TYPES | {
    *("application/x-ndjson", "application/ndjson", "application/jsonl"),
    *("application/cloudevents+json", "application/cloudevents-batch+json"),
}
CSP = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    "Server": "understudy",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": CSP,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = structlog.get_logger()
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """An answer that is not the one asked for: what is wrong, and what to do about it."""

    def __init__(
        self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.remedy = remedy
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Access:
    """Under which names this port is asked."""

    bound_host: str
    """As in ``admin: {listen: ...}``."""
    names: frozenset[str] = frozenset()
    """Further host names by which this port is known (UNDERSTUDY_ADMIN_HOSTS), lower case."""

    def knows(self, host: str) -> bool:
        """Tell whether ``host``, without port and in lower case, is a name of this port.

        On a wildcard address every literal address is one: rebinding needs a name.
        """
        if host in LOOPBACK or host in self.names or host == self.bound_host.lower():
            return True
        return _is_address(host) and _is_wildcard(self.bound_host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_wildcard(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def host_name(header: str) -> str:
    """Return the host of a Host header, without port and brackets, in lower case.

    >>> host_name("LocalHost:8081"), host_name("[::1]:8081"), host_name("::1")
    ('localhost', '::1', '::1')
    """
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer. Angle brackets and ampersands are escaped: a browser that sniffs the
    type all the same finds no markup."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, default=str)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    return web.Response(
        text=text + "\n", status=status, headers=headers, content_type="application/json"
    )


def guard(access: Access) -> Middleware:
    """Return the middleware that lets nothing else through and turns errors into JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Answer) -> web.StreamResponse:
        try:
            check_sender(request, access)
            response = await handler(request)
        except Refusal as refusal:
            response = _refuse(refusal)
        except web.HTTPException as error:
            response = _refuse(_translated(error, request))
        except Exception:
            log.exception("admin request failed", method=request.method, path=request.path)
            response = _refuse(Refusal(500, "internal error", "see the log; it has the details"))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return middleware


def check_sender(request: web.Request, access: Access) -> None:
    """Refuse what a browser was talked into, and bodies that are not JSON."""
    header = request.headers.get("Host", "")
    if not access.knows(host_name(header)):
        raise Refusal(
            421,
            "this host name is not one of the admin port",
            "use localhost, the bound address, or add the name to UNDERSTUDY_ADMIN_HOSTS",
        )
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() not in (f"http://{header}".lower(), _https(header)):
        raise Refusal(403, "requests from another site are refused", "send it without Origin")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "requests from another site are refused", "send it from the same site")
    _check_type(request)


def _https(header: str) -> str:
    return f"https://{header}".lower()


def _check_type(request: web.Request) -> None:
    if request.method != "POST" or not request.body_exists:
        return
    allowed = LABEL_TYPES if request.path == "/v1/labels" else BODY_TYPES
    if request.headers.get("Content-Type") is None or request.content_type not in allowed:
        words = " or ".join(sorted(allowed))
        raise Refusal(415, "the body's Content-Type is not JSON", f"send Content-Type: {words}")


def bearer(request: web.Request) -> str:
    """Return the token of ``Authorization: Bearer TOKEN``; empty, which nothing is, without one."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def unauthorized() -> Refusal:
    """Return the one refusal of every token that is not known, and of none at all."""
    return Refusal(
        401,
        "a valid token is needed",
        "send Authorization: Bearer TOKEN",
        {"WWW-Authenticate": "Bearer"},
    )


def _refuse(refusal: Refusal) -> web.Response:
    content = {"error": refusal.error, "remedy": refusal.remedy}
    return reply(content, refusal.status, refusal.headers)


def _translated(error: web.HTTPException, request: web.Request) -> Refusal:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            words = f"{request.method} is not for this address"
            return Refusal(405, words, f"use {allowed}", {"Allow": allowed})
        case web.HTTPNotFound():
            return Refusal(404, "there is nothing at this address", "see GET /v1/status")
        case web.HTTPRequestEntityTooLarge():
            return Refusal(413, "the body is too large", "send it in several requests")
    return Refusal(error.status, error.reason or "refused", "see the documentation")
