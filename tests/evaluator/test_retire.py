"""What becomes of observations that wait no more."""

import sqlite3

from evaluator.join import LabelOutcome
from evaluator.journal import Journal
from tests.evaluator.journals import S, judgable, outcome


def test_judged_observation_takes_no_label_any_more(journal: Journal) -> None:
    journal.add("digits", [judgable(1), judgable(2)])
    outcome(journal, "q2", "7")
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    assert journal.matured("digits", now_ns=S, maturity_ns=0) == []
    assert outcome(journal, "q1", "7") is LabelOutcome.LATE
    assert outcome(journal, "q2", "7") is LabelOutcome.DUPLICATE
    assert outcome(journal, "q2", "8") is LabelOutcome.CONFLICT


def test_purge_keeps_what_waits_and_what_is_inside_the_window(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=0), judgable(2, at_ns=8 * S)])
    journal.mark_judged(journal.matured("digits", now_ns=9 * S, maturity_ns=0))
    journal.add("digits", [judgable(3, at_ns=0)])
    assert journal.purge("digits", now_ns=10 * S, window_ns=5 * S) == 1
    assert outcome(journal, "q1", "7") is LabelOutcome.UNKNOWN
    assert outcome(journal, "q2", "7") is LabelOutcome.LATE
    assert outcome(journal, "q3", "7") is LabelOutcome.ACCEPTED


def test_an_ended_experiment_gives_way_at_once_and_is_cleared_up_bit_by_bit(
    journal: Journal, connection: sqlite3.Connection
) -> None:
    journal.add("digits", [judgable(number) for number in range(10)])
    outcome(journal, "q1", "7")
    assert journal.forget("digits") == 10
    assert journal.matured("digits", now_ns=S, maturity_ns=0) == []
    journal.add("digits", [judgable(number) for number in range(8, 12)])
    assert journal.waiting("digits") == 2  # q8 and q9 are known: the first one stays
    assert outcome(journal, "q0", "7") is LabelOutcome.LATE
    assert outcome(journal, "q1", "7") is LabelOutcome.DUPLICATE
    assert outcome(journal, "q10", "7") is LabelOutcome.ACCEPTED
    done = [journal.purge("digits", now_ns=5 * S, window_ns=S, limit=4) for _ in range(6)]
    assert max(done) <= 4 and done[-1] == 0 and sum(done) >= 10
    assert outcome(journal, "q0", "7") is LabelOutcome.UNKNOWN
    assert journal.waiting("digits") == 2
    for table, kept in (("queue", 1), ("observation", 2), ("judged", 0), ("ident", 2)):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (kept,), table
    assert connection.execute("SELECT count(*) FROM label").fetchone() == (1,)
