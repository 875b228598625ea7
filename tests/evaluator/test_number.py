"""From JSON values to numbers."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.number import as_number, as_vector, distance_of, loss_of

NOT_NUMBERS: list[Any] = [None, True, "7", [1], {}, math.nan, math.inf, -math.inf, 10**400]
FINITE = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("value", NOT_NUMBERS, ids=repr)
def test_only_finite_numbers_are_numbers(value: Any) -> None:
    assert as_number(value) is None
    assert as_vector([1.0, value]) is None
    assert loss_of("absolute", value, 1) is None
    assert distance_of("absolute", 1, value) is None


def test_denormal_is_a_number() -> None:
    assert as_number(5e-324) == 5e-324


@pytest.mark.parametrize(
    ("measure", "prediction", "label", "loss"),
    [
        ("absolute", 3, 5, 2.0),
        ("squared", 3, 5, 4.0),
        ("log", 0.8, 1, -math.log(0.8)),
        ("log", 0.8, False, -math.log(1 - 0.8)),
        ("log", {"cat": 0.7, "dog": 0.3}, "dog", -math.log(0.3)),
        ("log", [0.7, 0.3], 1, -math.log(0.3)),
        ("brier", 0.8, 1, 0.2**2),
        ("brier", {"cat": 0.7, "dog": 0.3}, "cat", 0.3**2),
    ],
)
def test_losses_are_the_usual_ones(measure: str, prediction: Any, label: Any, loss: float) -> None:
    assert loss_of(measure, prediction, label) == pytest.approx(loss)


def test_pinball_loss_weighs_too_low_and_too_high_by_the_quantile() -> None:
    assert loss_of("pinball", 3, 5, 0.9) == pytest.approx(1.8)
    assert loss_of("pinball", 5, 3, 0.9) == pytest.approx(0.2)


def test_sure_mistake_costs_much_but_not_infinitely_much() -> None:
    assert loss_of("log", 0, 1) == pytest.approx(34.5, abs=0.1)


@pytest.mark.parametrize(
    ("measure", "prediction", "label"),
    [("log", 1.2, 1), ("log", 0.5, 2), ("log", {"cat": 0.7}, "dog"), ("squared", 1e200, -1e200)],
)
def test_what_has_no_loss_is_none(measure: str, prediction: Any, label: Any) -> None:
    assert loss_of(measure, prediction, label) is None


@given(one=st.lists(FINITE, min_size=2, max_size=5), scale=st.floats(1e-3, 1e3))
def test_cosine_does_not_depend_on_length_of_the_vectors(one: list[float], scale: float) -> None:
    found = distance_of("cosine", one, [scale * x for x in one])
    assert found is None or found == pytest.approx(0.0, abs=1e-9)


def test_distances_have_their_ends() -> None:
    assert distance_of("total_variation", [1, 0], [0, 1]) == 1.0
    assert distance_of("total_variation", {"a": 1}, {"b": 1}) == 1.0
    assert distance_of("total_variation", [0.5, 0.5], [0.5, 0.5]) == 0.0
    assert distance_of("cosine", [1, 0], [-1, 0]) == 2.0
    assert distance_of("cosine", [1e200, 1e200], [1e-200, 1e-200]) == pytest.approx(0.0)
    assert distance_of("absolute", 0.2, 0.7) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("one", "other"), [([1], [1, 2]), ([0, 0], [1, 1]), ([-1, 2], [1, 1]), ([], [])]
)
def test_vectors_without_a_distance_have_none(one: Any, other: Any) -> None:
    assert distance_of("total_variation", one, other) is None
