"""The record of every transition: append-only, hash-chained, verifiable by anyone.

What the chain shows, and what it cannot, is in controller/chain.py.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from controller import chain
from controller.chain import GENESIS, Head, Noted, Verification, canonical, hash_of

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
    """adopt, start, advance, promote, rollback, finish, hold, resume, reload, refuse or labels;
    approve or withdraw (approvals); renew or mend (a promotion around the gates)."""
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


def append(connection: sqlite3.Connection, entry: Entry) -> Head:
    """Add ``entry`` at the end, within the caller's transaction; it counts once that commits."""
    last = head(connection)
    content: dict[str, Any] = asdict(entry)
    content["at"] = iso(content.pop("at_ns"))
    content |= {"sequence": last.sequence + 1, "previous": last.hash}
    body = canonical(content)
    added = Head(last.sequence + 1, hash_of(body))
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", (added.sequence, body, added.hash))
    return added


def head(connection: sqlite3.Connection) -> Head:
    """Return the end of the chain."""
    row = connection.execute(
        "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else Head(0, GENESIS)


def verify(connection: sqlite3.Connection, noted: Noted | None = None) -> Verification:
    """Walk the whole chain, and look for the ``noted`` head in it: see ``controller.chain``."""
    rows = connection.execute("SELECT sequence, body, hash FROM audit ORDER BY sequence")
    return chain.verify(rows, noted)


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
