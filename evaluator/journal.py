"""What must survive until it is judged: observations that wait, and their labels (SQLite).

The connection is given and never committed here: the caller owns the transaction.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from evaluator.exposed import Exposed
from evaluator.join import Judgable, Label, LabelOutcome, LabelResult, checked

MAX_ROWS = 2_000_000
"""Observations kept at most, waiting or judged; about 200 bytes each. Chosen."""
MAX_PARKED = 20_000
"""Labels kept at most that came before their observation. Chosen."""
PARKED_NS = 60 * 1_000_000_000
"""How long such a label waits: an observation is on its way for milliseconds, a minute if the
router had to reconnect."""

WAITING, JUDGED = 0, 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS observation (
    sequence INTEGER PRIMARY KEY,
    route TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    judgable BLOB NOT NULL,
    label TEXT,
    labelled_at_ns INTEGER,
    state INTEGER NOT NULL DEFAULT 0,
    UNIQUE (request_id, route)
);
CREATE INDEX IF NOT EXISTS observation_due ON observation (route, state, at_ns);
CREATE TABLE IF NOT EXISTS parked_label (
    sequence INTEGER PRIMARY KEY,
    route TEXT,
    request_id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    labelled_at_ns INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS parked_since ON parked_label (labelled_at_ns);
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Judgable)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of observations handed to the journal."""

    added: int = 0
    repeated: int = 0
    """Their request id was there already: not joined, the first one stays."""
    refused: int = 0
    """The journal is full."""
    labelled: int = 0
    """Their label had come before them; it was answered ``unknown`` then and is accepted now."""


@dataclass(frozen=True, slots=True)
class Due:
    """An observation to be judged, with its label or None."""

    sequence: int
    judgable: Judgable
    label: str | None
    """Canonical JSON text."""


class Journal:
    """Waiting observations of all routes. Owned by the engine's thread; never commits.

    State of a row: WAITING -> JUDGED -> gone after the window. Only a waiting row takes a label.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        max_rows: int = MAX_ROWS,
        max_parked: int = MAX_PARKED,
    ) -> None:
        self._connection = connection
        self._max_rows = max_rows
        self._max_parked = max_parked
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)

    def add(self, route: str, judgables: Sequence[Judgable]) -> Added:
        """Keep observations until they are judged; a label that came earlier joins at once."""
        room = self._max_rows - self._span("observation")
        added = repeated = refused = 0
        new: list[str] = []
        for judgable in judgables:
            if added >= room:
                refused += 1
                continue
            cursor = self._connection.execute(
                "INSERT INTO observation (route, request_id, at_ns, judgable) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (request_id, route) DO NOTHING",
                (route, judgable.request_id, judgable.at_ns, _encoder.encode(judgable)),
            )
            if cursor.rowcount == 1:
                added += 1
                new.append(judgable.request_id)
            else:
                repeated += 1
        return Added(added, repeated, refused, self._unpark(route, new))

    def label(self, label: Label, *, now_ns: int, window_ns: int | None = None) -> LabelResult:
        """Join one label. ``window_ns`` refuses observations older than that; None refuses none."""
        clean = checked(label)
        if isinstance(clean, LabelResult):
            return clean
        if clean.exposure is not None:
            refused = self._admit(clean.exposure)
            if refused is not None:
                return refused
        rows = self._connection.execute(
            "SELECT sequence, route, at_ns, label, state FROM observation"
            " WHERE request_id = ? AND (?2 IS NULL OR route = ?2) LIMIT 2",
            (clean.request_id, clean.route),
        ).fetchall()
        if not rows:
            return self._park(clean, now_ns)
        if len(rows) > 1:
            return LabelResult(
                LabelOutcome.INVALID, f"routes {rows[0][1]!r} and {rows[1][1]!r} both have this id"
            )
        sequence, route, at_ns, present, state = rows[0]
        if present is not None:
            return _again(present, clean.label, route)
        if state == JUDGED:
            return LabelResult(LabelOutcome.LATE, "its observation was judged without it", route)
        if window_ns is not None and now_ns - at_ns > window_ns:
            return LabelResult(LabelOutcome.LATE, "its observation is past the window", route)
        self._connection.execute(
            "UPDATE observation SET label = ?, labelled_at_ns = ? WHERE sequence = ?",
            (clean.label, now_ns, sequence),
        )
        return LabelResult(LabelOutcome.ACCEPTED, "joined", route)

    def matured(
        self, route: str, *, now_ns: int, maturity_ns: int, limit: int = 10_000
    ) -> list[Due]:
        """Return waiting observations that are ``maturity_ns`` old, in the order of requests."""
        rows = self._connection.execute(
            "SELECT sequence, judgable, label FROM observation"
            " WHERE route = ? AND state = ? AND at_ns <= ? ORDER BY at_ns, sequence LIMIT ?",
            (route, WAITING, now_ns - maturity_ns, limit),
        ).fetchall()
        return [Due(sequence, _decoder.decode(raw), label) for sequence, raw, label in rows]

    def unscored(self, route: str, *, after: int, limit: int) -> list[Due]:
        """Return waiting observations without a label behind sequence ``after``, in their order."""
        rows = self._connection.execute(
            "SELECT sequence, judgable FROM observation"
            " WHERE sequence > ? AND route = ? AND state = ? AND label IS NULL"
            " ORDER BY sequence LIMIT ?",
            (after, route, WAITING, limit),
        ).fetchall()
        return [Due(sequence, _decoder.decode(raw), None) for sequence, raw in rows]

    def mark_judged(self, due: Sequence[Due]) -> None:
        """Record that they were judged: they take no label any more and keep no prediction."""
        self._connection.executemany(
            "UPDATE observation SET state = ?, judgable = x'' WHERE sequence = ?",
            [(JUDGED, one.sequence) for one in due],
        )

    def purge(self, route: str, *, now_ns: int, window_ns: int, limit: int = 10_000) -> int:
        """Forget judged observations past the window; labels for them are unknown from then on."""
        cursor = self._connection.execute(
            "DELETE FROM observation WHERE sequence IN (SELECT sequence FROM observation"
            " WHERE route = ? AND state = ? AND at_ns < ? LIMIT ?)",
            (route, JUDGED, now_ns - window_ns, limit),
        )
        self._connection.execute(
            "DELETE FROM parked_label WHERE labelled_at_ns < ?", (now_ns - PARKED_NS,)
        )
        return cursor.rowcount

    def forget(self, route: str) -> int:
        """Drop all that waits on a route: its experiment has ended. Labelled ids stay known."""
        cursor = self._connection.execute(
            "UPDATE observation SET state = ?, judgable = x'' WHERE route = ? AND state = ?",
            (JUDGED, route, WAITING),
        )
        return cursor.rowcount

    def waiting(self, route: str) -> int:
        """Return how many observations of a route wait to be judged."""
        row = self._connection.execute(
            "SELECT count(*) FROM observation WHERE route = ? AND state = ?", (route, WAITING)
        ).fetchone()
        return int(row[0])

    def parked(self) -> int:
        """Return how many labels wait for an observation to arrive."""
        return int(self._connection.execute("SELECT count(*) FROM parked_label").fetchone()[0])

    def _admit(self, exposure: Exposed) -> LabelResult | None:
        """Keep what a token tells, so that its label has something to join; or say why not."""
        route = exposure.route
        row = self._connection.execute(
            "SELECT at_ns FROM observation WHERE request_id = ? AND route = ?",
            (exposure.request_id, route),
        ).fetchone()
        if row is not None:
            if row[0] == exposure.at_ns:
                return None
            because = "another request had this id before, and stays"
            return LabelResult(LabelOutcome.CONFLICT, because, route)
        if exposure.judgable is None:
            return exposure.refusal
        if self.add(route, [exposure.judgable]).refused:
            return LabelResult(LabelOutcome.UNKNOWN, "the store is full", route)
        return None

    def _span(self, table: str) -> int:
        """Return an upper bound of the rows in one of our two tables, without counting them."""
        low, high = self._connection.execute(  # two look-ups; both at once would scan
            f"SELECT (SELECT min(sequence) FROM {table}), (SELECT max(sequence) FROM {table})"
        ).fetchone()
        return 0 if low is None else int(high) - int(low) + 1

    def _park(self, label: Label, now_ns: int) -> LabelResult:
        """Keep a label for an observation that may still be on its way from the router."""
        oldest_ns = now_ns - PARKED_NS
        self._connection.execute("DELETE FROM parked_label WHERE labelled_at_ns < ?", (oldest_ns,))
        if self._span("parked_label") >= self._max_parked:
            return LabelResult(LabelOutcome.UNKNOWN, "no observation has this id")
        self._connection.execute(
            "INSERT INTO parked_label (route, request_id, label, labelled_at_ns)"
            " VALUES (?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING",
            (label.route, label.request_id, label.label, now_ns),
        )
        return LabelResult(
            LabelOutcome.UNKNOWN,
            f"no observation has this id yet; kept for {PARKED_NS // 10**9} s in case one comes",
        )

    def _unpark(self, route: str, request_ids: Sequence[str]) -> int:
        if not request_ids or not self._has_parked():
            return 0
        labelled = 0
        for request_id in request_ids:
            row = self._connection.execute(
                "DELETE FROM parked_label WHERE request_id = ? AND (route IS NULL OR route = ?)"
                " RETURNING label, labelled_at_ns",
                (request_id, route),
            ).fetchone()
            if row is not None:
                labelled += 1
                self._connection.execute(
                    "UPDATE observation SET label = ?, labelled_at_ns = ?"
                    " WHERE request_id = ? AND route = ?",
                    (*row, request_id, route),
                )
        return labelled

    def _has_parked(self) -> bool:
        return self._connection.execute("SELECT 1 FROM parked_label LIMIT 1").fetchone() is not None


def _again(present: str, label: str, route: str) -> LabelResult:
    if present == label:
        return LabelResult(LabelOutcome.DUPLICATE, "the same label is there already", route)
    return LabelResult(LabelOutcome.CONFLICT, "another label came first and stays", route)
