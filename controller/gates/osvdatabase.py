"""An offline copy of a vulnerability database: OSV records in a folder, or in the zip of one
ecosystem that osv.dev publishes. Read through once, for the packages that are asked about."""

import zipfile
import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import msgspec

from controller.gates import osv
from controller.gates.osv import Record

MAX_RECORDS = 1_000_000
"""PyPI's had some 20,000 in 2026. Chosen."""
RECORD_BYTES = 8 << 20
"""Of one record; the longest lists every version of a package that has had thousands."""


class DatabaseError(Exception):
    """There is no such database, or it cannot be read to its end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one pass."""

    records: tuple[Record, ...]
    """About the packages asked for."""
    count: int
    """Records of PyPI in all."""
    newest: str
    """The latest ``modified`` of any of them, as written (RFC 3339); empty without records."""
    unreadable: int


def read(database: Path, wanted: Set[str]) -> Reading:
    """Return the records about ``wanted`` (canonical names), in the order of their ids."""
    records: list[Record] = []
    count = unreadable = 0
    newest = ""
    decoder = msgspec.json.Decoder(Record)
    for raw in _documents(database):
        try:
            record = decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            unreadable += 1
            continue
        about = osv.names(record)
        if not about:
            continue
        count += 1
        newest = max(newest, record.modified)
        if about & wanted:
            records.append(record)
    records.sort(key=lambda record: record.id)
    return Reading(tuple(records), count, newest, unreadable)


def _documents(database: Path) -> Iterator[bytes]:
    """Yield every JSON file; DatabaseError when there are too many, or one is too long."""
    try:
        source = _of_folder(database) if database.is_dir() else _of_zip(database)
        for number, raw in enumerate(source, start=1):
            if number > MAX_RECORDS:
                raise DatabaseError(f"more than {MAX_RECORDS} records")
            if len(raw) > RECORD_BYTES:
                raise DatabaseError(f"a record of more than {RECORD_BYTES} bytes")
            yield raw
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as exc:
        raise DatabaseError(f"cannot be read: {type(exc).__name__}: {exc}") from exc


def _of_folder(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*.json")):
        with path.open("rb") as file:
            yield file.read(RECORD_BYTES + 1)


def _of_zip(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(".json"):
                with archive.open(info) as file:
                    yield file.read(RECORD_BYTES + 1)
