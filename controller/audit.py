"""The record of every transition: append-only, hash-chained, verifiable by anyone.

Each record carries the hash of the one before, so an edit, a deletion in the middle or a swap
breaks the chain where it happened. A chain cannot show that its tail was cut off, or that all of it
was rewritten: for these, keep a head (``sequence`` and ``hash``) elsewhere and verify against it
(Ma and Tsudik, 2009, ACM Transactions on Storage 5(1): truncation).
"""

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
"""What the first record names as the hash before it."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    sequence INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_is_not_edited BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
"""
"""``body`` is the canonical JSON that was hashed, kept as text, so that verifying does not depend
on how a later version writes a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happened, before it has its place in the chain."""

    at_ns: int
    """Wall clock. The order of records is their sequence, never this."""
    who: str
    """A person, or ``controller``."""
    route: str
    action: str
    """adopt, start, advance, promote, rollback, finish, hold, resume, reload, refuse or labels."""
    because: str
    config_digest: str
    challenger: str | None = None
    phase_from: str | None = None
    phase_to: str | None = None
    share_from: float = 0.0
    """The challenger's share of the route's units, 0..1."""
    share_to: float = 0.0
    table_from: int = 0
    table_to: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)
    """JSON-ready: the readings and counts that the act rests on."""
    artifact: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: enough to find a cut or rewritten tail later."""

    sequence: int
    """0 when there is no record."""
    hash: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chain holds."""

    verified: bool
    records: int
    """How many records hold together, from the first."""
    head: Head
    because: str


def canonical(value: object) -> str:
    """Return the one JSON text for ``value``: sorted keys, no spaces, no NaN (ValueError)."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def append(connection: sqlite3.Connection, entry: Entry) -> Head:
    """Add ``entry`` at the end, within the caller's transaction; it counts once that commits."""
    last = head(connection)
    content: dict[str, Any] = asdict(entry)
    content["at"] = iso(content.pop("at_ns"))
    content |= {"sequence": last.sequence + 1, "previous": last.hash}
    body = canonical(content)
    added = Head(last.sequence + 1, _hash(body))
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", (added.sequence, body, added.hash))
    return added


def head(connection: sqlite3.Connection) -> Head:
    """Return the end of the chain."""
    row = connection.execute(
        "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else Head(0, GENESIS)


def verify(connection: sqlite3.Connection, checkpoint: Head | None = None) -> Verification:
    """Walk the whole chain; with a ``checkpoint``, also check that it is still part of it.

    Reads one record at a time: memory does not grow with the chain.
    """
    last = Head(0, GENESIS)
    rows = connection.execute("SELECT sequence, body, hash FROM audit ORDER BY sequence")
    for sequence, body, digest in rows:
        fault = _fault(last, sequence, body, digest)
        if not fault and checkpoint and checkpoint.sequence == sequence:
            fault = "" if checkpoint.hash == digest else "is not the one that was noted"
        if fault:
            because = f"record {last.sequence + 1} {fault}"
            return Verification(False, last.sequence, last, because)
        last = Head(sequence, digest)
    if checkpoint and checkpoint.sequence > last.sequence:
        because = f"the chain ends at {last.sequence}, a head at {checkpoint.sequence} was noted"
        return Verification(False, last.sequence, last, because)
    return Verification(True, last.sequence, last, f"{last.sequence} records hold together")


def records(connection: sqlite3.Connection, *, after: int, limit: int) -> list[dict[str, Any]]:
    """Return up to ``limit`` records with a sequence above ``after``, oldest first."""
    rows = connection.execute(
        "SELECT body, hash FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, limit)
    )
    return [json.loads(body) | {"hash": digest} for body, digest in rows]


def latest(
    connection: sqlite3.Connection, *, route: str | None, actions: Collection[str], limit: int
) -> list[dict[str, Any]]:
    """Return up to ``limit`` records of ``actions`` (of one route, or of all), newest first."""
    marks = ",".join("?" * len(actions))
    rows = connection.execute(
        "SELECT body, hash FROM audit"
        f" WHERE json_extract(body, '$.action') IN ({marks})"
        " AND (? IS NULL OR json_extract(body, '$.route') = ?)"
        " ORDER BY sequence DESC LIMIT ?",
        (*actions, route, route, limit),
    )
    return [json.loads(body) | {"hash": digest} for body, digest in rows]


def export(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield every record as one line of JSON, each with its hash."""
    rows = connection.execute("SELECT body, hash FROM audit ORDER BY sequence")
    for body, digest in rows:
        yield canonical(json.loads(body) | {"hash": digest})


def iso(at_ns: int) -> str:
    """Write a wall-clock moment as RFC 3339 in UTC, to the microsecond."""
    at = datetime.fromtimestamp(at_ns // 1000 / 1e6, tz=UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _fault(last: Head, sequence: int, body: str, digest: str) -> str:
    if sequence != last.sequence + 1:
        return f"is missing: the next one is {sequence}"
    if _hash(body) != digest:
        return "does not have the content that its hash was made from"
    try:
        content = json.loads(body)
        named, previous = content["sequence"], content["previous"]
    except (ValueError, KeyError, TypeError):
        return "is not a record"
    if named != sequence:
        return f"says that it is record {named}"
    return "" if previous == last.hash else "does not follow the record before it"
