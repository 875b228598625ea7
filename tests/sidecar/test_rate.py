"""An allowance holds on average, and a large body only makes its sender wait."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.rate import BURST_S, Rate


def test_what_is_owed_grows_back() -> None:
    rate = Rate(10.0, now_s=0.0)
    assert rate.wait_s(0.0) == 0.0
    rate.spend(120)
    assert rate.wait_s(0.0) == pytest.approx(10.1)
    assert rate.wait_s(5.0) == pytest.approx(5.1)
    assert rate.wait_s(10.2) == 0.0


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    rate = Rate(10.0, now_s=100.0)
    rate.spend(50)
    assert rate.wait_s(0.0) > 0.0
    assert rate.wait_s(1.0) == pytest.approx(2.1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 500)), min_size=1, max_size=60))
def test_no_order_of_purchases_passes_the_average(asked: list[tuple[float, int]]) -> None:
    rate, now_s, spent, largest = Rate(50.0, now_s=0.0), 0.0, 0, 0
    for later_s, count in asked:
        now_s += later_s
        if rate.wait_s(now_s) == 0.0:
            rate.spend(count)
            spent, largest = spent + count, max(largest, count)
        assert spent <= 50.0 * (now_s + BURST_S) + largest + 1e-6
