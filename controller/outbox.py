"""What each destination of events was told of the audit. The audit is the outbox: no second copy.

A record is in it exactly when its transition is, so no event is lost, and none tells of what was
undone. All that is kept beside it is how far each destination is. What waits is bounded: of a
destination that takes nothing for long the oldest records are passed over, and counted.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from controller import audit

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    destination TEXT PRIMARY KEY, sequence INTEGER NOT NULL, dropped INTEGER NOT NULL
) STRICT;
"""
MAX_WAITING = 10_000
"""Records a destination may be behind; beyond it the oldest are passed over. Chosen: a rollout
leaves some ten records, so that is weeks of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a destination is."""

    sequence: int
    """Of the last record that is done with: sent, not asked for, given up or passed over."""
    dropped: int
    """Records that were given up or passed over, ever."""


def join(connection: sqlite3.Connection, destination: str) -> Place:
    """Return how far ``destination`` is, within the caller's transaction.

    A new one begins with what happens from now on, and so does one that is ahead of the audit: its
    state is an old copy.
    """
    end = audit.head(connection).sequence
    row = connection.execute(
        "SELECT sequence, dropped FROM outbox WHERE destination = ?", (destination,)
    ).fetchone()
    if row is not None and row[0] <= end:
        return Place(*row)
    place = Place(end, 0 if row is None else row[1])
    note(connection, destination, place)
    return place


def note(connection: sqlite3.Connection, destination: str, place: Place) -> None:
    """Write how far ``destination`` is, within the caller's transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?)",
        (destination, place.sequence, place.dropped),
    )


def keep_only(connection: sqlite3.Connection, destinations: Collection[str]) -> None:
    """Forget the places of all others, within the caller's transaction."""
    marks = ",".join("?" * len(destinations))
    connection.execute(
        f"DELETE FROM outbox WHERE destination NOT IN ({marks})", tuple(destinations)
    )


def bounded(place: Place, head: int, *, max_waiting: int = MAX_WAITING) -> Place:
    """Return ``place`` without what is too much to wait behind a chain that ends at ``head``."""
    excess = head - place.sequence - max_waiting
    if excess <= 0:
        return place
    return Place(place.sequence + excess, place.dropped + excess)
