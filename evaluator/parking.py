"""Labels that came before their observation: kept for a minute, in case it is on its way (SQLite).

The connection is given and never committed here: the caller owns the transaction.
"""

import enum
import sqlite3
from collections.abc import Sequence

from evaluator.join import Label

MAX_PARKED = 20_000
"""Labels kept at most that came before their observation. Chosen."""
PARKED_NS = 60 * 1_000_000_000
"""How long such a label waits: an observation is on its way for milliseconds, a minute if the
router had to reconnect."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS parked_label (
    sequence INTEGER PRIMARY KEY,
    route TEXT,
    request_id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    labelled_at_ns INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS parked_since ON parked_label (labelled_at_ns);
"""


class Parked(enum.Enum):
    """What became of a label that came before its observation."""

    KEPT = "kept"  # or there already, or in place of the one that it corrects
    DIFFERS = "differs"  # another label for the id came first, and stays
    FULL = "full"  # there is no room, or the id waits on another route already


class Parking:
    """Owner: the Journal. Bounded by count and by time."""

    def __init__(self, connection: sqlite3.Connection, *, max_parked: int) -> None:
        self._connection = connection
        self._max_parked = max_parked
        self._expired_ns = -1
        """The time of the last clean-up: labels of one batch share it."""

    def put(self, label: Label, now_ns: int) -> Parked:
        """Keep ``label`` if there is room. The first of several for one id stays, for a minute from
        when it came, unless it is corrected."""
        if now_ns != self._expired_ns:
            self.expire(now_ns)
        if self._room() > 0:
            cursor = self._connection.execute(
                "INSERT INTO parked_label (route, request_id, label, labelled_at_ns)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING",
                (label.route, label.request_id, label.label, now_ns),
            )
            if cursor.rowcount == 1:
                return Parked.KEPT
        return self._put_again(label)

    def _put_again(self, label: Label) -> Parked:
        """Compare ``label`` with the one that is kept for its id, if there is one."""
        there = self._connection.execute(
            "SELECT label, route FROM parked_label WHERE request_id = ?", (label.request_id,)
        ).fetchone()
        if there is None:
            return Parked.FULL
        present, route = there
        if label.route is not None and route is not None and label.route != route:
            return Parked.FULL
        if present == label.label:
            return Parked.KEPT
        if not label.is_correction:
            return Parked.DIFFERS
        self._connection.execute(
            "UPDATE parked_label SET label = ? WHERE request_id = ?",
            (label.label, label.request_id),
        )
        return Parked.KEPT

    def take(self, route: str, request_ids: Sequence[str]) -> list[tuple[str, str, int]]:
        """Remove and return (request id, label, when it came) of those that are there."""
        if not request_ids or self._is_empty():
            return []
        found = []
        for request_id in request_ids:
            row = self._connection.execute(
                "DELETE FROM parked_label WHERE request_id = ? AND (route IS NULL OR route = ?)"
                " RETURNING request_id, label, labelled_at_ns",
                (request_id, route),
            ).fetchone()
            if row is not None:
                found.append(row)
        return found

    def expire(self, now_ns: int) -> None:
        """Drop what has waited for too long."""
        self._connection.execute(
            "DELETE FROM parked_label WHERE labelled_at_ns < ?", (now_ns - PARKED_NS,)
        )
        self._expired_ns = now_ns

    def count(self) -> int:
        """Return how many wait."""
        return int(self._connection.execute("SELECT count(*) FROM parked_label").fetchone()[0])

    def _is_empty(self) -> bool:
        return self._connection.execute("SELECT 1 FROM parked_label LIMIT 1").fetchone() is None

    def _room(self) -> int:
        """Return a lower bound of what still fits, without counting what is there."""
        low, high = self._connection.execute(  # two look-ups; both at once would scan
            "SELECT (SELECT min(sequence) FROM parked_label),"
            " (SELECT max(sequence) FROM parked_label)"
        ).fetchone()
        return self._max_parked - (0 if low is None else int(high) - int(low) + 1)
