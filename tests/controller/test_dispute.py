"""Second labels on their way into the audit."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.dispute import EVERY_S, MAX_IDS, Dispute, Disputes
from controller.opening import open_database
from controller.store import transaction
from evaluator.join import Label, LabelOutcome, LabelResult


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


class Audit:
    """Remembers what would be recorded."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, int], dict[str, list[str]]]] = []

    def __call__(self, connection: sqlite3.Connection, route: str, dispute: Dispute) -> None:
        assert connection.in_transaction
        self.records.append((route, dispute.counts, dispute.ids))


def note(
    disputes: Disputes,
    connection: sqlite3.Connection,
    audit: Audit,
    *outcomes: LabelOutcome,
    now_s: float,
    first: int = 0,
) -> None:
    labels = [Label(f"r{first + k}", "7") for k in range(len(outcomes))]
    results = [LabelResult(outcome, "", "digits") for outcome in outcomes]
    with transaction(connection):
        disputes.note(connection, labels, results, audit, now_s=now_s)
    disputes.settled(now_s=now_s)


def flush(disputes: Disputes, connection: sqlite3.Connection, audit: Audit, now_s: float) -> None:
    with transaction(connection):
        disputes.flush(connection, audit, now_s=now_s)
    disputes.settled(now_s=now_s)


def test_first_of_a_route_is_recorded_with_its_labels(connection):
    audit, disputes = Audit(), Disputes(connection)
    kinds = (LabelOutcome.CONFLICT, LabelOutcome.ACCEPTED, LabelOutcome.CORRECTED)
    note(disputes, connection, audit, *kinds, now_s=5.0)
    assert audit.records == [
        ("digits", {"conflict": 1, "corrected": 1}, {"conflict": ["r0"], "corrected": ["r2"]})
    ]


def test_labels_that_nobody_disputes_are_no_news(connection):
    audit, disputes = Audit(), Disputes(connection)
    note(disputes, connection, audit, LabelOutcome.ACCEPTED, LabelOutcome.DUPLICATE, now_s=0.0)
    assert audit.records == []


def test_flood_is_one_record_a_minute_with_all_counts_and_a_few_ids(connection):
    audit, disputes = Audit(), Disputes(connection)
    for batch in range(100):
        kinds = [LabelOutcome.CONFLICT] * 50
        note(disputes, connection, audit, *kinds, now_s=batch * 0.1, first=50 * batch)
    assert len(audit.records) == 1
    flush(disputes, connection, audit, EVERY_S + 1.0)
    assert len(audit.records) == 2
    assert sum(counts["conflict"] for _, counts, _ in audit.records) == 5_000
    assert all(len(ids["conflict"]) == MAX_IDS for _, _, ids in audit.records)
    flush(disputes, connection, audit, 10 * EVERY_S)
    assert len(audit.records) == 2


def test_restart_forgets_nothing_that_was_not_recorded_yet(connection):
    audit, disputes = Audit(), Disputes(connection)
    note(disputes, connection, audit, LabelOutcome.CONFLICT, now_s=0.0)
    note(disputes, connection, audit, LabelOutcome.CONFLICT, now_s=1.0, first=1)
    flush(Disputes(connection), connection, audit, 0.5)
    assert [ids["conflict"] for _, _, ids in audit.records] == [["r0"], ["r1"]]


def test_transaction_that_failed_leaves_no_trace(connection):
    audit, disputes = Audit(), Disputes(connection)
    with pytest.raises(ZeroDivisionError), transaction(connection):
        results = [LabelResult(LabelOutcome.CONFLICT, "", "digits")]
        disputes.note(connection, [Label("r1", "7")], results, audit, now_s=0.0)
        raise ZeroDivisionError
    disputes.revert()
    note(disputes, connection, Audit(), LabelOutcome.CORRECTED, now_s=1.0, first=2)
    flush(disputes, connection, again := Audit(), 2 * EVERY_S)
    assert again.records == []


def test_label_of_no_known_route_is_recorded_without_one(connection):
    """The route that a label names is the sender's word: it would make as many as it likes."""
    audit, disputes = Audit(), Disputes(connection)
    labels = [Label("r1", "7", route=f"invented-{k}") for k in range(9)]
    results = [LabelResult(LabelOutcome.CONFLICT, "")] * 9
    with transaction(connection):
        disputes.note(connection, labels, results, audit, now_s=0.0)
    assert [(route, counts) for route, counts, _ in audit.records] == [("", {"conflict": 9})]


def test_record_is_told_in_one_sentence():
    dispute = Dispute({"conflict": 7, "corrected": 1}, {"conflict": ["a", "b"], "corrected": ["c"]})
    assert dispute.told.endswith("7 conflict: a, b …; 1 corrected: c")
