"""The tables of the journal: what each holds, and what is found in them by an index (SQLite).

Observations stand in the order in which they came, and what is asked of many of them (maturing,
judging, a label sent in the order of requests) touches neighbours. Only ``ident``, which finds an
observation by its request id, is in the order of ids: near the order of time for ids that a router
made, at random for those of clients. docs/adr/0018 has the reasons and the figures.
"""

from collections.abc import Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    route TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    waiting INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS observation (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    key BLOB NOT NULL,
    judgable BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS observation_due ON observation (queue, at_ns);
CREATE TABLE IF NOT EXISTS ident (
    key BLOB NOT NULL,
    queue INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (key, queue)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS label (
    sequence INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    at_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS judged (
    queue INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (queue, at_ns, sequence)
) WITHOUT ROWID;
"""
"""``queue``: what waits for one experiment of a route; closed when that ends. ``observation``: what
waits. ``judged``: what does not any more, until its window is over. ``ident`` and ``label`` belong
to a row of either, by its ``sequence``. A ``key`` is text or bytes: evaluator/requestkey.py."""

TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS wanted (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS chosen (sequence INTEGER PRIMARY KEY);
"""
"""Lists of one statement: a connection has its own."""


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: ``executescript`` would commit first."""
    return (one for one in script.split(";\n") if one.strip())
