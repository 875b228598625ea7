"""What a token brought back is made into what the store would have kept."""

import json
from typing import Any

import pytest
from msgspec import Raw, structs

from evaluator.evaluator import Evaluator
from evaluator.evidence import Role
from evaluator.exposed import judgable_of, recognised
from evaluator.join import Answer, Mode
from evaluator.metric import MetricSpec
from router.token import NULL, Served, described, digest_of
from tests.evaluator.builders import ACCURACY, answer, exposure, failure, plan

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
