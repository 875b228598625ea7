"""The rows of a training file as a sorted set of hashes: small, and without the rows themselves.

It is no secret store: who guesses a whole row can test the guess, as the leak check does.

Of more distinct rows than MAX_HASHES the smallest hashes are kept. As hashes are uniform, these are
a random sample of the rows, and whether a row is in the sample can be told from its hash alone: so
each row that is asked for is either known to be there, known not to be there, or not in the sample
(bottom-k sketch: Cohen and Kaplan, 2007, PODC, "Summarizing data using bottom-k sketches").
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.rowhash import columns_of, row_hash

MAX_HASHES = 1_000_000
"""8 MB for each training file. Of ten times as many rows, one in ten is in the sample: of a golden
set that shares 100 rows some are found but for one chance in 37,000. Chosen."""
MAX_COLUMNS = 10_000
BATCH = 200_000
"""Hashes that are gathered before they are sorted in."""
MAGIC = b"understudy rows 1\n"
MAX_HEADER_BYTES = 4 * 1024 * 1024

Hashes = NDArray[np.uint64]
"""Shape ``(n,)``: rising, each once."""


class RowSetError(Exception):
    """The file is not a set of rows, or was damaged; nothing of it is used."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSet:
    """Which rows a training file has."""

    columns: tuple[str, ...]
    """That count, by their dotted names, sorted: rows are compared on these alone."""
    n_rows: int
    """Rows of the file that have a value, doubles included."""
    is_whole: bool
    """Whether every row is in it; else it is a sample."""
    hashes: Hashes

    @property
    def coverage(self) -> float:
        """Return the share of all possible rows about which the set can tell, 0..1."""
        return 1.0 if self.is_whole else (int(self.hashes[-1]) + 1) / 2.0**64

    def has(self, row_hash: int) -> bool | None:
        """Tell whether a row of this hash is in the file; None if it is not in the sample."""
        if not self.is_whole and row_hash > int(self.hashes[-1]):
            return None
        at = int(np.searchsorted(self.hashes, np.uint64(row_hash)))
        return at < len(self.hashes) and int(self.hashes[at]) == row_hash


def row_set_of(rows: Iterable[Mapping[str, Any]], columns: Collection[str] | None = None) -> RowSet:
    """Return the set of ``rows``, on ``columns`` or on all they have; RowSetError for too many."""
    gathered: list[int] = []
    kept: Hashes = np.empty(0, np.uint64)
    seen: set[str] = set()
    n_rows, is_whole = 0, True
    for row in rows:
        found = row_hash(row, columns)
        if found is None:
            continue
        n_rows += 1
        if columns is None:
            seen |= columns_of(row)
            if len(seen) > MAX_COLUMNS:
                raise RowSetError(f"the rows have more than {MAX_COLUMNS} different columns")
        gathered.append(found)
        if len(gathered) >= BATCH:
            kept, is_whole = _merged(kept, gathered, is_whole)
            gathered = []
    kept, is_whole = _merged(kept, gathered, is_whole)
    return RowSet(tuple(sorted(seen if columns is None else columns)), n_rows, is_whole, kept)


def to_bytes(rows: RowSet) -> bytes:
    """Return what ``from_bytes`` reads."""
    raw = rows.hashes.astype("<u8").tobytes()
    header = {
        "columns": rows.columns,
        "n_rows": rows.n_rows,
        "is_whole": rows.is_whole,
        "n_hashes": len(rows.hashes),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    return MAGIC + json.dumps(header).encode() + b"\n" + raw


def from_bytes(content: bytes) -> RowSet:
    """Read a set; RowSetError if it is not one, or not as it was written."""
    if not content.startswith(MAGIC):
        raise RowSetError("this is not a set of rows")
    head, _, raw = content[len(MAGIC) :].partition(b"\n")
    try:
        header = json.loads(head[:MAX_HEADER_BYTES])
        columns = tuple(str(column) for column in header["columns"])
        n_rows, n_hashes = int(header["n_rows"]), int(header["n_hashes"])
        is_whole = header["is_whole"] is True
        is_sound = hashlib.sha256(raw).hexdigest() == header["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise RowSetError("the head of the set of rows cannot be read") from error
    if not is_sound or len(raw) != 8 * n_hashes or len(columns) > MAX_COLUMNS:
        raise RowSetError("the set of rows is damaged")
    hashes: Hashes = np.frombuffer(raw, "<u8").astype(np.uint64)
    is_sorted = bool(np.all(hashes[1:] > hashes[:-1]))
    if not is_sorted or n_hashes > MAX_HASHES or (not is_whole and not n_hashes):
        raise RowSetError("the set of rows is not sorted, or too large")
    return RowSet(columns, n_rows, is_whole, hashes)


def folder_beside(database: Path) -> Path:
    """Return where the sets of the state at ``database`` are kept."""
    return database.parent / "rows"


def keep(folder: Path, content: bytes) -> str:
    """Write a set under its own digest, durably; return the file's name. OSError if it cannot be.

    A file that is there already has the same content by its name, so it is left alone.
    """
    name = f"{hashlib.sha256(content).hexdigest()}.rows"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    if not target.exists():
        part = folder / f"{name}.{os.getpid()}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    return name


def load(folder: Path, name: str) -> RowSet:
    """Read the set that ``keep`` called ``name``; RowSetError if it is gone or damaged."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise RowSetError(f"{folder / name}: {error.strerror or error}") from error
    if f"{hashlib.sha256(content).hexdigest()}.rows" != name:
        raise RowSetError(f"{folder / name} was changed since it was written")
    return from_bytes(content)


def _merged(kept: Hashes, gathered: list[int], is_whole: bool) -> tuple[Hashes, bool]:
    merged = np.union1d(kept, np.array(gathered, np.uint64))
    if len(merged) > MAX_HASHES:
        return merged[:MAX_HASHES], False
    return merged, is_whole
