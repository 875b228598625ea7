"""One number for a row of named values, the same whichever file format the row came in.

A golden set that shares rows with the training data judges a model on what it learnt by heart. To
find shared rows without keeping them, each row becomes a 64-bit hash of its normal form. Pure.

The normal form forgets what a change of format changes, and nothing else:

- columns have no order; nested objects become dotted names; a missing value is an absent column
  (null, NaN, an empty text),
- texts are trimmed and in Unicode's normal form C; a text that looks like a number is that number,
  one that says true or false is that truth value, as a CSV file has nothing but texts,
- whole numbers are exact; others keep 6 significant digits, which a float32 holds too.

Two different rows share a hash by chance with probability 2**-64 for each pair: for a golden set of
10**5 rows and training data of 10**8, less than one in a million (birthday bound, n * m / 2**64).
"""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

DIGITS = 6
"""Of a number that is not whole. A float32 keeps 7.2 of them: a value on the edge of rounding may
still differ between float32 and float64, and its row is then not found."""
MAX_EXACT = 2**53
"""Floats above it are no exact whole numbers any more: they keep DIGITS, as fractions do."""
TINY = 1e-37
"""What is nearer to zero is zero, as a float32 may not hold it."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"[+-]?\d{1,40}")


def row_hash(row: Mapping[str, Any], columns: Collection[str] | None = None) -> int | None:
    """Return the hash of ``row``, 0 .. 2**64 - 1; None if no column of it has a value.

    ``columns`` (as ``flat`` names them) leaves out all others, so that a golden row with more
    columns than the training data had is compared on those that both have; None takes all.
    """
    cells = [
        [name, normal(value)] for name, value in flat(row) if columns is None or name in columns
    ]
    known = sorted(cell for cell in cells if cell[1] is not None)
    if not known:
        return None
    text = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def columns_of(row: Mapping[str, Any]) -> frozenset[str]:
    """Return the columns of ``row`` that have a value, by their dotted names."""
    return frozenset(name for name, value in flat(row) if normal(value) is not None)


def flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield name and value of each cell; ``{"a": {"b": 1}}`` is the cell ``a.b``.

    >>> list(flat({"age": 41, "address": {"city": "Bern"}}))
    [('age', 41), ('address.city', 'Bern')]
    """
    for name, value in row.items():
        dotted = prefix + unicodedata.normalize("NFC", str(name).strip())
        if isinstance(value, Mapping):
            yield from flat(value, dotted + ".")
        else:
            yield dotted, value


def normal(value: Any) -> str | None:
    """Return the normal form of one value as text; None for a missing one.

    >>> normal("1.0"), normal(1), normal(" True "), normal(True), normal(float("nan")), normal("")
    ('n1', 'n1', 'btrue', 'btrue', None, None)
    """
    match value:
        case None:
            return None
        case bool():
            return "btrue" if value else "bfalse"
        case int():
            return f"n{value}"
        case float():
            return _number(value)
        case Decimal():
            return _text(str(value))
        case str():
            return _text(value)
        case datetime() | date():
            return f"s{value.isoformat()}"
        case bytes():
            return f"x{hashlib.sha256(value).hexdigest()}"
        case Mapping():
            cells = sorted([name, normal(cell)] for name, cell in flat(value))
            return "m" + json.dumps([cell for cell in cells if cell[1] is not None])
        case Sequence():
            return "l" + json.dumps([normal(item) for item in value], ensure_ascii=False)
    return _text(str(value))


def _text(value: str) -> str | None:
    text = unicodedata.normalize("NFC", value.strip())
    if not text or text.lower() == "nan":
        return None
    if text.lower() in ("true", "false"):
        return f"b{text.lower()}"
    if _WHOLE.fullmatch(text):
        return f"n{int(text)}"
    if _NUMBER.fullmatch(text):
        return _number(float(text))
    return f"s{text}"


def _number(value: float) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return f"n{value}"
    if abs(value) < TINY:
        return "n0"
    if abs(value) <= MAX_EXACT and value.is_integer():
        return f"n{int(value)}"
    return f"n{value:.{DIGITS - 1}e}"
