"""What waits, as it is read."""

import sqlite3

from evaluator.join import Answer, Judgable, Label, Mode
from evaluator.journal import Journal
from tests.evaluator.journals import S, judgable, outcome


def test_nothing_matures_before_its_time(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=10 * S)])
    assert journal.matured("digits", now_ns=15 * S - 1, maturity_ns=5 * S) == []
    assert len(journal.matured("digits", now_ns=15 * S, maturity_ns=5 * S)) == 1


def test_observations_mature_in_the_order_of_requests_not_of_arrival(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=30), judgable(2, at_ns=10)])
    journal.add("digits", [judgable(3, at_ns=20)])
    due = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert [one.judgable.request_id for one in due] == ["q2", "q3", "q1"]


def test_everything_that_waits_is_told_in_the_order_of_requests(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=30), judgable(2, at_ns=10)])
    journal.add("fraud", [judgable(3)])
    outcome(journal, "q1", "7")
    told = [(due.judgable, due.label) for due in journal.all_waiting("digits")]
    assert told == [(judgable(2, at_ns=10), None), (judgable(1, at_ns=30), "7")]


def test_unscored_are_those_that_wait_without_a_label_behind_a_place(
    connection: sqlite3.Connection,
) -> None:
    journal = Journal(connection)
    waiting = [
        Judgable(f"s{i}", i, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("7")) for i in range(5)
    ]
    journal.add("digits", waiting)
    journal.label(Label("s1", "7"), now_ns=10)
    found = journal.unscored("digits", after=0, limit=3)
    assert [due.judgable.request_id for due in found] == ["s0", "s2", "s3"]
    rest = journal.unscored("digits", after=found[-1].sequence, limit=3)
    assert [due.judgable.request_id for due in rest] == ["s4"]
    journal.mark_judged(rest)
    assert journal.unscored("digits", after=found[-1].sequence, limit=3) == []
    assert journal.unscored("other", after=0, limit=3) == []


def test_oldest_that_wait_are_told_with_how_many_have_a_label(journal: Journal) -> None:
    assert journal.oldest("digits", limit=5) == (None, 0, 0)
    journal.add("digits", [judgable(1, at_ns=30), judgable(2, at_ns=10), judgable(3, at_ns=20)])
    outcome(journal, "q2", "7")
    outcome(journal, "q1", "7")
    assert journal.oldest("digits", limit=2) == (10, 2, 1)
    assert journal.oldest("digits", limit=9) == (10, 3, 2)


def test_routes_of_which_anything_is_kept(journal: Journal) -> None:
    assert journal.routes() == []
    journal.add("digits", [judgable(1)])
    journal.add("fraud", [judgable(1)])
    assert sorted(journal.routes()) == ["digits", "fraud"]
