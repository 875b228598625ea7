"""Bets on failures."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.mixture import MAX_BET
from evaluator.eprocess.relative_risk import (
    RATIOS,
    RelativeRiskEProcess,
    harm_bets,
    harm_values,
    pair_bets,
    pair_values,
)


def test_without_margin_it_is_the_likelihood_ratio_of_whose_failure_it_was() -> None:
    """The formula of the conditional test, written out: n_B log(r/c) - n_A log(c)."""
    pi, n_a, n_b = 0.2, 7, 9
    process = RelativeRiskEProcess()
    process.update(0, pi, (n_a, 500, n_b, 100))
    terms = [
        n_b * math.log(r / (pi * r + 1 - pi)) - n_a * math.log(pi * r + 1 - pi) for r in RATIOS
    ]
    weights = [w / 13 for w in (1, 2, 3, 3, 2, 1, 1)]
    copy = math.log(math.fsum(w * math.exp(t) for w, t in zip(weights, terms, strict=True)))
    assert process.log_e == pytest.approx(math.log(0.25 + 0.75 * math.exp(copy)), abs=1e-9)


def test_answers_without_failures_say_nothing_without_margin() -> None:
    process = RelativeRiskEProcess()
    process.update(0, 0.1, (0, 100_000, 0, 10_000))
    assert process.log_e == pytest.approx(0.0, abs=1e-12)


def test_answers_speak_for_the_challenger_when_a_margin_is_allowed() -> None:
    process = RelativeRiskEProcess(0.005)
    process.update(0, 0.5, (0, 500, 0, 500))
    assert process.log_e < -0.3


@given(
    st.floats(0.01, 0.99),
    st.floats(0.0, 0.1),
    st.floats(0.0, 0.9),
    st.floats(0.0, 1.0),
)
def test_no_bet_gains_on_average_at_the_margin(
    pi: float, margin: float, p_champion: float, p: float
) -> None:
    """The null itself: p_B = p_A + margin, for any p_A; and below it."""
    p_challenger = min(1.0, p_champion + margin) * p
    values = harm_values(pi, margin)
    odds = (
        (1 - pi) * p_champion,
        (1 - pi) * (1 - p_champion),
        pi * p_challenger,
        pi * (1 - p_challenger),
    )
    for bet in harm_bets(pi, margin):
        mean = math.fsum(o * (1 + bet * h) for o, h in zip(odds, values, strict=True))
        assert mean <= 1.0 + 1e-9


@given(st.floats(0.001, 0.999), st.floats(0.0, 0.2))
def test_one_failure_of_the_champion_never_ends_a_bet(pi: float, margin: float) -> None:
    for bet in harm_bets(pi, margin):
        assert 1.0 + bet * min(harm_values(pi, margin)) >= 1.0 - MAX_BET - 1e-9
    for bet in pair_bets(margin):
        assert 1.0 + bet * min(pair_values(margin)) >= 1.0 - MAX_BET - 1e-9


def test_challenger_that_fails_always_is_found_within_ten_failures_at_a_quarter() -> None:
    process = RelativeRiskEProcess(0.005)
    process.update(0, 0.25, (0, 300, 0, 100))
    failures = 0
    while not process.rejects(0.05):
        process.update(1, 0.25, (0, 3, 1, 0))
        failures += 1
    assert failures <= 10


def test_pairs_on_which_only_the_challenger_failed_are_found() -> None:
    process = RelativeRiskEProcess(0.005)
    process.update_pairs(0, only_champion=0, only_challenger=12, n=12)
    assert process.rejects(0.05)


def test_pairs_that_fail_alike_are_no_harm() -> None:
    process = RelativeRiskEProcess()
    process.update_pairs(0, only_champion=50, only_challenger=50, n=1000)
    assert process.log_e < 0.0


@pytest.mark.parametrize("propensity", [0.0, 1.0, math.nan, -0.1])
def test_share_that_is_no_lot_is_refused(propensity: float) -> None:
    with pytest.raises(ValueError):
        RelativeRiskEProcess().update(0, propensity, (0, 1, 0, 1))


def test_margins_out_of_range_or_different_are_refused() -> None:
    with pytest.raises(ValueError):
        RelativeRiskEProcess(1.0)
    with pytest.raises(ValueError):
        RelativeRiskEProcess(0.0).merge(RelativeRiskEProcess(0.1))
