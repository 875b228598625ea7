"""From an answer's bytes to the prediction in it, as canonical JSON text. Pure.

Answers come from models that may be broken or hostile: nothing in here raises, every size is
capped, and what cannot be read has a reason.
"""

import hashlib
import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import jmespath
import jmespath.exceptions

from evaluator.metric import is_readable_in_principle
from evaluator.sse import StreamError, assemble
from evaluator.tensor import TensorError, joined
from router.observation import Outcome

MAX_BODY_BYTES = 1024 * 1024
"""After undoing the content-encoding; 16 times the default capture."""
MAX_TEXT_CHARS = 4096
"""Canonical text of one label. A longer prediction is compared by its digest."""
MAX_CLASS_CHARS = 32
"""Canonical forms of texts up to this long are remembered, 4,096 of them. Chosen."""
MAX_DEPTH = 64
"""Nesting of a prediction. Python's own limit guards the parser before that."""
MAX_DIGITS = 400
"""Of an integer; 1e308 written out has 309. Longer ones cost quadratic time to parse."""

ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content-encodings that can be undone; the first two need no work."""
_GZIP_OR_ZLIB = 47  # zlib's wbits: 32 + 15, finds out by the header which of the two it is
_RAW_DEFLATE = -15


@dataclass(frozen=True, slots=True)
class Extracted:
    """A prediction, or why there is none."""

    text: str | None
    """Canonical JSON text; None when it could not be read."""
    reason: str = ""
    """Empty when ``text`` is there."""


def is_cut(outcome: Outcome, found: Extracted) -> bool:
    """Return whether an answer could not be read for a reason of ours."""
    if found.text is not None or not is_readable_in_principle(outcome):
        return False
    return outcome.body_bytes > len(outcome.body) or outcome.encoding not in ENCODINGS


class _Unreadable(ValueError):
    """The reason is the message. Never leaves this file."""


class Extractor:
    """Reads predictions with one JMESPath expression, compiled once.

    Without an expression the whole body stands for the prediction, by its digest: such bodies can
    be compared but not labelled. A stream of events is read as the answer that it amounts to; a
    whole one is compared by its text.
    """

    def __init__(self, expression: str | None) -> None:
        """Compile; ValueError if ``expression`` is not JMESPath."""
        try:
            self._path = None if expression is None else jmespath.compile(expression)
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"prediction {expression!r} is not JMESPath: {error}") from error

    def read(self, outcome: Outcome) -> Extracted:
        """Return the prediction in an answer. Never raises, whatever the body is."""
        try:
            return Extracted(self._text(outcome))
        except Exception as error:  # the path meets any JSON there is; a reason beats a crash
            return Extracted(None, _reason(error))

    def _text(self, outcome: Outcome) -> str:
        body = _body(outcome)
        if outcome.form == "sse":
            document, text = _streamed(body)
            return _digest(text.encode()) if self._path is None else self._at_path(document)
        if self._path is None:
            return _digest(body)
        return self._at_path(_document(outcome, body))

    def _at_path(self, document: Any) -> str:
        assert self._path is not None
        found = self._path.search(document)
        if found is None:
            raise _Unreadable("no prediction at the declared path")
        text = _encoder.encode(_plain(found, MAX_DEPTH))
        return text if len(text) <= MAX_TEXT_CHARS else _digest(text.encode())


def _document(outcome: Outcome, body: bytes) -> Any:
    """Return an answer as the JSON that it is, or amounts to; ValueError with the reason."""
    if outcome.form == "sse":
        return _streamed(body)[0]
    return _with_tensors(body, outcome.form) if outcome.form.startswith("json:") else parsed(body)


def _streamed(body: bytes) -> tuple[Any, str]:
    try:
        return assemble(body, parsed)
    except StreamError as error:
        raise _Unreadable(str(error)) from error


def _with_tensors(body: bytes, form: str) -> Any:
    try:
        return joined(body, int(form.removeprefix("json:")), parsed)
    except TensorError as error:
        raise _Unreadable(str(error)) from error


def _digest(body: bytes) -> str:
    return f'"sha256:{hashlib.sha256(body).hexdigest()}"'


class Fields:
    """Reads several values from one answer or label, each by its JMESPath, compiled once."""

    def __init__(self, expressions: Iterable[str]) -> None:
        """Compile; ValueError if one of them is not JMESPath."""
        try:
            self._paths = {text: jmespath.compile(text) for text in sorted(set(expressions))}
        except jmespath.exceptions.JMESPathError as error:
            raise ValueError(f"not JMESPath: {error}") from error

    def __bool__(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._paths)

    def read(self, outcome: Outcome) -> dict[str, Any]:
        """Return the values that are there, by expression. Never raises."""
        if not self._paths:
            return {}
        try:
            return self._found(_document(outcome, _body(outcome)))
        except Exception:  # as above; the prediction's reader counts and tells the reason
            return {}

    def read_text(self, text: str) -> dict[str, Any]:
        """Return the values in a canonical JSON text, such as a label. Never raises."""
        return self._found(json.loads(text)) if self._paths else {}

    def _found(self, document: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text, path in self._paths.items():
            try:
                value = path.search(document)
                if value is not None:
                    found[text] = json.loads(canonical(value))
            except Exception:  # one path that fails must not hide another's value
                continue
        return found


def _body(outcome: Outcome) -> bytes:
    """Return the whole body with its content-encoding undone; ValueError with the reason."""
    if outcome.body_bytes > len(outcome.body):
        raise _Unreadable(f"only {len(outcome.body)} of {outcome.body_bytes} bytes captured")
    return decoded(outcome.body, outcome.encoding)


def _reason(error: Exception) -> str:
    if isinstance(error, _Unreadable):
        return str(error)
    if isinstance(error, RecursionError):
        return "nested too deep"
    return f"not readable: {type(error).__name__}"


def decoded(body: bytes, encoding: str) -> bytes:
    """Undo a content-encoding, at most to MAX_BODY_BYTES; ValueError with the reason."""
    if encoding in ENCODINGS[:2]:
        if len(body) > MAX_BODY_BYTES:
            raise _Unreadable(f"larger than {MAX_BODY_BYTES} bytes")
        return body
    if encoding not in ENCODINGS:
        raise _Unreadable("content-encoding is not gzip, deflate or identity")
    try:
        return _inflated(body, _GZIP_OR_ZLIB)
    except zlib.error as error:
        if encoding != "deflate":
            raise _Unreadable("not valid gzip") from error
    try:
        return _inflated(body, _RAW_DEFLATE)  # what many servers send as "deflate", RFC 9110 8.4.1
    except zlib.error as error:
        raise _Unreadable("not valid deflate") from error


def parsed(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it: UTF-8, finite numbers, no key twice; ValueError if not."""
    try:
        return _decoder.decode(body.decode())  # json.loads would guess UTF-16 from the bytes
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _Unreadable("not JSON") from error


def canonical(value: Any) -> str:
    """Return the one text that stands for a JSON value; ValueError if it is too large.

    Numbers are compared as numbers, so 7, 7.0 and 7e0 have the same text. The string "7" has
    another, and so has true: a model that changes its type has changed its answer. Keys are
    sorted; strings are compared code point by code point, without Unicode normalisation.
    """
    text = _encoder.encode(_plain(value, MAX_DEPTH))
    if len(text) > MAX_TEXT_CHARS:
        raise _Unreadable(f"prediction is longer than {MAX_TEXT_CHARS} characters")
    return text


def canonical_text(text: str) -> str:
    """Return the canonical form of a JSON text; ValueError if it is not JSON, or null."""
    return _class_text(text) if len(text) <= MAX_CLASS_CHARS else _canonical_text(text)


def _canonical_text(text: str) -> str:
    try:
        value = parsed(text.encode())
    except RecursionError as error:
        raise _Unreadable("nested too deep") from error
    except UnicodeEncodeError as error:
        raise _Unreadable("not Unicode") from error
    if value is None:
        raise _Unreadable("null is not a label")
    return canonical(value)


# Most labels are one of a few classes; reading one anew costs 5 us (make bench-labels).
_class_text = lru_cache(maxsize=4096)(_canonical_text)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):  # JMESPath functions can make one
            raise _Unreadable("a number is not finite")
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, str | int):
        return value
    if depth == 0:
        raise _Unreadable("nested too deep")
    if isinstance(value, list):
        return [_plain(inner, depth - 1) for inner in value]
    if isinstance(value, dict):
        return {str(key): _plain(inner, depth - 1) for key, inner in value.items()}
    raise _Unreadable(f"{type(value).__name__} is not a JSON value")


def _inflated(body: bytes, wbits: int) -> bytes:
    stream = zlib.decompressobj(wbits)
    out = stream.decompress(body, MAX_BODY_BYTES + 1)
    if len(out) > MAX_BODY_BYTES:
        raise _Unreadable(f"unpacks to more than {MAX_BODY_BYTES} bytes")
    if not stream.eof:
        raise _Unreadable("compressed answer is cut short")
    if stream.unused_data:
        raise _Unreadable("bytes after the end of the compressed answer")
    return out


def _refuse(name: str) -> NoReturn:
    raise _Unreadable(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Unreadable("a number is out of range")
    return value


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _Unreadable("an integer has too many digits")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _Unreadable(
            "a key occurs twice"
        )  # which of the two a client reads is anybody's guess
    return fields


# Made once: json.loads and json.dumps make theirs anew at every call, measured 5 to 10 us.
_decoder = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_unique
)
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
