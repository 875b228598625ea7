"""Reads labels from files: CSV, NDJSON, JSON and Parquet, row by row. No network.

A row that cannot be read is a row with a reason; a file that cannot be read is a LabelFileError.
CSV, NDJSON and Parquet are read in pieces, JSON as a whole.
"""

import contextlib
import csv
import gzip
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from sidecar import labels

FORMATS = ("csv", "ndjson", "json", "parquet")
_SUFFIXES = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"} | {
    ".parquet": "parquet"
}
MAX_LINE_BYTES = 1 << 20
"""Of NDJSON: a longer line is no label, and is not held."""
PARQUET_ROWS = 10_000
NO_PYARROW = (
    "reading Parquet needs the package pyarrow, which is not installed: "
    "pip install 'understudy[parquet]'"
)


class LabelFileError(Exception):
    """The file, or what was said about it, is at fault; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns, or keys, are called. Those that were not asked for may be absent."""

    request_id: str = "request_id"
    label: str = "label"
    token: str = "token"
    at: str = "at"
    route: str = "route"
    asked: frozenset[str] = frozenset()
    """Names that were given by the user: they must be there."""

    def names(self) -> dict[str, str]:
        """Return the file's name of each key of a label."""
        keys = ("request_id", "label", "token", "at", "route")
        return {key: getattr(self, key) for key in keys} | {"correct": "correct"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row, with a label or with why there is none."""

    line: int
    """From 1. CSV and NDJSON: the line it ends on; JSON and Parquet: the element or row."""
    fields: dict[str, Any] | None
    """As ``POST /v1/labels`` takes it."""
    because: str = ""


@dataclass(slots=True)
class Source:
    """A file that is open: its rows, and how far they are read."""

    name: str
    rows: Iterator[Row]
    total: float | None
    """Bytes or rows in all; None when nobody knows, as on a pipe."""
    _raw: IO[bytes] | None = None
    _n_rows: list[int] = field(default_factory=lambda: [0])

    def done(self) -> float:
        """Return how much of ``total`` is read."""
        if self._raw is None:
            return float(self._n_rows[0])
        return float(self._raw.tell()) if self.total is not None else 0.0


@contextlib.contextmanager
def open_labels(
    path: Path, form: str | None, columns: Columns, *, as_text: bool = False
) -> Iterator[Source]:
    """Open ``path`` (``-`` is standard input) in one of FORMATS; None tells it by the name.

    ``as_text``: what a CSV holds is text, also where it looks like a number or a truth value.
    """
    form = form or _form_of(path)
    if form not in FORMATS:
        raise LabelFileError(f"--format must be one of {', '.join(FORMATS)}, got {form!r}")
    is_stdin = str(path) == "-"
    try:
        with contextlib.ExitStack() as stack:
            raw = sys.stdin.buffer if is_stdin else stack.enter_context(path.open("rb"))
            total = None if is_stdin else float(path.stat().st_size)
            file: Any = raw
            if path.suffix == ".gz":
                file = stack.enter_context(gzip.open(raw))
            if form == "parquet":
                yield _parquet(str(path), file, columns)
                return
            rows = _READERS[form](file, columns, as_text)
            yield Source(str(path), _named(rows, path), total, raw)
    except OSError as error:
        raise LabelFileError(f"{path}: {error.strerror or error}") from error


def _form_of(path: Path) -> str:
    if str(path) == "-":
        return "ndjson"
    name = path.with_suffix("") if path.suffix == ".gz" else path
    form = _SUFFIXES.get(name.suffix.lower())
    if form is None:
        raise LabelFileError(f"{path}: say what it is: --format {', '.join(FORMATS)}")
    return form


def _named(rows: Iterator[Row], path: Path) -> Iterator[Row]:
    """Let errors of the file name it."""
    try:
        yield from rows
    except (OSError, EOFError) as error:  # a gzip file that is cut, a disk
        raise LabelFileError(f"{path}: {error}") from error
    except LabelFileError as error:
        raise LabelFileError(f"{path}: {error}") from error


def _csv(file: IO[bytes], columns: Columns, as_text: bool) -> Iterator[Row]:
    # Bytes that are not UTF-8 stay visible as surrogates, and are refused label by label.
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise LabelFileError("the first line must name the columns")
        where = _where(header, columns)
        for cells in reader:
            if cells:
                yield _csv_row(reader.line_num, cells, where, as_text)
    except csv.Error as error:
        raise LabelFileError(f"line {reader.line_num}: {error}") from error
    finally:
        text.detach()


def _csv_row(line: int, cells: list[str], where: dict[str, int], as_text: bool) -> Row:
    fields: dict[str, Any] = {}
    for key, place in where.items():
        cell = cells[place] if place < len(cells) else ""
        if cell:
            fields[key] = cell
    if "label" in fields and not as_text:
        fields["label"] = _value(fields["label"])
    for key in ("at", "correct"):
        if key in fields:
            fields[key] = _value(fields[key])
    return _row(line, fields)


def _value(cell: str) -> Any:
    """Return a cell as the JSON it is, or else as text: 7 is a number, fraud is not.

    >>> _value("7"), _value("true"), _value("fraud"), _value("007"), _value('{"a": 1}')
    (7, True, 'fraud', '007', {'a': 1})
    """
    try:
        value = labels.decoded(cell.encode("utf-8", "surrogateescape"))
    except labels.BodyError:
        return cell
    return cell if value is None else value


def _where(header: list[str], columns: Columns) -> dict[str, int]:
    names = columns.names()
    for name in names.values():
        if header.count(name) > 1:
            raise LabelFileError(f"two columns are called {name!r}")
    for name in sorted(columns.asked):
        if name not in header:
            raise LabelFileError(f"no column {name!r}; there are {', '.join(header)[:500]}")
    _must_have(set(header), columns)
    return {key: header.index(name) for key, name in names.items() if name in header}


def _must_have(found: set[str], columns: Columns) -> None:
    shown = ", ".join(sorted(found))[:500]
    if columns.label not in found:
        raise LabelFileError(f"no column {columns.label!r}; say --label-column. There are {shown}")
    if columns.request_id not in found and columns.token not in found:
        raise LabelFileError(
            f"no column {columns.request_id!r}, nor {columns.token!r}; say --id-column. "
            f"There are {shown}"
        )


def _ndjson(file: IO[bytes], columns: Columns, as_text: bool) -> Iterator[Row]:
    line, is_long = 0, False
    while raw := file.readline(MAX_LINE_BYTES):
        if is_long:  # the rest of a line that was refused
            is_long = not raw.endswith(b"\n")
            continue
        line += 1
        is_long = len(raw) >= MAX_LINE_BYTES and not raw.endswith(b"\n")
        if is_long:
            yield Row(line, None, f"the line is longer than {MAX_LINE_BYTES} bytes")
        elif raw.strip():
            yield _json_row(line, raw, columns)


def _json(file: IO[bytes], columns: Columns, as_text: bool) -> Iterator[Row]:
    for index, raw in enumerate(labels.split(file.read()), 1):
        yield _json_row(index, raw, columns)


def _json_row(line: int, raw: bytes, columns: Columns) -> Row:
    try:
        found = labels.decoded(raw)
    except labels.BodyError as error:
        return Row(line, None, str(error))
    if not isinstance(found, dict):
        return Row(line, None, "not an object")
    return _row(line, _picked(found, columns))


def _picked(found: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Return what a label is made of; other keys and columns are nobody's business here."""
    return {
        key: found[name] for key, name in columns.names().items() if found.get(name) is not None
    }


def _row(line: int, fields: dict[str, Any]) -> Row:
    if "label" not in fields:
        return Row(line, None, "it has no label")
    if "request_id" not in fields and "token" not in fields:
        return Row(line, None, "it has no request id")
    return Row(line, fields)


def _parquet(name: str, file: IO[bytes], columns: Columns) -> Source:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise LabelFileError(NO_PYARROW) from error
    if not file.seekable():
        raise LabelFileError(f"{name}: Parquet cannot be read from a pipe; give the file")
    try:
        table = parquet.ParquetFile(file)
    except pyarrow.ArrowException as error:
        raise LabelFileError(f"{name}: not a Parquet file ({error})") from error
    header = list(table.schema_arrow.names)
    wanted = [columns.names()[key] for key in _where(header, columns)]
    count = [0]

    def rows() -> Iterator[Row]:
        try:
            for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=wanted):
                for found in batch.to_pylist():
                    count[0] += 1
                    yield _parquet_row(count[0], found, columns)
        except (pyarrow.ArrowException, OSError) as error:
            raise LabelFileError(f"{name}: {error}") from error

    return Source(name, rows(), float(table.metadata.num_rows), None, count)


def _parquet_row(line: int, found: dict[str, Any], columns: Columns) -> Row:
    fields = {key: _plain(value) for key, value in _picked(found, columns).items()}
    if any(value is None for value in fields.values()):
        return Row(line, None, "a value of a type that JSON does not have")
    if "request_id" in fields and not isinstance(fields["request_id"], str):
        fields["request_id"] = str(fields["request_id"])
    return _row(line, fields)


def _plain(value: Any) -> Any:
    """Return what JSON has for ``value``; None if it has nothing."""
    if isinstance(value, (str, bool, int, float, list, dict)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value.isoformat() if isinstance(value, date) else None


_READERS = {"csv": _csv, "ndjson": _ndjson, "json": _json}
