"""Reads the rows of CSV, NDJSON and Parquet files as named values, in pieces.

What is at fault in the file is a ``RowFileError`` that names file and line: a set of rows with gaps
would prove nothing. Files whose name ends in ``.gz`` are unpacked on the way.
"""

import contextlib
import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

FORMATS = ("csv", "ndjson", "parquet")
_SUFFIXES = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of NDJSON, without the end of the line: as much as an answer of a model may have."""
PARQUET_ROWS = 4_096
NO_PYARROW = (
    "reading Parquet needs the package pyarrow, which is not installed: "
    "pip install 'understudy[parquet]'"
)


class RowFileError(Exception):
    """The file cannot be read as rows; the message names it, the line and what is wrong."""


def format_of(path: Path) -> str | None:
    """Return which of FORMATS the name says; None if it says none.

    >>> format_of(Path("train.CSV.gz")), format_of(Path("model.bin"))
    ('csv', None)
    """
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return _SUFFIXES.get(name.suffix.lower())


def read_rows(path: Path, form: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield each row of ``path`` in one of FORMATS; None tells it by the name; RowFileError."""
    form = form or format_of(path)
    if form not in FORMATS:
        wanted = ", ".join(sorted(_SUFFIXES))
        raise RowFileError(f"{path}: its name must end in one of {wanted} (and .gz)")
    try:
        with contextlib.ExitStack() as stack:
            file: Any = stack.enter_context(path.open("rb"))
            if path.suffix.lower() == ".gz":
                file = stack.enter_context(gzip.open(file))
            yield from _READERS[form](file, path)
    except (OSError, EOFError) as error:
        raise RowFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _csv(file: IO[bytes], path: Path) -> Iterator[dict[str, Any]]:
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise RowFileError(f"{path}: the first line must name the columns")
        if len(set(header)) < len(header):
            raise RowFileError(f"{path}: two columns have one name")
        for cells in reader:
            if cells and len(cells) != len(header):
                said = f"{len(cells)} cells, {len(header)} columns"
                raise RowFileError(f"{path}, line {reader.line_num}: {said}")
            if cells:
                yield dict(zip(header, cells, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise RowFileError(f"{path}, line {reader.line_num}: {error}") from error
    finally:
        text.detach()  # the file is closed by who opened it


def _ndjson(file: IO[bytes], path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 2):
        number += 1
        if len(line.rstrip(b"\r\n")) > MAX_LINE_BYTES:
            raise RowFileError(f"{path}, line {number}: longer than {MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RowFileError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise RowFileError(f"{path}, line {number}: not an object with names and values")
        yield row


def _parquet(file: IO[bytes], path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise RowFileError(NO_PYARROW) from error
    try:
        if not file.seekable():
            raise RowFileError(f"{path}: Parquet cannot be read from a pipe")
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=PARQUET_ROWS):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise RowFileError(f"{path}: {error}") from error


_READERS = {"csv": _csv, "ndjson": _ndjson, "parquet": _parquet}
