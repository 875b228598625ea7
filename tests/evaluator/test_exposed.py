"""What a token brought back is made into what the store would have kept."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.exposed import judgable_of, recognised
from evaluator.join import Answer, Judgable, Mode
from evaluator.metric import MetricSpec
from router.token import NULL, Served, described, digest_of
from tests.evaluator.builders import ACCURACY, ERRORS, answer, exposure, failure, plan

LONG = json.dumps("x" * 300)
LOSS = MetricSpec("loss", "loss", Role.OBJECTIVE, detect=0.1, measure="absolute")


def served(kind: Any = "value", prediction: bytes = b"7", **fields: Any) -> Served:
    one = Served("digits", "x1", "q1", 11, "digits-2", 0.5, 1, 1_000_000_001, kind, Raw(prediction))
    return structs.replace(one, **fields)


def test_the_lot_and_the_answer_come_back() -> None:
    found = judgable_of(served(), "7", plan(), 3)
    assert (found.request_id, found.at_ns, found.mode) == ("q1", 1_000_000_001, Mode.SPLIT)
    assert (found.propensity, found.unit, found.epoch) == (0.5, 11, 3)
    assert (found.champion, found.challenger) == (None, Answer("7"))
    other = judgable_of(served(variant="digits-1"), "7", plan(), 3)
    assert (other.champion, other.challenger) == (Answer("7"), None)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("failed", Answer(None, is_failed=True)),
        ("cut", Answer(None, is_cut=True)),
        ("none", Answer(None)),
    ],
)
def test_an_answer_without_a_prediction_is_the_stores_kind_of_one(
    kind: str, expected: Answer
) -> None:
    found = judgable_of(served(kind, b"null"), "7", plan(), 0)
    assert found.challenger == expected


def test_a_digest_that_is_the_labels_is_the_label() -> None:
    kind, prediction = described(LONG)
    assert kind == "digest"
    one = served(kind, bytes(prediction))
    assert judgable_of(one, LONG, plan(), 0).challenger == Answer(LONG)
    wrong = judgable_of(one, "7", plan(), 0).challenger
    assert wrong == Answer(f'"sha256:{digest_of(LONG)}"')


def test_a_digest_that_would_have_to_be_read_is_left_out_right_or_wrong() -> None:
    """Not the wrong ones alone: what is left would all be right."""
    one = served("digest", f'"{digest_of(LONG)}"'.encode())
    for label in (LONG, "7"):
        found = judgable_of(one, label, plan(ACCURACY, LOSS), 0)
        assert found.challenger == Answer(None, is_cut=True)


@pytest.mark.parametrize(
    ("outcome", "kind", "prediction"),
    [(answer(7), "value", Raw(b"7")), (failure("timeout"), "failed", NULL)],
)
def test_a_token_and_the_store_make_the_same_of_one_exposure(
    outcome: Any, kind: Any, prediction: Raw
) -> None:
    evaluator = Evaluator(plan(ACCURACY))
    seen = exposure(1, is_challenger=True, outcome=outcome)
    stored = evaluator.observe(seen)
    told = Served(
        seen.route, seen.experiment, seen.request_id, seen.unit, "digits-2", seen.propensity,
        seen.table_version, seen.at_ns, kind, prediction,
    )  # fmt: skip
    assert evaluator.exposed(told, "7") == stored


def test_a_digest_is_recognised_in_a_corrected_label_too() -> None:
    """The token was compared with the label that came with it, which was wrong."""
    long = json.dumps("x" * 5_000)
    told = served("digest", json.dumps(digest_of(long)).encode())
    first = judgable_of(told, '"y"', plan(ACCURACY), 0)
    given = first.challenger or first.champion
    assert given is not None and given.prediction != long
    again = recognised(first, long)
    found = again.challenger or again.champion
    assert found is not None and found.prediction == long
    assert recognised(first, '"z"') == first


def told(number: int, prediction: object = 7, **fields: object) -> Served:
    """A token of what ``exposure(number, is_challenger=True)`` tells."""
    seen = exposure(number, is_challenger=True)
    one = Served(
        seen.route, seen.experiment, seen.request_id, seen.unit, "digits-2", seen.propensity,
        seen.table_version, seen.at_ns, "value", Raw(json.dumps(prediction).encode()),
    )  # fmt: skip
    return structs.replace(one, **fields)


def test_a_token_belongs_to_the_epoch_in_which_it_was_served() -> None:
    evaluator = Evaluator(plan(ACCURACY), first_epoch=0)
    evaluator.observe(exposure(10))
    evaluator.roll_epoch("a share changed")
    evaluator.observe(exposure(20))
    evaluator.roll_epoch("a share changed")
    epochs = [evaluator.exposed(told(n), "7") for n in (5, 10, 11, 20, 21)]
    assert [one.epoch for one in epochs if one is not None] == [0, 0, 1, 1, 2]
    again = Evaluator.restore(plan(ACCURACY), evaluator.snapshot(), first_epoch=0)
    assert [again.exposed(told(n), "7") for n in (5, 10, 11, 20, 21)] == epochs


def test_an_epoch_begins_behind_the_newest_request_that_was_judged() -> None:
    """Labels by token may be judged before the observations of their time have come."""
    evaluator = Evaluator(plan(ACCURACY), first_epoch=0)
    first = evaluator.exposed(told(100), "7")
    assert first is not None
    evaluator.judge(first, "7")
    evaluator.roll_epoch("a new day")
    found = [evaluator.exposed(told(n), "7") for n in (100, 101)]
    assert [one.epoch for one in found if one is not None] == [0, 1]


def test_a_token_tells_too_little_where_metrics_read_more_than_the_prediction() -> None:
    loss = MetricSpec("loss", "loss", Role.OBJECTIVE, detect=0.1, measure="absolute", value="score")
    assert Evaluator(plan(loss)).exposed(told(1), "7") is None
    assert Evaluator(plan(ERRORS)).exposed(told(1), "7") is None  # needs no label at all


def test_labels_that_come_back_for_one_variant_alone_freeze_promotion() -> None:
    """With tokens nobody knows which labels are missing, but of whom is seen."""
    evaluator = Evaluator(plan(ACCURACY))
    for number in range(400):
        is_challenger = number % 2 == 0
        evaluator.observe(exposure(number, is_challenger=is_challenger))
        if is_challenger or number % 8 == 1:
            variant = "digits-2" if is_challenger else "digits-1"
            found = evaluator.exposed(told(number, variant=variant), "7")
            assert found is not None
            evaluator.judge(found, "7")
    reading = evaluator.evidence(0.0).reading("delivery")
    assert reading is not None and reading.state is CheckState.UNKNOWN
    assert "labels go missing" in reading.because


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=20)
def test_evidence_by_token_is_evidence_by_the_store_to_the_last_bit(seed: int, age: int) -> None:
    """Where every label comes back, whatever the epochs: requests mature ``age`` requests later."""
    rng = random.Random(seed)
    stored, by_token = Evaluator(plan(ACCURACY)), Evaluator(plan(ACCURACY))
    waiting: list[tuple[Judgable, int, bool]] = []
    for number in range(400):
        is_challenger, prediction = rng.random() < 0.5, rng.choice([7, 8])
        seen = exposure(number, is_challenger=is_challenger, outcome=answer(prediction))
        kept = stored.observe(seen)
        by_token.observe(seen)
        assert kept is not None
        waiting.append((kept, prediction, is_challenger))
        if rng.random() < 0.01:
            stored.roll_epoch("a share changed")
            by_token.roll_epoch("a share changed")
        if number >= age:
            old, answered, was_challenger = waiting[number - age]
            variant = "digits-2" if was_challenger else "digits-1"
            found = by_token.exposed(told(number - age, answered, variant=variant), "7")
            assert found == old
            by_token.judge(found, "7")
            stored.judge(old, "7")
    assert by_token.snapshot() == stored.snapshot()
