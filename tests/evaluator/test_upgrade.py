"""A state of the first schema, as the version that wrote it made it."""

import sqlite3
from collections.abc import Iterator

import msgspec
import pytest

from evaluator.join import Answer, Judgable, Label, LabelOutcome, Mode
from evaluator.journal import Journal
from evaluator.upgrade import from_first

FIRST = """
CREATE TABLE observation (
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
CREATE INDEX observation_due ON observation (route, state, at_ns);
CREATE TABLE parked_label (
    sequence INTEGER PRIMARY KEY,
    route TEXT,
    request_id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    labelled_at_ns INTEGER NOT NULL
);
CREATE INDEX parked_since ON parked_label (labelled_at_ns);
"""
ROW = "INSERT INTO observation VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
OURS = "00000000000000000000000000000001"


def judgable(request_id: str, at_ns: int) -> Judgable:
    return Judgable(request_id, at_ns, Mode.PAIR, 0.5, 7, 3, Answer("7"), Answer("8"))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Three that wait, one of them labelled; two that were judged, one of them labelled."""
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.executescript(FIRST)
    waiting = [(1, "digits", "a", "7"), (4, "digits", OURS, None), (9, "fraud", "a", None)]
    for sequence, route, request_id, label in waiting:
        raw = msgspec.msgpack.encode(judgable(request_id, 100 * sequence))
        opened.execute(ROW, (sequence, route, request_id, 100 * sequence, raw, label, 5, 0))
    for sequence, request_id, label in ((2, "b", "8"), (3, "c", None)):
        opened.execute(ROW, (sequence, "digits", request_id, 100 * sequence, b"", label, 6, 1))
    opened.execute("INSERT INTO parked_label VALUES (1, NULL, 'early', '7', 8)")
    yield opened
    opened.close()


def test_nothing_is_lost(connection) -> None:
    assert from_first(connection) == 5
    journal = Journal(connection)
    due = journal.matured("digits", now_ns=10_000, maturity_ns=0)
    assert [(one.judgable, one.label) for one in due] == [
        (judgable("a", 100), "7"),
        (judgable(OURS, 400), None),
    ]
    assert (journal.waiting("digits"), journal.waiting("fraud")) == (2, 1)
    outcomes = [
        journal.label(Label(request_id, "8", "digits"), now_ns=9).outcome
        for request_id in ("a", OURS, "b", "c", "d")
    ]
    assert outcomes == [
        LabelOutcome.CONFLICT,
        LabelOutcome.ACCEPTED,
        LabelOutcome.DUPLICATE,
        LabelOutcome.LATE,
        LabelOutcome.UNKNOWN,
    ]
    assert journal.add("fraud", [judgable("early", 1)]).labelled == 1
    assert journal.matured("fraud", now_ns=10_000, maturity_ns=0)[1].sequence == 9


def test_new_sequences_begin_behind_the_old_ones(connection) -> None:
    from_first(connection)
    journal = Journal(connection)
    journal.add("digits", [judgable("new", 5_000)])
    assert journal.matured("digits", now_ns=10_000, maturity_ns=0)[-1].sequence == 10


def test_what_was_judged_goes_when_its_window_is_over(connection) -> None:
    from_first(connection)
    journal = Journal(connection)
    assert journal.purge("digits", now_ns=10_000, window_ns=9_750) == 1
    assert journal.label(Label("b", "8"), now_ns=9).outcome is LabelOutcome.UNKNOWN
    assert journal.label(Label("c", "8"), now_ns=9).outcome is LabelOutcome.LATE


def test_a_state_that_never_had_a_journal_has_nothing_to_bring(connection) -> None:
    assert from_first(sqlite3.connect(":memory:")) == 0


def test_an_upgrade_that_is_stopped_has_not_happened(connection) -> None:
    connection.execute("BEGIN")
    from_first(connection)
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM observation").fetchone() == (5,)
    assert from_first(connection) == 5
