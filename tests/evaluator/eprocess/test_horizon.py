"""A test with an end."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.horizon import GIVEN_UP, boundary, horizon_log_e, settled_epoch


def test_it_starts_without_evidence_and_ends_with_its_level() -> None:
    assert horizon_log_e(0.0, 0.0, 100.0, 0.05) == pytest.approx(0.0, abs=1e-9)
    assert horizon_log_e(boundary(40.0, 100.0, 0.05), 40.0, 100.0, 0.05) == -math.log(0.05)
    ends = [boundary(v, 100.0, 0.05) for v in (0.0, 100.0)]
    assert ends == pytest.approx([28.48, 18.48], abs=0.01)


def test_after_the_horizon_there_is_no_evidence() -> None:
    assert horizon_log_e(5.0, 100.1, 100.0, 0.05) == GIVEN_UP
    assert horizon_log_e(5.0, 100.0, 100.0, 0.05) == GIVEN_UP


@given(s=st.floats(-1e9, 1e9), v=st.floats(0, 1e9), more=st.floats(0, 10))
def test_more_in_favour_is_never_less_evidence(s: float, v: float, more: float) -> None:
    one, other = horizon_log_e(s, v, 1e8, 0.05), horizon_log_e(s + more, v, 1e8, 0.05)
    assert math.isfinite(one) and other >= one - 1e-9


@pytest.mark.parametrize(("s", "v", "end"), [(math.nan, 1, 2), (1, -1, 2), (1, 1, 0)])
def test_what_is_no_sum_is_refused(s: float, v: float, end: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        horizon_log_e(s, v, end, 0.05)


def test_level_holds_at_every_look_and_power_is_near_that_of_one_look() -> None:
    """4,000 runs of 600 steps; N80 at this effect is the horizon. Bar: .75 power."""
    rng, n = np.random.default_rng(1), 600
    effect = 2.4865 / math.sqrt(n)
    for shift, low, high in ((0.0, 0.03, 0.06), (effect, 0.75, 0.81)):
        h = rng.normal(shift, 1.0, (4000, n))
        s, v = h.cumsum(axis=1), (h * h).cumsum(axis=1)
        begin, end = boundary(0.0, n, 0.05), boundary(n, n, 0.05)
        crossed = ((s >= begin + (end - begin) * v / n) & (v <= n)).any(axis=1)
        assert low <= crossed.mean() <= high


@given(s=st.floats(-15, 15), v=st.floats(0, 99), step=st.floats(0.1, 1.0))
def test_it_is_a_martingale(s: float, v: float, step: float) -> None:
    """Over a small step of a Brownian motion the evidence stays the same on average."""
    left = 100.0 - v
    if s >= boundary(v, 100.0, 0.05) - 6.0 * math.sqrt(step * left * 0.01):
        return  # it may pass the boundary within the step, and back
    moved = v + step * left * 0.01
    z, w = np.polynomial.hermite_e.hermegauss(30)
    logs = [horizon_log_e(s + math.sqrt(moved - v) * x, moved, 100.0, 0.05) for x in z]
    mean = float(np.exp(logs) @ w) / math.sqrt(2 * math.pi)
    now = math.exp(horizon_log_e(s, v, 100.0, 0.05))
    assert mean == pytest.approx(now, rel=1e-4, abs=1e-9)


def test_horizon_is_measured_by_the_first_epoch_after_a_tenth_of_it() -> None:
    counts = {0: 128, 1: 128, 2: 256, 3: 512}
    assert settled_epoch(counts, 2000) == 2
    assert settled_epoch(counts, 100) == 1
    assert settled_epoch({0: 128}, 100) is None
