"""A NATS .creds file: who we are (a JWT that the broker's operator signed), and the key to show it.

The broker sends a nonce and wants it signed with the Ed25519 key whose seed is in the file. Format:
NATS nkeys, base32 of two prefix bytes, the 32 bytes of the seed and a CRC-16 (xmodem), little end
first. Needs PyNaCl, which comes with the extra ``nats``.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 64 * 1024
_BLOCK = re.compile(
    rb"-{3,}\s*BEGIN (?P<what>NATS USER JWT|USER NKEY SEED)\s*-{3,}\s+(?P<text>\S+)\s+-{3,}\s*END"
)
_SEED, _USER = 18 << 3, 20 << 3


class CredentialsError(Exception):
    """The file cannot be read, or is not one of credentials. Never quotes what is in it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a .creds file holds."""

    jwt: bytes
    seed: bytes = field(repr=False)
    """32 bytes."""

    def signer(self) -> Callable[[str], bytes]:
        """Return what signs a broker's nonce, in base64. ImportError without PyNaCl."""
        from nacl.signing import SigningKey

        key = SigningKey(self.seed)
        return lambda nonce: base64.b64encode(key.sign(nonce.encode()).signature)


def read_credentials(path: Path) -> Credentials:
    """Read a .creds file; CredentialsError if it is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES)
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror or error}") from error
    found = {match["what"]: match["text"] for match in _BLOCK.finditer(raw)}
    if len(found) != 2:
        raise CredentialsError(f"{path}: not a .creds file with a user's JWT and the key's seed")
    try:
        return Credentials(found[b"NATS USER JWT"], seed_of(found[b"USER NKEY SEED"]))
    except ValueError as error:
        raise CredentialsError(f"{path}: {error}") from error


def seed_of(text: bytes) -> bytes:
    """Return the 32 bytes of a user's seed (``SU...``); ValueError if it is none."""
    try:
        raw = base64.b32decode(text + b"=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("the seed is not base32") from error
    body, checksum = raw[:-2], raw[-2:]
    if len(body) != 34 or crc16(body) != int.from_bytes(checksum, "little"):
        raise ValueError("the seed is damaged")
    if body[0] & 0xF8 != _SEED or (body[0] & 7) << 5 | body[1] >> 3 != _USER:
        raise ValueError("the seed is not a user's (SU...)")
    return body[2:]


def crc16(data: bytes) -> int:
    """Return the CRC-16 (xmodem: polynomial 0x1021, from 0).

    >>> hex(crc16(b"123456789"))
    '0x31c3'
    """
    return binascii.crc_hqx(data, 0)
