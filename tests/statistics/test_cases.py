"""The simulated situations are what they are said to be."""

import numpy as np
import pytest

from evaluator.question import PAIRED
from tests.statistics import cases


def test_pairs_have_the_rates_and_the_correlation_asked_for() -> None:
    cells = cases.pairs(np.random.default_rng(1), 200_000, 0.9, 0.92, 0.7)
    first, second = cells >= 2, cells % 2 == 1
    assert first.mean() == pytest.approx(0.9, abs=0.003)
    assert second.mean() == pytest.approx(0.92, abs=0.003)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.7, abs=0.01)


def test_sticky_users_keep_their_variant_and_differ() -> None:
    units, a, y = cases.sticky(np.random.default_rng(2), 40_000, icc=0.2)
    by_user = [(set(a[units == unit]), y[units == unit].mean()) for unit in np.unique(units)[:200]]
    assert all(len(variants) == 1 for variants, _ in by_user)
    assert np.var([rate for _, rate in by_user]) > 2 * 0.09 / 20


def test_drift_moves_both_variants_alike() -> None:
    first, second = cases.drift(0.1, 0.14)(np.array([0.0, 1.0]))
    assert list(first) == list(second) == pytest.approx([0.1, 0.14])


def test_healthy_pairs_pass_within_six_to_fifteen_hundred() -> None:
    assert 600 <= cases.until_passed(PAIRED)(np.random.default_rng(3)) <= 1500


@pytest.mark.parametrize("healthy", [0, 1_000])
def test_total_failure_is_harm_within_fifteen_requests(healthy: int) -> None:
    assert cases.until_harm(0.25, healthy)(np.random.default_rng(4)) <= 15
