"""Label bodies: one JSON object, an array of them, or one a line (NDJSON). Pure.

Every item stands for itself: a bad one is named by its index and never spoils its neighbours.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

from evaluator.join import MAX_ID_CHARS, Label
from sidecar import plainlabel

MAX_ITEMS = 10_000
"""Labels in one body; clients with more send several. Chosen: about a second of one core."""
MAX_LABEL_CHARS = 4_096
"""Canonical JSON text of one label. Chosen: a label is a class or a number, not a document."""
MAX_DEPTH = 16
"""Nesting of one label."""
MAX_DIGITS = 40
"""Python parses longer integers in quadratic time, and no class has such a name."""
LATEST_S = 253_402_300_799.0
"""The last second of the year 9999."""

_FAST_COMMAS = 20 * MAX_ITEMS
"""Above it an array is read element by element: `[1,1,1,...` would cost 30 times its size."""
_KEYS = frozenset({"request_id", "label", "at", "route", "correct", "token"})
_IN_TOKEN = ""
"""The request id of an item that has it in its token alone."""
_MARK = re.compile(rb'["\\\[\]{},]')


@dataclass(frozen=True, slots=True)
class Item:
    """One readable label."""

    index: int
    """Its place in the body, from 0."""
    label: Label


@dataclass(frozen=True, slots=True)
class Fault:
    """One item that cannot be read, and why."""

    index: int
    request_id: str | None
    """None when not even that could be read."""
    because: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body holds, good and bad, each in the body's order."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]


class BodyError(ValueError):
    """The body as a whole is not one that holds labels: the sender must change it."""


class _ItemError(ValueError):
    def __init__(self, because: str, request_id: str | None = None) -> None:
        super().__init__(because)
        self.request_id = request_id


def parse(body: bytes) -> Parsed:
    """Read all labels of ``body``. BodyError if there is none to be seen, or too many."""
    items: list[Item] = []
    faults: list[Fault] = []
    for index, raw in enumerate(split(body)):
        if index >= MAX_ITEMS:
            raise BodyError(f"more than {MAX_ITEMS} labels in one body; send several")
        try:
            items.append(_read(index, raw))
        except _ItemError as error:
            faults.append(Fault(index, error.request_id, str(error)))
    if not items and not faults:
        raise BodyError("the body holds no labels")
    if not items and all(fault.because == _NOT_JSON for fault in faults):
        raise BodyError("the body is not JSON: send an object, an array of objects, or one a line")
    return Parsed(tuple(items), tuple(faults))


_NOT_JSON = "not JSON"


def split(body: bytes) -> Iterator[bytes]:
    """Yield each label of a body as it stands there: element, line, or the one object."""
    text = body.strip(b" \t\r\n")
    if text.startswith(b"["):
        yield from _elements(text)
    elif text.startswith(b"{") and _is_one_value(text):
        yield text
    else:
        yield from (line for line in text.split(b"\n") if line.strip())


def _is_one_value(text: bytes) -> bool:
    """Tell one object, perhaps over several lines, from objects that each have their line."""
    depth, ends = 0, 0
    for position, mark in _marks(text):
        if depth == 0 and ends:
            return False
        depth += (mark in b"[{") - (mark in b"]}")
        if depth == 0:
            ends = position + 1
    return ends == len(text)


def _elements(text: bytes) -> Iterator[bytes]:
    """Yield the elements of an array, also when some of them are not JSON or nested too deep."""
    try:
        if text.count(b",") > _FAST_COMMAS:
            raise msgspec.DecodeError("too many elements to hold at once")
        yield from (bytes(raw) for raw in msgspec.json.decode(text, type=list[msgspec.Raw]))
        return
    except (msgspec.DecodeError, RecursionError):
        pass  # one element is bad, or there are very many: find the borders by the brackets alone
    depth, start = 0, 1
    for position, mark in _marks(text):
        if depth == 1 and mark in b",]":
            if text[start:position].strip():
                yield text[start:position]
            start = position + 1
        depth += (mark in b"[{") - (mark in b"]}")
        if depth == 0:
            return
    yield text[start:]


def _marks(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield brackets and commas outside of strings. Linear."""
    quoted, skip = False, -1
    for match in _MARK.finditer(text):
        position, mark = match.start(), match.group()
        if position == skip:
            continue
        if mark == b"\\":
            skip = position + 1
        elif mark == b'"':
            quoted = not quoted
        elif not quoted:
            yield position, mark


def read_value(index: int, value: Any) -> Item | Fault:
    """Return the label that decoded JSON (see ``decoded``) holds, or what is wrong with it."""
    try:
        return _item(index, value)
    except _ItemError as error:
        return Fault(index, error.request_id, str(error))


def decoded(raw: bytes) -> Any:
    """Return the JSON value of ``raw``: numbers finite, keys once. BodyError if it is not one."""
    try:
        return _decode(raw)
    except _ItemError as error:
        raise BodyError(str(error)) from error


def _read(index: int, raw: bytes) -> Item:
    label = plainlabel.read(raw)
    return _item(index, _decode(raw)) if label is None else Item(index, label)


def _item(index: int, fields: Any) -> Item:
    if not isinstance(fields, dict):
        raise _ItemError("not an object")
    request_id, token = fields.get("request_id"), fields.get("token")
    if request_id is None and isinstance(token, str):
        request_id = _IN_TOKEN
    elif not isinstance(request_id, str) or not request_id:
        raise _ItemError("request_id is missing or not a text")
    if len(request_id) > MAX_ID_CHARS:
        raise _ItemError(f"request_id is longer than {MAX_ID_CHARS} characters")
    if not request_id.isascii() or not request_id.isprintable():
        raise _ItemError("request_id has characters that no request id has")
    try:
        unknown = sorted(fields.keys() - _KEYS)
        if unknown:
            raise _ItemError(f"unknown key {unknown[0][:40]!r}")
        route = fields.get("route")
        if route is not None and not isinstance(route, str):
            raise _ItemError("route is not a text")
        is_correction = fields.get("correct", False)
        if not isinstance(is_correction, bool):
            raise _ItemError("correct is neither true nor false")
        if token is not None and not isinstance(token, str):
            raise _ItemError("token is not a text")
        label = Label(
            request_id,
            _label(fields),
            route,
            _at_ns(fields.get("at")),
            is_correction=is_correction,
            token=token,
        )
        return Item(index, label)
    except _ItemError as error:
        raise _ItemError(str(error), request_id or None) from error


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode(),  # UTF-8 only; json.loads would guess UTF-16 from the bytes
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_without_duplicates,
        )
    except _ItemError:
        raise
    except RecursionError as error:
        raise _ItemError("nested too deep") from error
    except ValueError as error:  # also UnicodeDecodeError
        raise _ItemError(_NOT_JSON) from error


def _refuse_constant(name: str) -> NoReturn:
    raise _ItemError(f"{name} is not a value that can be compared")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _ItemError(f"number out of range: {text[:40]}")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _ItemError(f"integer of more than {MAX_DIGITS} digits")
    return int(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _ItemError("a key occurs twice")  # which of the two is meant is anybody's guess
    return fields


def _label(fields: dict[str, Any]) -> str:
    if fields.get("label") is None:
        raise _ItemError("label is missing or null")
    _check_depth(fields["label"], MAX_DEPTH)
    text = json.dumps(fields["label"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text) > MAX_LABEL_CHARS:
        raise _ItemError(f"label is longer than {MAX_LABEL_CHARS} characters of JSON")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _ItemError("label is not valid Unicode")
    return text


def _check_depth(value: Any, allowed: int) -> None:
    if not isinstance(value, dict | list):
        return
    if allowed == 0:
        raise _ItemError(f"label is nested deeper than {MAX_DEPTH}")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, allowed - 1)


def _at_ns(at: Any) -> int | None:
    """Read an RFC 3339 text with its offset, or seconds since the epoch."""
    if at is None:
        return None
    if isinstance(at, bool) or not isinstance(at, str | int | float):
        raise _ItemError("at is neither a date nor seconds since 1970")
    if isinstance(at, str):
        return _date_ns(at)
    if not 0 <= at <= LATEST_S:
        raise _ItemError("at is not between 1970 and 9999")
    return int(at * 1_000_000_000)


def _date_ns(text: str) -> int:
    try:
        date = datetime.fromisoformat(text)
    except ValueError as error:
        raise _ItemError("at is not a date such as 2026-11-23T07:00:00Z") from error
    if date.tzinfo is None:
        raise _ItemError("at has no offset from UTC, such as Z or +02:00")
    try:
        since = date.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise _ItemError("at is not between 1970 and 9999") from error
    if since.days < 0:
        raise _ItemError("at is not between 1970 and 9999")
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
