"""Writes a recording as experiments run, in step with the store: a line is in it if and only if
what it tells is in the evidence.

Each flush goes to the file first; the transaction that it belongs to then also holds how far the
file counts. What a transaction that failed had written is cut off again, and after a restart the
file is cut back to what the store knows. A file that does not open loses its lines, counted, never
an observation: evidence does not depend on a recording.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from controller import record, store
from controller.policy import RecordSpec
from controller.record import Begun, Gap, Line

SEGMENTS = 8
"""A recording is cut into files of an eighth of its size; the oldest goes when there is no room."""
SUFFIX = ".ndjson"
_KEY = "record"

log = structlog.get_logger(__name__)


class Position(Struct, frozen=True):
    """How far the recording counts."""

    folder: str
    segment: int
    length: int


class Recorder:
    """Owner: the Intake. One thread; never raises for what the disk says."""

    def __init__(
        self,
        spec: RecordSpec,
        connection: sqlite3.Connection,
        begun: Callable[[], Sequence[Begun]],
    ) -> None:
        """``begun`` returns the experiments under way with their durable state: what a file that
        does not begin with them starts from."""
        self._folder = Path(spec.folder)
        self._limit_bytes = spec.size_bytes
        self._begun = begun
        self._lines: list[bytes] = []
        self.n_dropped = 0
        """Lines that were not written since this process began."""
        self._gap: Gap | None = None
        """What the next file must tell; None when nothing is missing."""
        self._is_told = False
        """Whether the file that is being written tells it."""
        self._done = self._take_up(connection)
        self._wanted = self._done

    def add(self, line: Line) -> None:
        """Keep a line until the transaction that it belongs to."""
        self._lines.append(record.encode(line))

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was added, within the caller's transaction; see ``settled``."""
        if not self._lines:
            return
        try:
            self._wanted = self._append()
        except OSError as error:
            if self._gap is None:  # once per trouble, not at each batch
                log.error("recording failed; evidence is not affected", error=str(error))
            self._lose(len(self._lines), f"the disk refused it: {error.strerror or error}")
            return
        store.put(connection, _KEY, msgspec.json.encode(self._wanted))

    def settled(self) -> None:
        """Note that what ``flush`` wrote is committed."""
        self._done = self._wanted
        if self._is_told:
            self._gap, self._is_told = None, False
        self._lines.clear()

    def revert(self) -> None:
        """Forget what was added since ``settled``: it is not in the evidence either."""
        self._wanted, self._is_told = self._done, False
        self._lines.clear()

    @property
    def size_bytes(self) -> int:
        """Of all files that are kept."""
        return sum(path.stat().st_size for path in segments(self._folder))

    def _append(self) -> Position:
        at = self._done
        raw = b"".join(self._lines)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_new = (
            self._gap is not None
            or not at.length
            or (at.length + len(raw) > self._limit_bytes // SEGMENTS)
        )
        if is_new:
            at = Position(at.folder, at.segment + 1, 0)
            raw = self._head() + raw
            self._make_room(len(raw))
        fd = os.open(self._path(at.segment), os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            file.truncate(at.length)
            file.seek(at.length)
            try:
                _write_all(file, raw)
            except OSError:
                file.truncate(at.length)  # half a batch would be told twice, or torn
                raise
        self._is_told = self._gap is not None
        return Position(at.folder, at.segment, at.length + len(raw))

    def _head(self) -> bytes:
        gap = [] if self._gap is None else [record.encode(self._gap)]
        return b"".join([*gap, *(record.encode(begun) for begun in self._begun())])

    def _make_room(self, wanted: int) -> None:
        """Delete the oldest files until ``wanted`` bytes fit."""
        kept = segments(self._folder)
        sizes = [path.stat().st_size for path in kept]
        while kept and sum(sizes) + wanted > self._limit_bytes:
            kept.pop(0).unlink()
            sizes.pop(0)

    def _lose(self, lines: int, why: str) -> None:
        self.n_dropped += lines
        before = 0 if self._gap is None else self._gap.lost
        self._gap, self._is_told = Gap(lost=before + lines, why=why), False
        self._wanted = self._done

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:08d}{SUFFIX}"

    def _take_up(self, connection: sqlite3.Connection) -> Position:
        """Return where the store says that the recording ends; cut off what lies beyond."""
        folder = str(self._folder)
        raw = store.get(connection, _KEY)
        known = None if raw is None else msgspec.json.decode(raw, type=Position)
        kept = segments(self._folder)
        last = int(kept[-1].stem) if kept else 0
        if known is None or known.folder != folder:
            return Position(folder, last, 0)  # its first line begins a file of its own
        try:
            for path in kept:
                if int(path.stem) > known.segment:
                    path.unlink()
            size = self._path(known.segment).stat().st_size
            if size >= known.length:
                os.truncate(self._path(known.segment), known.length)
                return known
        except OSError as error:
            log.error("the recording cannot be taken up", error=str(error))
        self._gap = Gap(lost=0, why="its file was cut or is gone")
        return Position(folder, max(known.segment, last), 0)


def _write_all(file: FileIO, raw: bytes) -> None:
    """Write ``raw`` to the end: a disk that is nearly full takes a part without complaint."""
    rest = memoryview(raw)
    while rest:
        rest = rest[file.write(rest) :]


def segments(folder: Path) -> list[Path]:
    """Return the files of a recording, oldest first; none if there is no folder."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())
