"""Intervals and waiting times."""

import math

import numpy as np
import pytest

from evaluator.confseq import (
    best_rho,
    invert,
    n_expected,
    normal_interval,
    radius,
    waiting_factor,
)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_best_rho_is_where_the_interval_is_narrowest(alpha: float) -> None:
    rho = best_rho(1000.0, alpha)
    here = radius(1000.0, rho, alpha)
    assert here < radius(1000.0, rho * 1.02, alpha)
    assert here < radius(1000.0, rho / 1.02, alpha)


def test_interval_holds_the_effect_and_narrows_with_weight() -> None:
    few = normal_interval(10.0, 100.0, 100.0, detect=0.1, alpha=0.05)
    many = normal_interval(1000.0, 10_000.0, 10_000.0, detect=0.1, alpha=0.05)
    assert few is not None and many is not None
    assert few.effect == many.effect == pytest.approx(0.1)
    assert few.low < few.effect < few.high
    assert many.high - many.low < few.high - few.low


def test_interval_stays_within_what_a_difference_of_shares_can_be() -> None:
    interval = normal_interval(0.0, 1.0, 1.0, detect=0.01, alpha=0.05)
    assert interval is not None
    assert (interval.low, interval.high) == (-1.0, 1.0)


def test_no_weight_is_no_interval() -> None:
    assert normal_interval(0.0, 0.0, 0.0, detect=0.1, alpha=0.05) is None


def test_interval_covers_at_all_times_at_once() -> None:
    """400 walks of 2,000 steps: at most 5 % may ever leave, plus three standard errors."""
    rng = np.random.default_rng(3)
    steps = rng.standard_normal((400, 2000)) + 0.05
    s, v = steps.cumsum(axis=1), (steps**2).cumsum(axis=1)
    t = np.arange(1, 2001)
    rho = best_rho(2 * math.log(20) / 0.1**2, 0.05)
    half = np.sqrt((v + rho) * (np.log((v + rho) / rho) + 2 * math.log(20)))
    missed = (np.abs(s - 0.05 * t) > half)[:, 20:].any(axis=1).mean()
    assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_inversion_finds_the_crossing_rounded_outwards() -> None:
    end = invert(lambda x: 10.0 * x, 0.0, 1.0, 3.0)
    assert end == pytest.approx(0.3)
    assert 10.0 * end >= 3.0


def test_inversion_that_never_crosses_ends_at_the_range() -> None:
    assert invert(lambda x: 0.0, 0.5, 0.0, 3.0) == 0.0


def test_inversion_that_is_outside_already_stays() -> None:
    assert invert(lambda x: 9.0, 0.5, 0.0, 3.0) == 0.5


@pytest.mark.parametrize(("q", "factor"), [(0.5, 0.756), (0.8, 1.43), (0.9, 1.99), (0.95, 2.59)])
def test_waiting_times_are_inverse_gaussian(q: float, factor: float) -> None:
    """Quantiles over the mean at log(1/alpha) = 3, from simulated sequential tests."""
    assert waiting_factor(q, 3.0) == pytest.approx(factor, abs=0.01)


def test_waiting_time_agrees_with_simulated_walks() -> None:
    rng = np.random.default_rng(4)
    drift, a = 0.01, 3.0
    paths = (drift + math.sqrt(2 * drift) * rng.standard_normal((2000, 1500))).cumsum(axis=1)
    stopped = np.where((paths >= a).any(axis=1), (paths >= a).argmax(axis=1), 10**9)
    expected = waiting_factor(0.8, a) * a / drift
    assert np.quantile(stopped, 0.8) == pytest.approx(expected, rel=0.12)


def test_decided_check_expects_no_more() -> None:
    assert n_expected(500, 3.1, 0.05, 0.01) == 500


def test_nothing_is_expected_without_growth() -> None:
    assert n_expected(500, 0.0, 0.05, 0.0) is None
    assert n_expected(500, 0.0, 0.05, -0.1) is None


def test_more_is_expected_after_a_setback() -> None:
    ahead, behind = n_expected(500, 1.0, 0.05, 0.01), n_expected(500, -1.0, 0.05, 0.01)
    assert ahead is not None and behind is not None
    assert 500 < ahead < behind
