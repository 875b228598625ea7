"""Which right each address of the admin port needs, who has it, and in whose name one acts.

An address that is not listed needs ``read`` for GET and ``admin`` for the rest: one that somebody
forgets here is shut, not open.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from sidecar.guard import Refusal, bearer, unauthorized
from sidecar.keyring import ENVIRONMENT, Keyring
from sidecar.tokenfile import (
    ADMIN,
    APPROVE,
    LABEL,
    OPERATE,
    READ,
    RESERVED,
    Key,
    Scope,
)

OPEN = None
"""Needs no token: it tells nothing that a port scan does not, or asks for its token itself."""
NEEDS: dict[str, Scope | None] = {
    "GET /livez": OPEN,
    "GET /readyz": OPEN,
    "GET /healthz": OPEN,
    "GET /": OPEN,  # the page alone: what it shows it asks for like anybody else
    "GET /dashboard/{file}": OPEN,  # a browser sends no token for scripts and styles
    "POST /v1/labels": OPEN,  # sidecar/labelport.py asks: it counts whom it refuses
    "GET /v1/labels/wanted": OPEN,  # likewise
    "POST /v1/routes/{name}/{act}": OPERATE,  # or what ACTS says, or ADMIN for breaking the glass
    "POST /v1/models": OPERATE,
    "POST /-/reload": ADMIN,
}
ACTS: dict[str, Scope] = {"approve": APPROVE}
"""Acts that need another right than ``operate``."""
MAX_WHO_CHARS = 200
REMEDY: dict[Scope, str] = {
    LABEL: "use one with the scope label",
    READ: "use one with the scope read",
    OPERATE: "use one with the scope operate",
    APPROVE: "use one with the scope approve",
    ADMIN: "use one with the scope admin",
}


def check_address(request: web.Request, keyring: Keyring) -> None:
    """Refuse ``request`` unless its sender may ask for what is at its address.

    What is at no address, or not by this method, is refused by others: nothing is behind it.
    """
    if request.match_info.http_exception is not None:
        return
    scope = needed(request)
    if scope is None or not keyring.needs(scope):
        return
    if "act" in request.match_info:  # only the body says whether the glass is to be broken
        check_scope(request, keyring, scope, ADMIN)
    else:
        check_scope(request, keyring, scope)


def needed(request: web.Request) -> Scope | None:
    """Return the right that the address of ``request`` needs; None if none."""
    method = "GET" if request.method == "HEAD" else request.method
    resource = request.match_info.route.resource
    address = "" if resource is None else resource.canonical
    scope = NEEDS.get(f"{method} {address}", READ if method == "GET" else ADMIN)
    return ACTS.get(request.match_info.get("act", ""), scope)


def check_scope(request: web.Request, keyring: Keyring, *scopes: Scope) -> Key:
    """Return the key with which ``request`` has one of the rights ``scopes``.

    Refusal otherwise: the same for no token, a wrong, an expired and a withdrawn one. Where nobody
    could have the right it says so, and what to do.
    """
    key = keyring.find(bearer(request))
    if key is None:
        if not any(keyring.gives(scope) for scope in scopes):
            raise _nobody(scopes[0])
        raise unauthorized()
    if not any(key.may(scope) for scope in scopes):
        raise Refusal(403, f"the token {key.name!r} lacks the right to do this", REMEDY[scopes[0]])
    return key


def actor(key: Key, keyring: Keyring, claimed: str) -> str:
    """Return in whose name the holder of ``key`` acts, who says to be ``claimed``.

    A token of the file has a name, and what its holder says changes nothing. The environment's
    names nobody: the claim is written down, as a claim where tokens have names.
    """
    if not key.is_shared:
        return key.name
    if claimed.lower() in RESERVED:
        raise Refusal(400, f"{claimed!r} is a name of ours, not of a person", "say your own name")
    return f"{claimed} ({ENVIRONMENT})" if keyring.has_file else claimed


def binding_fault(host: str, tokens: Path | None, environment: Mapping[str, str]) -> str:
    """Return why the admin port must not be bound to ``host``; empty if it may. Pure."""
    if is_loopback(host) or tokens is not None or environment.get(ENVIRONMENT):
        return ""
    return (
        f"admin.listen is {host}, where other machines reach it, and no token is declared: make "
        "one with `understudy token new --name NAME --scopes read,operate`, put its line into a "
        "file and name that in the routing file (`admin: {tokens: FILE}`), or set "
        f"{ENVIRONMENT}; or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches ``host``.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "box", "")]
    [True, True, True, False, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _nobody(scope: Scope) -> Refusal:
    remedy = f"make a token: understudy token new --name NAME --scopes {scope}"
    if scope in (OPERATE, ADMIN, READ):
        remedy += f"; or start Understudy with a secret in {ENVIRONMENT}"
    return Refusal(403, f"no token has the right {scope!r}, so nobody may do this", remedy)
