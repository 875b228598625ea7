"""The tables of the journal."""

import sqlite3

from evaluator.join import Label
from evaluator.journal import Journal
from tests.evaluator.journals import S, judgable, outcome


def plan_of(connection: sqlite3.Connection, statement: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]


def test_every_question_about_millions_of_rows_is_answered_from_an_index(
    connection: sqlite3.Connection,
) -> None:
    """A scan every 100 ms would stall the engine. What is asked is asked here, by a trace."""
    Journal(connection)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    journal = Journal(connection)
    journal.add("digits", [judgable(number) for number in range(20)])
    journal.label(Label("q1", "7"), now_ns=S)
    journal.label_many([Label("q2", "7"), Label("q3", "8")], now_ns=S)
    journal.unscored("digits", after=0, limit=5)
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0, limit=10))
    journal.forget("digits")
    journal.purge("digits", now_ns=S, window_ns=0)
    journal.waiting("digits")
    connection.set_trace_callback(None)
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")
    plans = {one: plan_of(connection, one) for one in asked if one.startswith(words)}
    assert len(plans) > 20
    large = ("observation", "ident", "label", "judged", "o", "i", "l")
    for statement, steps in plans.items():
        for step in steps:
            assert not any(step == f"SCAN {table}" for table in large), (statement, steps)
            assert "TEMP B-TREE FOR ORDER BY" not in step, (statement, steps)


def test_a_sequence_is_never_given_twice(journal: Journal) -> None:
    """Labels and ids belong to a sequence, also those of a row that was judged."""
    journal.add("digits", [judgable(1), judgable(2)])
    outcome(journal, "q2", "8")
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    journal.add("digits", [judgable(3)])
    (due,) = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert (due.sequence, due.label) == (3, None)
