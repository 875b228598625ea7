"""The file with the keys that sign exposure tokens: checked, and read again when it changes.

Blocks on the disk: call it from a thread, or before there is a loop. Nothing of a secret is ever
in an error or a log line.
"""

import os
import re
import stat
from base64 import urlsafe_b64decode
from pathlib import Path

from router.token import Key

MAX_BYTES = 16 * 1024
MAX_KEYS = 16
SECRET_BYTES = (32, 64)
"""As many as the hash gives, at least (RFC 2104 section 3), and as its block takes, at most."""
FORBIDDEN_MODE = 0o037
"""Others may nothing, the group may read: so are secrets mounted for a process that is not root."""

_LINE = re.compile(rb"([A-Za-z0-9_-]{1,16})[ \t]+([A-Za-z0-9+/_-]{1,88}={0,2})")

Stat = tuple[int, int, int, int]
"""Inode, size in bytes, mode, time of the last change in ns."""


class KeyFileError(Exception):
    """The file is at fault; the message says how, without what is in it."""


def load(path: str) -> tuple[Key, ...]:
    """Return the keys in ``path``, the one that signs first; KeyFileError."""
    try:
        with Path(path).open("rb") as file:
            _check_mode(os.fstat(file.fileno()))
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(error.strerror or str(error)) from error
    return parse(raw)


def parse(raw: bytes) -> tuple[Key, ...]:
    """Return the keys of a file's bytes, in their order; KeyFileError. Pure."""
    if len(raw) > MAX_BYTES:
        raise KeyFileError(f"more than {MAX_BYTES} bytes")
    keys: dict[str, Key] = {}
    for number, line in enumerate(raw.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        key = _key(text, number)
        if key.id in keys:
            raise KeyFileError(f"line {number}: a key id for the second time")
        keys[key.id] = key
    if not 1 <= len(keys) <= MAX_KEYS:
        raise KeyFileError(f"{len(keys)} keys in it, 1 to {MAX_KEYS} are wanted")
    return tuple(keys.values())


def _key(text: bytes, number: int) -> Key:
    match = _LINE.fullmatch(text)
    if match is None:
        raise KeyFileError(f"line {number}: not a key id and a secret in base64")
    try:
        encoded = match[2].rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_"))
        secret = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    except ValueError as error:
        raise KeyFileError(f"line {number}: the secret is not base64") from error
    least, most = SECRET_BYTES
    if not least <= len(secret) <= most:
        raise KeyFileError(f"line {number}: a secret of {len(secret)} bytes, not {least} to {most}")
    return Key(match[1].decode(), secret)


def _check_mode(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileError("not a file")
    if found.st_mode & FORBIDDEN_MODE:
        raise KeyFileError(
            f"mode {stat.S_IMODE(found.st_mode):04o}: others may use it; 0600 or 0440 is wanted"
        )


class KeyFile:
    """Follows one file. The last good keys stay when it is broken or gone."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.keys: tuple[Key, ...] = ()
        """The first one signs, all verify; none before the file was good once."""
        self.error = ""
        """Why the file as it is now is not in use; empty when it is."""
        self._seen: Stat | None = None
        self._used: Stat | None = None

    def look(self, *, at_once: bool = True) -> bool:
        """Read the file if it has changed; return whether that was so.

        Not ``at_once``: a change is taken at the second look that finds it the same, so that keys
        which are just being written are not signed with by half.
        """
        now = _stat(self.path)
        is_at_rest, self._seen = at_once or now == self._seen, now
        if now == self._used or not is_at_rest:
            return False
        try:
            self.keys, self.error = load(self.path), ""
        except KeyFileError as error:
            self.error = str(error)
        self._used = now
        return True


_GONE: Stat = (0, 0, 0, 0)


def _stat(path: str) -> Stat:
    try:
        found = os.stat(path)  # follows links: a mounted secret changes by changing a link
    except OSError:
        return _GONE
    return found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns
