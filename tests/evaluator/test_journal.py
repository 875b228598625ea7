"""Observations that wait, and their labels."""

import itertools
import sqlite3
from collections.abc import Callable

import pytest

from evaluator.exposed import Exposed
from evaluator.join import Answer, Judgable, Label, LabelOutcome, LabelResult, Mode
from evaluator.journal import PARKED_NS, Journal

S = 1_000_000_000


def judgable(number: int, at_ns: int = 0) -> Judgable:
    return Judgable(f"q{number}", at_ns, Mode.PAIR, 0.5, number, 0, Answer("7"), Answer("8"))


@pytest.fixture
def connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


@pytest.fixture
def journal(connection: sqlite3.Connection) -> Journal:
    return Journal(connection)


def outcome(journal: Journal, request_id: str, label: str, **how: int) -> LabelOutcome:
    return journal.label(Label(request_id, label), now_ns=how.pop("now_ns", S), **how).outcome


def test_label_joins_its_observation_and_comes_back_at_maturity(journal: Journal) -> None:
    journal.add("digits", [judgable(1), judgable(2)])
    assert outcome(journal, "q2", "7.0") is LabelOutcome.ACCEPTED
    due = journal.matured("digits", now_ns=5 * S, maturity_ns=5 * S)
    assert [(one.judgable.request_id, one.label) for one in due] == [("q1", None), ("q2", "7")]
    assert due[0].judgable == judgable(1)


def test_nothing_matures_before_its_time(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=10 * S)])
    assert journal.matured("digits", now_ns=15 * S - 1, maturity_ns=5 * S) == []
    assert len(journal.matured("digits", now_ns=15 * S, maturity_ns=5 * S)) == 1


def test_observations_mature_in_the_order_of_requests_not_of_arrival(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=30), judgable(2, at_ns=10)])
    journal.add("digits", [judgable(3, at_ns=20)])
    due = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert [one.judgable.request_id for one in due] == ["q2", "q3", "q1"]


def test_same_label_again_changes_nothing_and_another_one_loses(journal: Journal) -> None:
    journal.add("digits", [judgable(1)])
    answers = [outcome(journal, "q1", text) for text in ("7", "7.0", "8", "7")]
    assert answers == [
        LabelOutcome.ACCEPTED,
        LabelOutcome.DUPLICATE,
        LabelOutcome.CONFLICT,
        LabelOutcome.DUPLICATE,
    ]
    assert journal.matured("digits", now_ns=S, maturity_ns=0)[0].label == "7"


def test_judged_observation_takes_no_label_any_more(journal: Journal) -> None:
    journal.add("digits", [judgable(1), judgable(2)])
    outcome(journal, "q2", "7")
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    assert journal.matured("digits", now_ns=S, maturity_ns=0) == []
    assert outcome(journal, "q1", "7") is LabelOutcome.LATE
    assert outcome(journal, "q2", "7") is LabelOutcome.DUPLICATE
    assert outcome(journal, "q2", "8") is LabelOutcome.CONFLICT


def test_label_past_the_window_is_late(journal: Journal) -> None:
    journal.add("digits", [judgable(1)])
    assert outcome(journal, "q1", "7", now_ns=11 * S, window_ns=10 * S) is LabelOutcome.LATE


def test_label_that_is_none_is_invalid(journal: Journal) -> None:
    journal.add("digits", [judgable(1)])
    assert outcome(journal, "q1", "null") is LabelOutcome.INVALID


def test_label_before_its_observation_is_unknown_but_joins_when_that_comes(
    journal: Journal,
) -> None:
    assert outcome(journal, "q1", "7", now_ns=0) is LabelOutcome.UNKNOWN
    added = journal.add("digits", [judgable(1), judgable(2)])
    assert (added.added, added.labelled) == (2, 1)
    assert outcome(journal, "q1", "7") is LabelOutcome.DUPLICATE
    assert journal.parked() == 0


def test_early_label_of_another_route_does_not_join(journal: Journal) -> None:
    journal.label(Label("q1", "7", route="fraud"), now_ns=0)
    assert journal.add("digits", [judgable(1)]).labelled == 0


def test_early_labels_wait_a_minute_and_no_more_than_their_number(
    connection: sqlite3.Connection,
) -> None:
    journal = Journal(connection, max_parked=3)
    for number in range(10):
        assert outcome(journal, f"q{number}", "7", now_ns=0) is LabelOutcome.UNKNOWN
    assert journal.parked() == 3
    outcome(journal, "later", "7", now_ns=PARKED_NS + 1)
    assert journal.parked() == 1
    assert journal.add("digits", [judgable(0)]).labelled == 0


def test_id_of_two_routes_needs_the_route(journal: Journal) -> None:
    journal.add("digits", [judgable(1)])
    journal.add("fraud", [judgable(1)])
    assert outcome(journal, "q1", "7") is LabelOutcome.INVALID
    result = journal.label(Label("q1", "7", route="fraud"), now_ns=S)
    assert (result.outcome, result.route) == (LabelOutcome.ACCEPTED, "fraud")
    assert journal.matured("digits", now_ns=S, maturity_ns=0)[0].label is None


def test_repeated_request_id_is_counted_and_the_first_stays(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=5)])
    added = journal.add("digits", [judgable(1, at_ns=9), judgable(2)])
    assert (added.added, added.repeated) == (1, 1)
    due = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert {one.judgable.at_ns for one in due if one.judgable.request_id == "q1"} == {5}


def test_full_journal_refuses_and_counts_instead_of_growing(connection: sqlite3.Connection) -> None:
    journal = Journal(connection, max_rows=3)
    added = journal.add("digits", [judgable(number) for number in range(5)])
    assert (added.added, added.refused) == (3, 2)
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    assert journal.purge("digits", now_ns=S, window_ns=0) == 3
    assert journal.add("digits", [judgable(9)]).added == 1


def test_purge_keeps_what_waits_and_what_is_inside_the_window(journal: Journal) -> None:
    journal.add("digits", [judgable(1, at_ns=0), judgable(2, at_ns=8 * S)])
    journal.mark_judged(journal.matured("digits", now_ns=9 * S, maturity_ns=0))
    journal.add("digits", [judgable(3, at_ns=0)])
    assert journal.purge("digits", now_ns=10 * S, window_ns=5 * S) == 1
    assert outcome(journal, "q1", "7") is LabelOutcome.UNKNOWN
    assert outcome(journal, "q2", "7") is LabelOutcome.LATE
    assert outcome(journal, "q3", "7") is LabelOutcome.ACCEPTED


def test_forgotten_route_has_nothing_waiting(journal: Journal) -> None:
    journal.add("digits", [judgable(1)])
    journal.add("fraud", [judgable(2)])
    assert journal.forget("digits") == 1
    assert (journal.waiting("digits"), journal.waiting("fraud")) == (0, 1)


def test_it_never_commits(connection: sqlite3.Connection) -> None:
    journal = Journal(connection)
    connection.execute("BEGIN")
    journal.add("digits", [judgable(1)])
    outcome(journal, "q1", "7")
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    journal.purge("digits", now_ns=S, window_ns=0)
    assert connection.in_transaction
    connection.execute("ROLLBACK")
    assert journal.waiting("digits") == 0
    assert outcome(journal, "q1", "7") is LabelOutcome.UNKNOWN


def test_second_journal_on_the_same_database_goes_on(connection: sqlite3.Connection) -> None:
    Journal(connection).add("digits", [judgable(1)])
    assert Journal(connection).waiting("digits") == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_joined_labels_do_not_depend_on_the_order_of_arrival(
    journal: Journal, order: tuple[int, ...]
) -> None:
    """Each event once, in every order: the label joins, early or not."""
    events: list[Callable[[], object]] = [
        lambda: journal.add("digits", [judgable(1)]),
        lambda: journal.add("digits", [judgable(2)]),
        lambda: journal.label(Label("q1", "7"), now_ns=S),
    ]
    for index in order:
        events[index]()
    due = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert {one.judgable.request_id: one.label for one in due} == {"q1": "7", "q2": None}


def test_maturing_uses_the_index(connection: sqlite3.Connection) -> None:
    """A scan of two million rows every 100 ms would stall the engine."""
    Journal(connection)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN SELECT sequence, judgable, label FROM observation"
        " WHERE route = 'r' AND state = 0 AND at_ns <= 5 ORDER BY at_ns, sequence LIMIT 9"
    ).fetchall()
    assert "observation_due" in plan[0][3]
    assert not any("TEMP B-TREE" in row[3] for row in plan)


def test_flood_of_unknown_labels_does_not_scan_those_that_wait(
    connection: sqlite3.Connection,
) -> None:
    """With 20,000 parked a scan for each cost over a millisecond."""
    Journal(connection)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN DELETE FROM parked_label WHERE labelled_at_ns < 5"
    ).fetchall()
    assert "parked_since" in plan[0][3]


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


def by_token(
    journal: Journal, number: int, label: str = "7", *, at_ns: int = 0, keeps: bool = True,
    refusal: LabelResult | None = None,
) -> LabelOutcome:  # fmt: skip
    kept = judgable(number, at_ns) if keeps else None
    exposure = Exposed("digits", f"q{number}", at_ns, kept, refusal)
    sent = Label(f"q{number}", label, "digits", exposure=exposure)
    return journal.label(sent, now_ns=S).outcome


def test_a_token_brings_its_observation_with_it(journal: Journal) -> None:
    assert by_token(journal, 1) is LabelOutcome.ACCEPTED
    (due,) = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert (due.judgable, due.label) == (judgable(1), "7")


def test_a_request_is_labelled_once_by_id_and_by_token(journal: Journal) -> None:
    journal.add("digits", [judgable(1), judgable(2)])
    assert outcome(journal, "q1", "7") is LabelOutcome.ACCEPTED
    assert by_token(journal, 1) is LabelOutcome.DUPLICATE
    assert by_token(journal, 1, "8") is LabelOutcome.CONFLICT
    assert by_token(journal, 2) is LabelOutcome.ACCEPTED
    assert outcome(journal, "q2", "7") is LabelOutcome.DUPLICATE
    assert by_token(journal, 3) is LabelOutcome.ACCEPTED
    assert outcome(journal, "q3", "7") is LabelOutcome.DUPLICATE
    assert journal.waiting("digits") == 3


def test_an_observation_that_comes_behind_its_token_is_there_already(journal: Journal) -> None:
    assert by_token(journal, 1) is LabelOutcome.ACCEPTED
    journal.add("digits", [judgable(1)])
    (due,) = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert due.label == "7"


def test_a_label_that_came_before_joins_what_the_token_brings(journal: Journal) -> None:
    assert outcome(journal, "q1", "8") is LabelOutcome.UNKNOWN
    assert by_token(journal, 1) is LabelOutcome.CONFLICT
    (due,) = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert due.label == "8"


def test_a_token_of_another_request_with_the_same_id_labels_nothing(journal: Journal) -> None:
    """Clients choose ids, and may choose one twice: the first request stays."""
    journal.add("digits", [judgable(1, at_ns=10)])
    assert by_token(journal, 1, at_ns=20) is LabelOutcome.CONFLICT
    (due,) = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert due.label is None


def test_a_token_that_is_too_late_keeps_nothing_but_knows_its_own_label(journal: Journal) -> None:
    late = LabelResult(LabelOutcome.LATE, "past maturity", "digits")
    assert by_token(journal, 1, keeps=False, refusal=late) is LabelOutcome.LATE
    assert journal.waiting("digits") == 0
    journal.add("digits", [judgable(2)])
    assert outcome(journal, "q2", "7") is LabelOutcome.ACCEPTED
    journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0))
    assert by_token(journal, 2, keeps=False, refusal=late) is LabelOutcome.DUPLICATE
    assert by_token(journal, 2, "8", keeps=False, refusal=late) is LabelOutcome.CONFLICT


def test_a_token_that_tells_too_little_is_a_label_by_id(journal: Journal) -> None:
    assert by_token(journal, 1, keeps=False) is LabelOutcome.UNKNOWN
    journal.add("digits", [judgable(1)])
    assert outcome(journal, "q1", "7") is LabelOutcome.DUPLICATE  # it was parked


def test_a_full_journal_takes_no_observation_from_a_token_either(
    connection: sqlite3.Connection,
) -> None:
    journal = Journal(connection, max_rows=1)
    assert by_token(journal, 1) is LabelOutcome.ACCEPTED
    assert by_token(journal, 2) is LabelOutcome.UNKNOWN
    assert journal.waiting("digits") == 1
