"""From the journal's first schema to the present one, with nothing lost (SQLite).

The connection is given and never committed here: the caller owns the transaction, so an upgrade
that is stopped anywhere has not happened.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

from evaluator.requestkey import key_of
from evaluator.schema import SCHEMA, statements

_AT_ONCE = 10_000
_WAITING = 0


def from_first(connection: sqlite3.Connection) -> int:
    """Bring the tables of schema 1 to schema 2; return how many observations were in them.

    What waited, waits; what was judged still knows its label; early labels stay where they are.
    """
    has_old = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'observation'"
    ).fetchone()
    if not has_old:
        return 0  # it was opened and closed before it had a journal
    connection.execute("ALTER TABLE observation RENAME TO observation_1")
    connection.execute("DROP INDEX observation_due")
    for statement in statements(SCHEMA):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO queue (route, is_open, waiting) SELECT route, 1, sum(state = ?)"
        " FROM observation_1 GROUP BY route ORDER BY route",
        (_WAITING,),
    )
    queues = dict(connection.execute("SELECT route, id FROM queue"))
    count = 0
    for rows in _pages(connection):
        _copy(connection, queues, rows)
        count += len(rows)
    connection.execute("DROP TABLE observation_1")
    return count


def _pages(connection: sqlite3.Connection) -> Iterator[list[tuple[Any, ...]]]:
    after = -1
    while True:
        rows = connection.execute(
            "SELECT sequence, route, request_id, at_ns, judgable, label, labelled_at_ns, state"
            " FROM observation_1 WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, _AT_ONCE),
        ).fetchall()
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _copy(
    connection: sqlite3.Connection, queues: dict[str, int], rows: list[tuple[Any, ...]]
) -> None:
    insert = connection.executemany
    keyed = [(*row, queues[row[1]], key_of(row[2])) for row in rows]
    insert(
        "INSERT INTO ident (key, queue, sequence) VALUES (?, ?, ?)",
        [(key, queue, sequence) for sequence, *_, queue, key in keyed],
    )
    insert(
        "INSERT INTO label (sequence, content, at_ns) VALUES (?, ?, ?)",
        [(row[0], row[5], row[6]) for row in keyed if row[5] is not None],
    )
    insert(
        "INSERT INTO observation (sequence, queue, at_ns, key, judgable) VALUES (?, ?, ?, ?, ?)",
        [(row[0], row[8], row[3], row[9], row[4]) for row in keyed if row[7] == _WAITING],
    )
    insert(
        "INSERT INTO judged (queue, at_ns, sequence, key) VALUES (?, ?, ?, ?)",
        [(row[8], row[3], row[0], row[9]) for row in keyed if row[7] != _WAITING],
    )
