"""The evaluator's state behind each verdict, for as long as there is room: stored evidence.

With it the readings of a decision can be computed anew, to the last bit, long after the experiment
is over and its evaluator gone. The record of the decision holds its digest.
"""

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS decided (sequence INTEGER PRIMARY KEY, snapshot BLOB NOT NULL) STRICT;
"""
MAX_DECISIONS = 1_000
"""Kept; the oldest goes first. Chosen: a rollout makes some ten, of some ten kilobytes each."""


def keep(connection: sqlite3.Connection, sequence: int, snapshot: bytes) -> None:
    """Keep ``snapshot`` for the record ``sequence``, within the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO decided VALUES (?, ?)", (sequence, snapshot))
    connection.execute(
        "DELETE FROM decided WHERE sequence NOT IN"
        " (SELECT sequence FROM decided ORDER BY sequence DESC LIMIT ?)",
        (MAX_DECISIONS,),
    )


def load(connection: sqlite3.Connection, sequence: int) -> bytes | None:
    """Return what was kept for the record ``sequence``; None if nothing is."""
    row = connection.execute(
        "SELECT snapshot FROM decided WHERE sequence = ?", (sequence,)
    ).fetchone()
    return row[0] if row else None
