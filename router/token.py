"""Exposure tokens: what a served request must tell us again beside its label, signed. Pure.

``v1.<key id>.<payload>.<mac>``, all printable ASCII; docs/labels/token.md has it byte by byte. The
payload can be read by anybody and made by nobody who lacks the key. It crosses two floors, so
this is, beside observation.py, a file of the router that the floors above may import.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

HEADER = b"x-understudy-exposure"
VERSION = "v1"
MAX_CHARS = 1023
"""Of a token; the parts' own limits keep it below (tests/router/test_token.py adds them up)."""
MAX_VALUE_BYTES = 256
"""A prediction whose canonical text is longer goes in by its SHA-256. Chosen: a class, a score or
a dozen of numbers fit."""
MAC_BYTES = 16
"""HMAC-SHA-256 cut to its first half, the least that RFC 2104 section 5 recommends."""

Kind = Literal["value", "digest", "none", "failed", "cut"]
"""What a token knows of the answer. value: its prediction. digest: its prediction's SHA-256. none:
it came, and holds no prediction. failed: 5xx, none at all, or not asked because the variant
rested. cut: for a reason of ours it was not looked at (a stream, too large)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One secret, and the name by which tokens say that they were signed with it."""

    id: str
    """1 to 16 of A-Z a-z 0-9 - _."""
    secret: bytes = field(repr=False)
    """32 to 64 bytes."""
    _states: "tuple[hashlib._Hash, hashlib._Hash]" = field(init=False, repr=False, compare=False)
    """SHA-256 that has read the inner and the outer pad (RFC 2104 section 2): a copy of each costs
    0.7 us for a token, where hmac.digest makes them anew in 4.7 and an HMAC's copy takes 2.7."""

    def __post_init__(self) -> None:
        block = self.secret.ljust(64, b"\0")
        pads = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
        inner, outer = map(hashlib.sha256, pads)
        object.__setattr__(self, "_states", (inner, outer))

    def mac(self, signed: bytes) -> bytes:
        """Return HMAC-SHA-256 of ``signed``, cut to MAC_BYTES."""
        inner, outer = (state.copy() for state in self._states)
        inner.update(signed)
        outer.update(inner.digest())
        return outer.digest()[:MAC_BYTES]


class Served(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one token says: a unit was served a variant. The order is the payload's."""

    route: Annotated[str, Meta(max_length=63)]
    experiment: Annotated[str, Meta(max_length=96)]
    request_id: Annotated[str, Meta(min_length=1, max_length=128)]
    unit: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """As in Exposure."""
    variant: Annotated[str, Meta(max_length=63)]
    """Who was *assigned*: it stays when the champion answered instead."""
    propensity: Annotated[float, Meta(gt=0.0, lt=1.0)]
    """P(challenger) with which the unit was assigned."""
    table_version: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    at_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Wall clock at dispatch, nanoseconds since the epoch."""
    kind: Kind
    prediction: Raw
    """Of a value: its canonical JSON text. Of a digest: SHA-256 of that text, 64 hex digits in
    quotes. Else null."""

    @property
    def text(self) -> str:
        """The prediction as JSON text."""
        return bytes(self.prediction).decode()


NULL = Raw(b"null")
_decoder = msgspec.json.Decoder(Served)
_encode = msgspec.json.encode


def described(text: str | None) -> tuple[Kind, Raw]:
    """Return how a prediction goes into a token; None is an answer without one."""
    if text is None:
        return "none", NULL
    raw = text.encode()
    if len(raw) <= MAX_VALUE_BYTES:
        return "value", Raw(raw)
    return "digest", Raw(b'"%b"' % digest_of(text).encode())


def digest_of(text: str) -> str:
    """Return what stands in a token for a prediction that is too long: hex SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sign(served: Served, key: Key) -> bytes:
    """Return the token of ``served``, for a header."""
    signed = b".".join((VERSION.encode(), key.id.encode(), _to_text(_encode(served))))
    return b"%b.%b" % (signed, _mac(signed, key))


def claims(token: str) -> Served | None:
    """Return what a token says, true or not; None if it is none. Only ``verify`` tells."""
    parts = token.split(".") if token.isascii() and len(token) <= MAX_CHARS else []
    if len(parts) != 4 or parts[0] != VERSION:
        return None
    try:
        return _decoder.decode(_from_text(parts[2]))
    except (ValueError, RecursionError):  # msgspec's and binascii's are ValueErrors
        return None


def verify(token: str, keys: Iterable[Key]) -> bool:
    """Whether ``token`` was signed, as it stands, with one of ``keys``."""
    signed, _, mac = token.rpartition(".")
    parts = signed.split(".")
    if not token.isascii() or len(parts) != 3:
        return False
    # The texts are compared and not the bytes: of the last character base64 leaves four bits free.
    return any(
        hmac.compare_digest(_mac(signed.encode(), key), mac.encode())
        for key in keys
        if key.id == parts[1]
    )


def _mac(signed: bytes, key: Key) -> bytes:
    return _to_text(key.mac(signed))


def _to_text(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _from_text(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
