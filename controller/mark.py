"""How far a state has come, written beside it: a state that is behind its mark has lost something.

SQLite cannot tell a log that was cut off from one that ends there, nor an old copy of a file from
the file. The mark counts commits. It is written after each, without waiting for the disk: so it is
never ahead of what is durable, and after a power cut it may be behind, which proves nothing.
"""

import os
from pathlib import Path

import structlog

SUFFIX = ".mark"
_DIGITS = 20

log = structlog.get_logger(__name__)


def mark_path(database: Path) -> Path:
    """Return where the mark of ``database`` is."""
    return database.with_name(database.name + SUFFIX)


def read_mark(database: Path) -> int:
    """Return the number of commits that ``database`` had at least; 0 if nothing is known."""
    try:
        return int(mark_path(database).read_bytes())
    except (OSError, ValueError):
        return 0


class Mark:
    """Owner: the connection that writes. Never raises for what the disk says."""

    def __init__(self, database: Path) -> None:
        self._path = mark_path(database)
        self._fd = -1

    def note(self, commits: int) -> None:
        """Write that ``commits`` are durable."""
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._fd, b"%0*d" % (_DIGITS, commits), 0)
        except OSError as error:
            log.warning("the mark of the state was not written", error=str(error))

    def close(self) -> None:
        """Close the file; the mark stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
