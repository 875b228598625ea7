"""The hash chain of the audit: what its end is, and whether it holds. Pure.

Each record carries the hash of the one before, so an edit, a deletion in the middle or a swap
breaks the chain where it happened. A chain cannot show that its tail was cut off, or that all of it
was written anew: for these, keep a head elsewhere and verify against it (Ma and Tsudik, 2009, ACM
Transactions on Storage 5(1): truncation).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

GENESIS = "0" * 64
"""What the first record names as the hash before it."""
_HEAD = re.compile(r"(?:(\d{1,18}):)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: enough to find a cut or rewritten tail later."""

    sequence: int
    """0 when there is no record."""
    hash: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A head that was seen earlier, as far as it was noted."""

    hash: str
    sequence: int | None = None
    """None: only the hash was kept."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chain holds."""

    verified: bool
    records: int
    """How many records hold together, from the first."""
    head: Head
    because: str


class HeadError(ValueError):
    """A text that names no head; the message says what would."""


class _Link(msgspec.Struct, frozen=True):
    """Of a record only what links it; the rest is in its hash."""

    sequence: int
    previous: str


class _Named(msgspec.Struct, frozen=True):
    """A record, a status line or a line of the log: whatever names a head."""

    hash: str
    sequence: int | None = None


class _Event(msgspec.Struct, frozen=True):
    data: _Named


_named = msgspec.json.Decoder(_Named)
_link = msgspec.json.Decoder(_Link)
Row = tuple[int, str, str]
"""A record's sequence, the text that was hashed, and its hash."""


def canonical(value: object) -> str:
    """Return the one JSON text for ``value``: sorted keys, no spaces, no NaN (ValueError)."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def hash_of(body: str) -> str:
    """Return the hash of a record's text; half a surrogate pair, which no record has, is hashed."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()


def verify(rows: Iterable[Row], noted: Noted | None = None) -> Verification:
    """Walk the whole chain; with a ``noted`` head, also check that it is still part of it.

    Looks at one record at a time: memory does not grow with the chain.
    """
    last = Head(0, GENESIS)
    is_met = noted is None or (noted.sequence in (0, None) and noted.hash == GENESIS)
    for sequence, body, digest in rows:
        fault = _fault(last, sequence, body, digest)
        if not fault and noted is not None and noted.sequence == sequence:
            fault = "" if noted.hash == digest else "is not the one that was noted"
        if fault:
            return Verification(False, last.sequence, last, f"record {last.sequence + 1} {fault}")
        last = Head(sequence, digest)
        is_met = is_met or (noted is not None and noted.hash == digest)
    if noted is not None and not is_met:
        return Verification(False, last.sequence, last, _lost(noted, last))
    return Verification(True, last.sequence, last, f"{last.sequence} records hold together")


def told(found: Verification) -> dict[str, object]:
    """Return what verifying found, JSON-ready; it names a head that may be noted."""
    return {
        "verified": found.verified,
        "records": found.records,
        "sequence": found.head.sequence,
        "hash": found.head.hash,
        "head": found.head.hash,
        "because": found.because,
    }


def rows_of(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the records of an export as the store has them.

    A line that is none becomes a record that does not hold: what follows cannot be trusted. One
    that is written as we write it need not be read for its text, which is six times as fast.
    """
    for line in lines:
        try:
            named = _named.decode(line)
            body = line.rstrip("\n").replace(f'"hash":"{named.hash}",', "", 1)
            if named.sequence is not None and hash_of(body) == named.hash:
                yield named.sequence, body, named.hash
                continue
            record = json.loads(line)
            digest = record.pop("hash")
            yield record["sequence"], canonical(record), digest
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError):
            yield -1, line, ""


def read_head(text: str) -> Noted:
    """Return the head that ``text`` names: HASH, SEQUENCE:HASH, or JSON with both.

    The JSON may be a record, an answer of ``audit verify --json``, a line of the log or an event;
    of several lines the last one counts. HeadError otherwise.
    """
    line = next((one for one in reversed(text.splitlines()) if one.strip()), "").strip()
    plain = _HEAD.fullmatch(line)
    if plain is not None:
        sequence, digest = plain.groups()
        return Noted(digest.lower(), None if sequence is None else int(sequence))
    named = _named_in(line)
    if named is None or not _HEAD.fullmatch(named.hash):
        raise HeadError(
            f"neither a hash of 64 hex digits, nor SEQUENCE:HASH, nor JSON: {line[:80]!r}"
        )
    return Noted(named.hash.lower(), named.sequence)


def _named_in(line: str) -> _Named | None:
    try:
        return _named.decode(line)
    except (msgspec.MsgspecError, ValueError):
        pass
    try:
        return msgspec.json.decode(line, type=_Event).data
    except (msgspec.MsgspecError, ValueError):
        return None


def _lost(noted: Noted, last: Head) -> str:
    if noted.sequence is not None and noted.sequence > last.sequence:
        return f"the chain ends at {last.sequence}, a head at {noted.sequence} was noted"
    return "no record has the hash that was noted: records were cut off or written anew"


def _fault(last: Head, sequence: int, body: str, digest: str) -> str:
    if sequence == -1 and not digest:
        return "is not a record"
    if sequence != last.sequence + 1:
        return f"is missing: the next one is {sequence}"
    if hash_of(body) != digest:
        return "does not have the content that its hash was made from"
    try:
        link = _link.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return "is not a record"
    if link.sequence != sequence:
        return f"says that it is record {link.sequence}"
    return "" if link.previous == last.hash else "does not follow the record before it"
