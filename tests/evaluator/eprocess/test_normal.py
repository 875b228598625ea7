"""Mixtures in closed form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from evaluator.eprocess.normal import MIN_OBSERVATIONS, NormalEProcess, log_ndtr, tn_log_e


@given(st.floats(-1e4, 1e4))
def test_log_ndtr_equals_scipy(x: float) -> None:
    assert log_ndtr(x) == pytest.approx(float(special.log_ndtr(x)), rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("x", [-30.0001, -30.0, -29.9999, -1e-9, 0.0, 1e-9, 37.0])
def test_log_ndtr_has_no_seam(x: float) -> None:
    assert log_ndtr(x) == pytest.approx(float(special.log_ndtr(x)), rel=1e-11)


@pytest.mark.parametrize(
    ("s", "v", "mean", "spread"),
    [(12.0, 300.0, 0.1, 0.05), (-3.0, 50.0, 0.1, 0.1), (40.0, 400.0, 0.2, 0.1)],
)
def test_closed_form_equals_the_integral(s: float, v: float, mean: float, spread: float) -> None:
    def integrand(bet: float) -> float:
        z = (bet - mean) / spread
        return math.exp(bet * s - 0.5 * bet * bet * v - 0.5 * z * z)

    value, _ = integrate.quad(integrand, 0.0, mean + 12.0 * spread, epsabs=1e-13, epsrel=1e-11)
    norm = spread * math.sqrt(2.0 * math.pi) * math.exp(log_ndtr(mean / spread))
    assert tn_log_e(s, v, mean, spread) == pytest.approx(math.log(value / norm), abs=1e-8)


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e9), st.floats(1e-4, 10.0))
def test_it_is_a_number_for_every_sum_there_can_be(s: float, v: float, bet: float) -> None:
    assert math.isfinite(tn_log_e(s, v, bet, 0.5 * bet))


@pytest.mark.parametrize(
    ("s", "v", "spread"), [(math.nan, 1, 1), (1, -1, 1), (1, 1, 0), (1, math.inf, 1)]
)
def test_sums_out_of_range_are_refused(s: float, v: float, spread: float) -> None:
    with pytest.raises(ValueError):
        tn_log_e(s, v, 0.1, spread)


def test_nothing_is_read_from_too_few_observations() -> None:
    process = NormalEProcess(0.5)
    process.update(3.0, MIN_OBSERVATIONS - 1)
    assert process.log_e == 0.0
    process.update(3.0)
    assert process.rejects(0.05)


@pytest.mark.parametrize("h", [math.nan, math.inf])
def test_observations_that_are_no_number_are_refused(h: float) -> None:
    with pytest.raises(ValueError):
        NormalEProcess(0.5).update(h)


def test_bets_out_of_range_or_different_are_refused() -> None:
    with pytest.raises(ValueError):
        NormalEProcess(0.0)
    with pytest.raises(ValueError):
        NormalEProcess(0.5).merge(NormalEProcess(0.4))
