"""Reads a golden dataset: rows of a request and its true answer, from NDJSON, CSV or Parquet.

One row that cannot be read refuses the file: a comparison on what happens to be readable is none.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jmespath

from controller.gates.goldenspec import GoldenSpec
from controller.gates.template import TEMPLATES, TemplateError, filled
from controller.rowfile import RowFileError, format_of, read_rows
from evaluator.extract import canonical, canonical_text, parsed

MAX_ROWS = 1_000_000
MAX_REQUEST_BYTES = 1 << 30
"""Of all requests together: they are held in memory while they are asked. Chosen."""
_CHUNK = 1 << 20


class GoldenError(Exception):
    """The golden set is at fault; the message names the file and, if it is one, the row."""


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """One request, and what is known of it."""

    number: int
    """From 1, in the order of the file."""
    body: bytes
    label: str | None
    """Canonical JSON text of the truth; None if the row has none."""
    slices: tuple[tuple[str, str], ...]
    """What the row is in: (country, NL). A row without a value is in no slice of that name."""
    cells: Mapping[str, Any]
    """The row's own values by column, to be looked for in training data."""


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """All rows of a file."""

    path: str
    digest: str
    """SHA-256 of the file's bytes, hex."""
    rows: tuple[GoldenRow, ...]


def read_golden(spec: GoldenSpec) -> GoldenSet:
    """Read the file; GoldenError if it, or one of its rows, is at fault. Blocks on the disk."""
    path = Path(spec.path)
    digest = digest_of(path)
    if spec.digest is not None and digest != spec.digest:
        raise GoldenError(f"{path} has the digest {digest}, and not {spec.digest} as declared")
    reader = _RowReader(spec, is_text=format_of(path) == "csv")
    rows: list[GoldenRow] = []
    size = 0
    try:
        for number, cells in enumerate(read_rows(path), start=1):
            if number > MAX_ROWS:
                raise GoldenError(f"{path} has more than {MAX_ROWS} rows")
            rows.append(reader.read(number, cells))
            size += len(rows[-1].body)
            if size > MAX_REQUEST_BYTES:
                raise GoldenError(f"{path}: more than {MAX_REQUEST_BYTES} bytes of requests")
    except RowFileError as error:
        raise GoldenError(str(error)) from error
    if not rows:
        raise GoldenError(f"{path} has no row")
    if digest_of(path) != digest:
        raise GoldenError(f"{path} was changed while it was read")
    return GoldenSet(str(path), digest, tuple(rows))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hex; GoldenError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise GoldenError(f"{path}: {error.strerror or error}") from error
    return digest.hexdigest()


class _RowReader:
    """Turns cells into rows, as the spec says; its paths and template are compiled once."""

    def __init__(self, spec: GoldenSpec, *, is_text: bool) -> None:
        self._spec = spec
        self._is_text = is_text
        self._paths = [(name, jmespath.compile(name)) for name in spec.by]
        self._template = json.loads(spec.template or TEMPLATES[spec.protocol])

    def read(self, number: int, cells: Mapping[str, Any]) -> GoldenRow:
        cells = {name: self._value(value) for name, value in cells.items()}
        try:
            return GoldenRow(
                number=number,
                body=self._body(cells),
                label=_label(cells.get(self._spec.label)),
                slices=tuple(self._slices(cells)),
                cells=self._own(cells),
            )
        except (TemplateError, ValueError, TypeError, RecursionError) as error:
            raise GoldenError(f"{self._spec.path}, row {number}: {error}") from error

    def _value(self, value: Any) -> Any:
        """Return a cell as JSON has it: what a CSV writes as 7 or true is a number or a truth."""
        if self._is_text and isinstance(value, str):
            if not value:
                return None
            try:
                return parsed(value.encode())
            except (ValueError, RecursionError):
                return value
        return _plain(value)

    def _body(self, cells: Mapping[str, Any]) -> bytes:
        if self._spec.request in cells:
            request = cells[self._spec.request]
            if isinstance(request, str):  # a column of a table holds JSON as text
                parsed(request.encode())
                return request.encode()
            return _json_bytes(request)
        return _json_bytes(filled(self._template, cells, self._features(cells)))

    def _features(self, cells: Mapping[str, Any]) -> tuple[str, ...]:
        if self._spec.features is not None:
            return self._spec.features
        return tuple(name for name in cells if name != self._spec.label)

    def _slices(self, cells: Mapping[str, Any]) -> list[tuple[str, str]]:
        found = []
        for name, path in self._paths:
            value = path.search(cells)
            if value is not None:
                found.append((name, value if isinstance(value, str) else canonical(value)))
        return found

    def _own(self, cells: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row as training data would have it: an object in a request is its columns."""
        request = cells.get(self._spec.request)
        if not isinstance(request, dict):
            return cells
        inner = _single_instance(request)
        if isinstance(inner, list) and self._spec.features is not None:
            inner = dict(zip(self._spec.features, inner, strict=False))
        return cells if not isinstance(inner, dict) else {**inner, **cells}


def _single_instance(request: Mapping[str, Any]) -> Any:
    """Return the one thing that a request asks about, as values; the request itself if unclear."""
    for key in ("instances", "dataframe_records", "inputs"):
        found = request.get(key)
        if isinstance(found, list) and len(found) == 1:
            return found[0]
    frame = request.get("dataframe_split")
    if isinstance(frame, dict) and isinstance(frame.get("columns"), list):
        data = frame.get("data")
        if isinstance(data, list) and len(data) == 1 and isinstance(data[0], list):
            return dict(zip(frame["columns"], data[0], strict=False))
    return request


def _label(value: Any) -> str | None:
    return None if value is None else canonical_text(json.dumps(value))


def _json_bytes(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _plain(value: Any) -> Any:
    """Return what JSON has for a value of a Parquet file."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date():
            return value.isoformat()
        case float() if value != value:
            return None
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(one) for name, one in value.items()}
    return value
