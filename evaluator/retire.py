"""Observations that wait no more: judged, kept until their window is over, then gone (SQLite).

The connection is given and never committed here: the caller owns the transaction.
"""

import sqlite3
from collections.abc import Iterable


def retire(connection: sqlite3.Connection, sequences: Iterable[tuple[int]]) -> None:
    """Move observations from those that wait to those that do not."""
    connection.execute("DELETE FROM chosen")
    connection.executemany("INSERT INTO chosen VALUES (?)", sequences)
    chosen = "observation WHERE sequence IN (SELECT sequence FROM chosen)"
    counted = connection.execute(f"SELECT count(*), queue FROM {chosen} GROUP BY queue").fetchall()
    connection.executemany(
        "UPDATE queue SET waiting = waiting - ? WHERE id = ? AND is_open", counted
    )
    connection.execute(f"INSERT INTO judged SELECT queue, at_ns, sequence, key FROM {chosen}")
    connection.execute(f"DELETE FROM {chosen}")


def clear(
    connection: sqlite3.Connection, queue: int, *, is_open: bool, before_ns: int, limit: int
) -> int:
    """Drop of one queue what was judged and is older than ``before_ns``.

    What waits in a closed queue is retired first, and the queue goes with the last that is in it.
    Return how many observations were retired or dropped: at most ``limit``.
    """
    done = 0 if is_open else _retire_some(connection, queue, limit)
    done += _purge(connection, queue, before_ns, limit - done)
    if not is_open and _is_gone(connection, queue):
        connection.execute("DELETE FROM queue WHERE id = ?", (queue,))
    return done


def _retire_some(connection: sqlite3.Connection, queue: int, limit: int) -> int:
    rows = connection.execute(
        "SELECT sequence FROM observation WHERE queue = ? LIMIT ?", (queue, limit)
    ).fetchall()
    retire(connection, rows)
    return len(rows)


def _purge(connection: sqlite3.Connection, queue: int, before_ns: int, limit: int) -> int:
    rows = connection.execute(
        "SELECT at_ns, sequence, key FROM judged WHERE queue = ? AND at_ns < ? LIMIT ?",
        (queue, before_ns, limit),
    ).fetchall()
    for table, where, values in (
        ("ident", "key = ? AND queue = ?", [(key, queue) for _, _, key in rows]),
        ("label", "sequence = ?", [(sequence,) for _, sequence, _ in rows]),
        (
            "judged",
            "queue = ? AND at_ns = ? AND sequence = ?",
            [(queue, at_ns, sequence) for at_ns, sequence, _ in rows],
        ),
    ):
        connection.executemany(f"DELETE FROM {table} WHERE {where}", values)
    return len(rows)


def _is_gone(connection: sqlite3.Connection, queue: int) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM observation WHERE queue = ?1)"
        " OR EXISTS (SELECT 1 FROM judged WHERE queue = ?1)",
        (queue,),
    ).fetchone()
    return not row[0]
