"""Files that an operator names in the routing file: read within bounds, digested, dated."""

import hashlib
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TEXT_BYTES = 64 << 20
"""The SBOM of an operating system's image has about ten million bytes. Chosen."""
AHEAD_S = 86_400.0
"""A file may be from our tomorrow: another zone, another clock. Not from next week."""


class ForeignFileError(Exception):
    """The file is not there, too long, or not of its form; the message says which."""


def read(path: Path) -> bytes:
    """Return a file's bytes; ForeignFileError when it is no file, or longer than TEXT_BYTES."""
    try:
        with open(path, "rb", opener=_patient) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ForeignFileError(f"{path.name} is not a file")
            raw = file.read(TEXT_BYTES + 1)
    except OSError as exc:
        raise ForeignFileError(f"{path.name} cannot be read: {exc.strerror}") from exc
    if len(raw) > TEXT_BYTES:
        raise ForeignFileError(f"{path.name} has more than {TEXT_BYTES} bytes")
    return raw


def _patient(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would keep us waiting


def as_json(raw: bytes, name: str) -> Any:
    """Return the document; ForeignFileError when it is none."""
    try:
        return json.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as exc:
        raise ForeignFileError(f"{name} is not JSON: {exc}") from exc


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def age_s(stamp: str, now_s: float) -> float:
    """Return how long before ``now_s`` (seconds since 1970) an RFC 3339 time was.

    ValueError when it is no time, or one that is still to come.
    """
    at = datetime.fromisoformat(stamp)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    age = now_s - at.timestamp()
    if age < -AHEAD_S:
        raise ValueError(f"{stamp} is still to come")
    return max(0.0, age)


def days(seconds: float) -> str:
    """Return an age in words: ``3.2 days``."""
    return f"{seconds / 86_400.0:.1f} days"
