"""A yes-or-no question, and what one answer says about it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from evaluator.question import PAIRED, Baseline, cell_values
from evaluator.rates import correct_question, error_question

SHARE = st.floats(0.01, 0.99)
ACCURACY = correct_question(MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.02))
RARE = error_question(MetricSpec("e", "error", Role.GUARDRAIL, margin=0.005))


def lots(pi: float, p_a: float, p_b: float) -> list[float]:
    """Return the chance of each cell of a split."""
    return [(1 - pi) * (1 - p_a), (1 - pi) * p_a, pi * (1 - p_b), pi * p_b]


@given(pi=SHARE, good=SHARE, p_a=SHARE, p_b=SHARE, margin=st.floats(0.0, 0.2))
def test_mean_of_a_lot_is_its_weight_times_the_effect_whatever_the_champion_does(
    pi: float, good: float, p_a: float, p_b: float, margin: float
) -> None:
    h = cell_values(pi, good, margin, None)
    mean = math.fsum(q * x for q, x in zip(lots(pi, p_a, p_b), h, strict=True))
    assert mean == pytest.approx(pi * (1 - pi) * (p_b - p_a + margin), abs=1e-12)


@given(pi=SHARE, p_a=SHARE, factor=st.floats(0.1, 1.0))
def test_relative_margin_is_met_where_the_scaled_rates_are_equal(
    pi: float, p_a: float, factor: float
) -> None:
    asked = replace(ACCURACY, scale=factor)
    h = cell_values(pi, 0.7, 0.0, asked)
    mean = math.fsum(q * x for q, x in zip(lots(pi, p_a, p_a * factor), h, strict=True))
    assert mean == pytest.approx(0.0, abs=1e-12)


def test_pair_counts_its_difference_and_the_margin() -> None:
    assert cell_values(PAIRED, 0.3, 0.0, ACCURACY) == (0.0, 1.0, -1.0, 0.0)
    assert cell_values(PAIRED, 0.3, 0.01, RARE) == pytest.approx((0.01, 1.01, -0.99, 0.01))


def test_effect_of_a_relative_margin_follows_the_champions_rate() -> None:
    assert ACCURACY.effect_at(0.9) == 0.02
    assert replace(ACCURACY, scale=0.9).effect_at(0.8) == pytest.approx(0.08)
    assert replace(RARE, scale=1.5).effect_at(0.99) == pytest.approx(0.005)


def test_variance_stays_above_nothing_where_all_answers_are_good() -> None:
    assert Baseline(0.9, 0.1, 0.02, 0.02).variance == pytest.approx(0.09)
    assert Baseline(1.0, 0.1, 0.02, 0.02).variance > 0.0


def test_every_side_is_evidence_that_an_effect_lies_on_its_side_of_a_bound() -> None:
    asked = replace(ACCURACY, margin=0.01, detect=0.02, within=0.03)
    sides = [asked.side(name) for name in ("claim", "harm", "futile", "upper")]
    assert sides == [(1.0, 0.01), (-1.0, 0.01), (-1.0, -0.02), (-1.0, -0.03)]


def test_variance_of_pairs_grows_when_few_of_them_are_labelled() -> None:
    known, asked = Baseline(0.9, 0.1, 0.02, 0.02), replace(ACCURACY, label_rate=0.25)
    assert asked.variance(known, PAIRED) == asked.pair_variance(known) == pytest.approx(0.4)
    assert asked.variance(known, 0.5) == known.variance


def test_sums_of_units_never_expect_less_variance_than_a_rate_at_the_margin() -> None:
    asked = replace(RARE, margin=0.01)
    assert asked.clustered_variance(1e-6) == pytest.approx(0.0099)
    assert asked.clustered_variance(0.2) == 0.2
