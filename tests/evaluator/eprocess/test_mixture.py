"""The mixture of fixed bets."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.mixture import (
    GRID,
    MAX_BET,
    MixtureEProcess,
    clip_bets,
    even_log_weights,
    grid_bets,
    log_mean,
    log_sum_exp,
    log_weights,
    mix,
)

BETS = (0.1, 0.5, 0.9)


def test_weights_sum_to_one_and_are_largest_at_the_declared_effect() -> None:
    for is_vague in (False, True):
        weights = log_weights(is_vague=is_vague)
        assert math.fsum(map(math.exp, weights)) == pytest.approx(1.0, abs=1e-12)
        assert GRID[weights.index(max(weights))] == pytest.approx(1.0, rel=0.2)


def test_vague_weights_are_spread_wider() -> None:
    assert max(log_weights(is_vague=True)) < max(log_weights())


def test_log_e_is_the_log_of_the_weighted_mean_of_products() -> None:
    """Exact fractions, computed independently, at every prefix."""
    process = MixtureEProcess(even_log_weights(3))
    products = [Fraction(1)] * 3
    bets = (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10))
    for h in (Fraction(1, 2), Fraction(-1, 4), Fraction(1), Fraction(-1)):
        process.update(float(h), [float(bet) for bet in bets])
        products = [p * (1 + bet * h) for p, bet in zip(products, bets, strict=True)]
        assert process.log_e == pytest.approx(math.log(sum(products) / 3), abs=1e-12)


def test_count_stands_for_as_many_single_observations() -> None:
    one, many = MixtureEProcess(even_log_weights(3)), MixtureEProcess(even_log_weights(3))
    for _ in range(7):
        one.update(0.3, BETS)
    many.update(0.3, BETS, 7)
    assert many.log_e == pytest.approx(one.log_e, abs=1e-12)
    assert many.n == one.n == 7


def test_one_observation_takes_at_most_the_largest_bet() -> None:
    for lowest in (-1.0, -0.25, -0.01):
        for bet in grid_bets(1.0, 1e-6, lowest):
            assert 1.0 + bet * lowest == pytest.approx(1.0 - MAX_BET)


def test_small_effects_are_bet_on_in_proportion() -> None:
    bets = grid_bets(0.01, 0.25, -1.0)
    assert bets == pytest.approx([0.04 * g for g in GRID])


def test_bets_that_cannot_lose_are_not_held_back() -> None:
    assert clip_bets([5.0], 0.0) == (5.0,)


@pytest.mark.parametrize("h", [math.nan, math.inf, -math.inf, -1.2])
def test_observation_that_breaks_a_bet_is_refused_and_changes_nothing(h: float) -> None:
    process = MixtureEProcess(even_log_weights(3))
    with pytest.raises(ValueError):
        process.update(h, BETS)
    assert (process.n, process.log_e) == (0, 0.0)


def test_bets_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError):
        MixtureEProcess(even_log_weights(3)).update(0.1, (0.1,))


def test_negative_bets_and_counts_are_refused() -> None:
    process = MixtureEProcess(even_log_weights(1))
    with pytest.raises(ValueError):
        process.update(0.1, (-0.1,))
    with pytest.raises(ValueError):
        process.update(0.1, (0.1,), -1)


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError):
        MixtureEProcess((0.0, 0.0))


def test_processes_with_other_weights_are_not_merged() -> None:
    with pytest.raises(ValueError):
        MixtureEProcess(even_log_weights(2)).merge(MixtureEProcess(even_log_weights(3)))


def test_it_rejects_exactly_from_one_over_alpha_on() -> None:
    process = MixtureEProcess(even_log_weights(1))
    process.update(1.0, (0.9,), 4)  # 1.9^4 = 13.03
    assert not process.rejects(0.05)
    process.update(1.0, (0.9,))  # 24.8
    assert process.rejects(0.05)


@given(st.lists(st.floats(-700.0, 700.0), min_size=1, max_size=8))
def test_log_sum_exp_lies_between_the_largest_term_and_it_plus_log_count(
    terms: list[float],
) -> None:
    total = log_sum_exp(terms)
    assert max(terms) - 1e-9 <= total <= max(terms) + math.log(len(terms)) + 1e-9


def test_huge_products_do_not_overflow() -> None:
    assert mix(even_log_weights(2), (5000.0, 4000.0)) == pytest.approx(5000.0 - math.log(2.0))


def test_mean_of_e_values_is_plain() -> None:
    assert log_mean([math.log(4.0), 0.0]) == pytest.approx(math.log(2.5))
