"""Whose label would decide something."""

import pytest

from evaluator.join import Answer, Judgable, Mode
from evaluator.wanted import DISAGREEMENTS, is_drawn, is_needed, is_settled
from tests.evaluator.builders import plan

FAILED = Answer(None, is_failed=True)


def pair(champion: Answer, challenger: Answer, request_id: str = "q1") -> Judgable:
    return Judgable(request_id, 1, Mode.PAIR, 0.5, 1, 0, champion, challenger)


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [
        (Answer("7"), Answer("7"), True),
        (Answer("7"), Answer("8"), False),
        (FAILED, FAILED, True),
        (FAILED, Answer(None), True),
        (Answer("7", is_failed=True), Answer("7"), False),
        (FAILED, Answer("7"), False),
        (Answer("7"), Answer(None), False),
    ],
)
def test_pair_is_settled_when_no_label_makes_one_right_and_the_other_wrong(
    champion: Answer, challenger: Answer, expected: bool
) -> None:
    assert is_settled(champion, challenger) is expected
    differs_somewhere = any(_right(champion, label) != _right(challenger, label) for label in "789")
    assert differs_somewhere is not expected


def _right(answer: Answer, label: str) -> bool:
    return not answer.is_failed and answer.prediction == label


def test_equal_answers_need_no_label_where_disagreements_are_wanted() -> None:
    differing_only = plan(labels_wanted=DISAGREEMENTS)
    agreed, differing = pair(Answer("7"), Answer("7")), pair(Answer("7"), Answer("8"))
    assert [is_needed(differing_only, one) for one in (agreed, differing)] == [False, True]
    assert [is_needed(plan(), one) for one in (agreed, differing)] == [True, True]


def test_every_lot_needs_its_label() -> None:
    lot = Judgable("q1", 1, Mode.SPLIT, 0.5, 1, 0, None, Answer("7"))
    assert is_needed(plan(labels_wanted=DISAGREEMENTS), lot)


def test_what_we_could_not_read_needs_none() -> None:
    assert not is_needed(plan(), pair(Answer("7"), Answer(None, is_cut=True)))


def test_of_a_sample_only_those_that_were_drawn_need_one() -> None:
    sampled = plan(labels_wanted=DISAGREEMENTS, label_rate=0.2)
    ids = [f"q{i}" for i in range(5_000)]
    needed = [i for i in ids if is_needed(sampled, pair(Answer("7"), Answer("8"), i))]
    assert needed == [i for i in ids if is_drawn("x1", i, 0.2)]
    assert abs(len(needed) - 1_000) < 5 * (5_000 * 0.2 * 0.8) ** 0.5
