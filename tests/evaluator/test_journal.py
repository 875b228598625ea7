"""Observations that wait, and their labels."""

import itertools
import operator
import sqlite3
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.exposed import Exposed
from evaluator.join import Answer, Judgable, Label, LabelOutcome, LabelResult, Mode
from evaluator.journal import LABEL_ROOM, Journal, JournalFull
from evaluator.parking import PARKED_NS
from tests.evaluator.journals import S, judgable, outcome


def test_label_joins_its_observation_and_comes_back_at_maturity(journal: Journal) -> None:
    journal.add("digits", [judgable(1), judgable(2)])
    assert outcome(journal, "q2", "7.0") is LabelOutcome.ACCEPTED
    due = journal.matured("digits", now_ns=5 * S, maturity_ns=5 * S)
    assert [(one.judgable.request_id, one.label) for one in due] == [("q1", None), ("q2", "7")]
    assert due[0].judgable == judgable(1)


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


def correction(journal: Journal, request_id: str, label: str, now_ns: int = S) -> LabelOutcome:
    given = Label(request_id, label, is_correction=True)
    return journal.label(given, now_ns=now_ns).outcome


def test_correction_takes_the_place_of_a_label_until_its_observation_is_judged(
    journal: Journal,
) -> None:
    journal.add("digits", [judgable(1)])
    outcome(journal, "q1", "7")
    assert correction(journal, "q1", "8") is LabelOutcome.CORRECTED
    assert correction(journal, "q1", "8.0") is LabelOutcome.DUPLICATE
    assert outcome(journal, "q1", "7") is LabelOutcome.CONFLICT
    due = journal.matured("digits", now_ns=S, maturity_ns=0)
    assert [one.label for one in due] == ["8"]
    journal.mark_judged(due)
    assert correction(journal, "q1", "9") is LabelOutcome.LATE
    assert outcome(journal, "q1", "8") is LabelOutcome.DUPLICATE


def test_correction_of_nothing_is_a_first_label(journal: Journal) -> None:
    """It may overtake the label that it corrects, which then comes as the second one."""
    journal.add("digits", [judgable(1)])
    assert correction(journal, "q1", "8") is LabelOutcome.ACCEPTED
    assert outcome(journal, "q1", "7") is LabelOutcome.CONFLICT


def test_second_early_label_is_a_conflict_and_the_first_one_joins(journal: Journal) -> None:
    answers = [outcome(journal, "q1", text, now_ns=0) for text in ("7", "7.0", "8")]
    assert answers == [LabelOutcome.UNKNOWN, LabelOutcome.UNKNOWN, LabelOutcome.CONFLICT]
    assert journal.parked() == 1
    journal.add("digits", [judgable(1)])
    assert journal.matured("digits", now_ns=S, maturity_ns=0)[0].label == "7"


def test_early_label_can_be_corrected_too(journal: Journal) -> None:
    outcome(journal, "q1", "7", now_ns=0)
    assert correction(journal, "q1", "8", now_ns=0) is LabelOutcome.UNKNOWN
    journal.add("digits", [judgable(1)])
    assert journal.matured("digits", now_ns=S, maturity_ns=0)[0].label == "8"


def test_early_label_for_another_route_is_neither_kept_nor_in_conflict(journal: Journal) -> None:
    journal.label(Label("q1", "7", route="digits"), now_ns=0)
    other = journal.label(Label("q1", "8", route="fraud"), now_ns=0)
    assert (other.outcome, journal.parked()) == (LabelOutcome.UNKNOWN, 1)


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


def test_full_journal_refuses_the_newest_and_counts_instead_of_growing(
    connection: sqlite3.Connection,
) -> None:
    journal = Journal(connection)
    assert journal.add("digits", [judgable(number) for number in range(3)]).added == 3
    journal.max_bytes = journal.used_bytes()
    added = journal.add("digits", [judgable(3), judgable(4)])
    assert (added.added, added.refused) == (0, (judgable(3), judgable(4)))
    assert outcome(journal, "q1", "7") is LabelOutcome.ACCEPTED
    assert journal.waiting("digits") == 3
    journal.max_bytes *= 2
    assert journal.add("digits", [judgable(3)]).added == 1


def test_whether_one_is_refused_does_not_depend_on_its_variant_answer_or_label(
    connection: sqlite3.Connection,
) -> None:
    """Otherwise what is left would be another sample than what was drawn by lot."""
    journal = Journal(connection)
    journal.max_bytes = journal.used_bytes()
    each = [
        Judgable(f"{mode.value}{text}", 0, mode, 0.5, 1, 0, Answer(text), Answer("8"))
        for mode in Mode
        for text in ("7", "8", None)
    ]
    assert journal.add("digits", each).refused == tuple(each)
    journal.max_bytes *= 2
    assert journal.add("digits", each).added == len(each)


def test_labels_have_room_when_observations_have_none_and_are_refused_as_a_whole_at_the_end(
    connection: sqlite3.Connection,
) -> None:
    journal = Journal(connection)
    journal.add("digits", [judgable(1), judgable(2)])
    journal.max_bytes = journal.used_bytes()
    assert journal.label_many([Label("q1", "7")], now_ns=S)[0].outcome is LabelOutcome.ACCEPTED
    journal.max_bytes = round(journal.used_bytes() / (2 * LABEL_ROOM))
    with pytest.raises(JournalFull):
        journal.label_many([Label("q2", "7")], now_ns=S)
    journal.max_bytes *= 4
    assert journal.label_many([Label("q2", "7")], now_ns=S)[0].outcome is LabelOutcome.ACCEPTED


ROUTES = st.sampled_from(["digits", "fraud"])
IDS = st.sampled_from(
    ["q1", "q2", "00000000000000000000000000000001", "6fa459ea-ee8a-4ca4-894e-db77e160355e"]
)
LABELS = st.builds(
    Label,
    IDS,
    st.sampled_from(["7", "7.0", '"7"', "8", "null", "{"]),
    st.none() | ROUTES,
    st.none(),
    st.booleans(),
)


@given(
    observed=st.lists(st.tuples(ROUTES, IDS), max_size=6),
    judged=st.integers(0, 3),
    ended=st.none() | ROUTES,
    labels=st.lists(LABELS, max_size=12),
    late=st.lists(st.tuples(ROUTES, IDS), max_size=3),
)
def test_labels_in_one_batch_become_what_they_become_one_by_one(
    observed: list[tuple[str, str]],
    judged: int,
    ended: str | None,
    labels: list[Label],
    late: list[tuple[str, str]],
) -> None:
    told = []
    for is_batch in (True, False):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        journal = Journal(connection, max_parked=2)
        for number, (route, request_id) in enumerate(observed):
            one = msgspec.structs.replace(judgable(number), request_id=request_id)
            journal.add(route, [one])
        journal.mark_judged(journal.matured("digits", now_ns=S, maturity_ns=0, limit=judged))
        if ended is not None:
            journal.forget(ended)
        if is_batch:
            results = journal.label_many(labels, now_ns=S)
        else:
            results = [journal.label(label, now_ns=S) for label in labels]
        joined = [
            journal.add(route, [msgspec.structs.replace(judgable(9), request_id=request_id)])
            for route, request_id in late
        ]
        due = [journal.matured(route, now_ns=S, maturity_ns=0) for route in ("digits", "fraud")]
        told.append((results, joined, due, journal.parked()))
        connection.close()
    assert told[0] == told[1]


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


def test_flood_of_unknown_labels_does_not_scan_those_that_wait(
    connection: sqlite3.Connection,
) -> None:
    """With 20,000 parked a scan for each cost over a millisecond."""
    Journal(connection)
    plan = connection.execute(
        "EXPLAIN QUERY PLAN DELETE FROM parked_label WHERE labelled_at_ns < 5"
    ).fetchall()
    assert "parked_since" in plan[0][3]


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
    journal = Journal(connection)
    assert by_token(journal, 1) is LabelOutcome.ACCEPTED
    journal.max_bytes = 1
    assert by_token(journal, 2) is LabelOutcome.UNKNOWN
    assert journal.waiting("digits") == 1


def sent(number: int, label: str, how: str) -> Label:
    """A label by id, by token, or by a token that is too late or of another request."""
    if how == "id":
        return Label(f"q{number}", label)
    late = LabelResult(LabelOutcome.LATE, "past maturity", "digits")
    at_ns = 5 if how == "other" else 0
    kept = None if how == "late" else judgable(number, at_ns)
    exposure = Exposed("digits", f"q{number}", at_ns, kept, late if how == "late" else None)
    return Label(f"q{number}", label, "digits", exposure=exposure)


some_labels = st.lists(
    st.builds(
        sent, st.integers(1, 6), st.sampled_from(["7", "8", "null"]),
        st.sampled_from(["id", "token", "late", "other"]),
    )
)  # fmt: skip


@given(some_labels, some_labels)
def test_labels_by_token_in_batches_are_labels_one_by_one(
    first: list[Label], second: list[Label]
) -> None:
    together, alone = (Journal(sqlite3.connect(":memory:", isolation_level=None)) for _ in "ab")
    for journal in (together, alone):
        journal.add("digits", [judgable(1), judgable(2)])
    for labels in (first, second):
        expected = [alone.label(label, now_ns=S) for label in labels]
        assert together.label_many(labels, now_ns=S) == expected
    found, kept = (one.matured("digits", now_ns=S, maturity_ns=0) for one in (together, alone))
    key = operator.attrgetter("judgable.request_id")
    assert [(one.judgable, one.label) for one in sorted(found, key=key)] == [
        (one.judgable, one.label) for one in sorted(kept, key=key)
    ]


def test_an_observation_behind_its_token_is_not_lost(journal: Journal) -> None:
    """A repeated id is lost evidence; here it is the same request."""
    drawn = msgspec.structs.replace(judgable(1, at_ns=5), mode=Mode.SPLIT)
    exposure = Exposed("digits", "q1", 5, drawn)
    journal.label(Label("q1", "7", "digits", exposure=exposure), now_ns=S)
    added = journal.add("digits", [drawn, judgable(2)])
    assert (added.added, added.repeated) == (1, 0)
    assert journal.add("digits", [msgspec.structs.replace(drawn, at_ns=7)]).repeated == 1
