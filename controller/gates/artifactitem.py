"""One thing inside an artifact: a file, or a member of an archive, however deep. Pure."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO


class TooMuch(Exception):
    """The artifact is larger than what may be read of it."""


@dataclass(slots=True, eq=False)
class Budget:
    """What may still be read and unpacked; owned by one scan."""

    left_bytes: int
    left_items: int
    read_bytes: int = 0

    def spend(self, size_bytes: int) -> None:
        """Count bytes; TooMuch when there were no more of them to spend."""
        self.read_bytes += size_bytes
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise TooMuch("more bytes, read and unpacked, than the limit")

    def count(self) -> None:
        self.left_items -= 1
        if self.left_items < 0:
            raise TooMuch("more files and members than the limit")


class Metered(io.RawIOBase):
    """A stream whose reads are paid for: what an archive unpacks to is counted as it comes out."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        taken = self._stream.read(len(buffer))
        self._budget.spend(len(taken))
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Item:
    """A name, and a way to read the bytes from their beginning as often as it takes."""

    path: str
    """Inside the artifact; a member of an archive stands after ``!``."""
    open: Callable[[], BinaryIO]
    """The caller closes what it returns; it need not be seekable."""
    is_executable: bool = False
    """Whether a bit says so."""
    depth: int = 0
    """Archives around it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that could run."""

    path: str
    what: str
    level: str
    """``dangerous``, ``suspicious`` or ``innocuous``."""
    imported: str = ""
    """``module.name`` that a pickle or a layer asks for; empty for what is executable itself."""
    is_dotted: bool = False
    """Whether the name has dots of its own: then a module's wildcard does not cover it."""
