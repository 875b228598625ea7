"""Sums that add up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.running import (
    HIGHEST_S,
    LOWEST_S,
    Histogram,
    Moments,
    Rate,
    SignedHistogram,
    bin_of,
    upper_edge_s,
)


def test_rate_without_cases_is_the_prior() -> None:
    assert Rate().estimate(0.9, 10.0) == 0.9


def test_older_cases_count_half_after_each_roll() -> None:
    rate = Rate()
    for is_hit in (True, True, False, False):
        rate.update(is_hit)
    rate.decay()
    rate.update(True)
    assert rate.estimate(0.0, 0.0) == pytest.approx((1 + 1) / (2 + 1))


def test_merged_rates_hold_the_cases_of_both() -> None:
    one, other = Rate(4, 1), Rate(6, 2)
    one.merge(other)
    assert (one.n, one.hits) == (10, 3)


@given(st.floats(LOWEST_S, HIGHEST_S))
def test_bin_holds_its_duration_within_two_percent(seconds: float) -> None:
    edge = upper_edge_s(bin_of(seconds))
    assert seconds <= edge * (1 + 1e-8)
    assert seconds >= edge / 1.0201


@given(st.integers(0, 1270))
def test_upper_edge_lies_in_its_own_bin(index: int) -> None:
    assert bin_of(upper_edge_s(index)) == index


def test_quantiles_are_within_two_percent_of_numpys() -> None:
    seconds = np.random.default_rng(1).lognormal(-4.0, 0.8, 20_000)
    histogram = Histogram({})
    for value in seconds:
        histogram.update(float(value))
    for q in (0.5, 0.9, 0.99):
        assert histogram.quantile(q) == pytest.approx(float(np.quantile(seconds, q)), rel=0.025)


def test_share_above_a_quantile_is_what_is_left() -> None:
    histogram = Histogram({})
    for i in range(1, 1001):
        histogram.update(i / 1000)
    limit_s = histogram.quantile(0.9)
    assert histogram.share_above(limit_s) == pytest.approx(0.1, abs=0.021)


@given(st.lists(st.floats(0.0, 1e9), max_size=200), st.randoms())
def test_merged_parts_equal_the_whole_in_any_order(values, rng) -> None:  # type: ignore[no-untyped-def]  # hypothesis' random has no public type
    whole, parts = Histogram({}), [Histogram({}) for _ in range(3)]
    for value in values:
        whole.update(value)
        rng.choice(parts).update(value)
    rng.shuffle(parts)
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0] == whole


def test_memory_is_bounded_whatever_comes_in() -> None:
    assert bin_of(0.0) == 0
    assert bin_of(1e300) == bin_of(HIGHEST_S) <= 1280


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_durations_out_of_range_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError):
        Histogram({}).update(seconds)


def test_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError):
        Histogram({}).quantile(0.5)


def test_two_histograms_do_not_share_their_bins() -> None:
    one, other = Histogram(), Histogram()
    one.update(1.0)
    assert other.bins == {}


def test_moments_are_those_of_the_numbers_and_add() -> None:
    one, other = Moments(), Moments()
    for i in range(10):
        (one if i % 3 else other).update(2.0 * i + 1.0, float(i))
    one.merge(other)
    assert one.mean(0.0, 0.0) == pytest.approx(10.0)
    assert one.variance(0.0, 0.0) == pytest.approx(33.0)
    assert one.square(0.0, 0.0) == pytest.approx(133.0)
    assert one.slope() == pytest.approx(2.0)
    assert one.unexplained() == pytest.approx(0.0, abs=1e-12)
    one.decay()
    assert one.n == 5.0 and one.slope() == pytest.approx(2.0)


def test_without_a_varying_covariate_there_is_no_slope() -> None:
    one = Moments()
    assert one.slope() == 0.0 and one.unexplained() == 1.0 and one.variance(2.0, 1.0) == 2.0
    for y in (1.0, 2.0, 4.0):
        one.update(y, 7.0)
    assert one.slope() == 0.0 and one.unexplained() == 1.0


@given(values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), q=st.floats(0, 1))
def test_signed_quantile_is_the_edge_of_the_right_bin(values: list[float], q: float) -> None:
    histogram = SignedHistogram({})
    for value in values:
        histogram.update(value)
    ranked = sorted(values)
    exact = ranked[max(0, math.ceil(q * len(values)) - 1)]
    found = histogram.quantile(q)
    assert found == pytest.approx(exact, rel=0.021, abs=1.1e-10)
    assert abs(found) >= abs(exact) * (1 - 1e-9) or abs(exact) < 1e-10


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_signed_histogram_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        SignedHistogram({}).update(value)


def test_signed_histograms_add_and_stay_small() -> None:
    one, other = SignedHistogram({}), SignedHistogram({})
    for i in range(5000):
        one.update((-1.0) ** i * 10.0 ** (i % 40 - 20))
        other.update(5e-324 * i)
    one.merge(other)
    assert one.n == 10_000 and len(one.bins) <= 6513
    assert other.quantile(0.5) == 0.0
    with pytest.raises(ValueError, match="no quantile"):
        SignedHistogram({}).quantile(0.5)
