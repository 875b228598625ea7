import math

import numpy as np
import pytest
from scipy.stats import skew, ttest_1samp

from controller.gates.paired import interval
from controller.gates.pairedmean import RARE, Mean, mean_difference

RANDOM = np.random.default_rng(3)


def test_symmetric_numbers_have_students_p_value():
    half = RANDOM.normal(size=25)
    values = np.concatenate([half, -half]) + 0.1
    found = Mean(values)
    wanted = ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert found.skewness == pytest.approx(0.0, abs=1e-9)
    assert found.above(0.0) == pytest.approx(wanted, abs=1e-9)
    assert found.below(0.0) == pytest.approx(1.0 - wanted, abs=1e-9)


def test_halls_cubic_can_be_undone_as_he_says():
    """The oracle: his closed inverse (1992, eq. for g_2), here with Student's quantile."""
    values = RANDOM.exponential(size=40)
    found = Mean(values)
    n, root, g = 40, math.sqrt(40), skew(values) * (39 / 40) ** 1.5
    assert found.skewness == pytest.approx(g)
    from scipy.stats import t

    def limit(x: float) -> float:
        inner = 1 + g * (x / root - g / (6 * n))
        return found.effect - found.error * root * (np.cbrt(inner) - 1) * 3 / g

    limits = interval(found, 0.05)
    assert limits.lower == pytest.approx(limit(t.ppf(0.95, n - 1)), abs=1e-6)
    assert limits.upper == pytest.approx(limit(t.ppf(0.05, n - 1)), abs=1e-6)


def test_models_that_never_differ_leave_an_interval():
    numbers = RANDOM.normal(size=100).tolist()
    found = mean_difference(numbers, numbers, -1.0)
    assert found.effect == 0.0
    assert found.error == pytest.approx(math.sqrt(RARE) * float(np.std(numbers, ddof=1)) / 100)
    assert interval(found, 0.05).lower < 0.0


def test_where_lower_is_better_less_is_a_gain():
    assert mean_difference([3.0, 4.0, 5.0], [2.0, 3.5, 4.0], -1.0).effect == pytest.approx(5 / 6)


def test_numbers_without_any_spread_are_a_point():
    found = Mean(np.array([2.0, 2.0, 2.0]))
    assert (found.above(1.0), found.above(3.0), found.above(2.0)) == (0.0, 1.0, 0.5)
    limits = interval(found, 0.05)
    assert (limits.lower, limits.upper) == (2.0, 2.0)


@pytest.mark.parametrize("values", [[1.0], [1.0, math.nan], [[1.0, 2.0]]])
def test_what_is_no_row_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="value"):
        Mean(np.array(values))


def test_numbers_that_are_no_pairs_are_refused():
    with pytest.raises(ValueError, match="no pairs"):
        mean_difference([1.0, 2.0], [1.0], 1.0)
