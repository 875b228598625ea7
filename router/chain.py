"""Which versions served a request so far: sealed, passed from route to route by who calls them.

Pure: no I/O, no clock. Nobody outside can make or change a set; who has one may send it again.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from router.token import Key

HEADER = b"x-understudy-versions"
VERSION = b"1"
MAX_BYTES = 2048
"""A longer value is not looked at."""
MAX_LINKS = 8
"""Routes in one chain; chosen."""
MAX_AGE_S = 3600
"""A set means nothing afterwards; chosen, far above the time that a chain of calls takes."""
KEY_BYTES = 32


class Link(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One route's lot."""

    route: Annotated[str, Meta(max_length=63)]
    experiment: Annotated[str, Meta(max_length=96)]
    is_challenger: bool
    propensity: Annotated[float, Meta(gt=0.0, lt=1.0)]
    """P(challenger) with which the unit was assigned."""
    unit: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Its hash, as in Exposure."""


class Versions(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The set that one request carries."""

    at_s: Annotated[int, Meta(ge=0)]
    """When the first route answered, wall clock."""
    unit: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Of the first route: what stands for the whole chain."""
    links: Annotated[tuple[Link, ...], Meta(max_length=MAX_LINKS)]
    """In the order in which routes were passed, each once: the latest."""


_decoder = msgspec.msgpack.Decoder(Versions)


def key_of(secret: bytes) -> Key:
    """Return the key that seals with ``secret``, KEY_BYTES long."""
    return Key("chain", secret)


def seal(versions: Versions, key: Key) -> bytes:
    """Return ``versions`` as the field's value."""
    signed = VERSION + b"." + _text(msgspec.msgpack.encode(versions))
    return signed + b"." + _text(key.mac(HEADER + signed))


def opened(value: bytes, key: Key, now_s: float) -> Versions | str:
    """Return the set in the field's value; else ``forged`` or ``old``."""
    signed, _, mac = value.rpartition(b".")
    version, _, text = signed.partition(b".")
    if len(value) > MAX_BYTES or version != VERSION:
        return "forged"
    # The texts are compared and not the bytes: base64 leaves bits of the last character free.
    if not hmac.compare_digest(_text(key.mac(HEADER + signed)), mac):
        return "forged"
    try:
        versions = _decoder.decode(urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    except ValueError:  # sealed by another version of ours
        return "old"
    # A clock that went back makes nothing old: only a set from the future is as suspect.
    return versions if abs(now_s - versions.at_s) <= MAX_AGE_S else "old"


def extended(versions: Versions | None, link: Link, now_s: float) -> Versions:
    """Return the set with ``link`` behind it, in place of an earlier one of the same route.

    One that is full stays as it is.
    """
    if versions is None:
        return Versions(int(now_s), link.unit, (link,))
    others = tuple(one for one in versions.links if one.route != link.route)
    if len(others) >= MAX_LINKS:
        return versions
    return Versions(versions.at_s, versions.unit, (*others, link))


def _text(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
