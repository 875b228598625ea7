import math

import pytest
from scipy.stats import beta

from controller.gates.paired import interval, rows_needed
from controller.gates.pairedrate import PairedRate, Share


def test_limits_are_where_the_p_values_reach_alpha():
    """The oracle: Clopper and Pearson's limits are quantiles of the beta distribution."""
    found = interval(Share(45, 50), 0.05)
    assert found.effect == 0.9
    assert found.lower == pytest.approx(beta.ppf(0.05, 45, 6), abs=1e-6)
    assert found.upper == pytest.approx(beta.ppf(0.95, 46, 5), abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5, math.nan])
def test_a_level_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        interval(Share(1, 2), alpha)


def test_a_limit_that_nothing_rules_out_is_the_bound():
    assert interval(Share(0, 5), 0.05).lower == 0.0
    assert interval(Share(5, 5), 0.05).upper == 1.0


def test_rows_needed_are_about_those_that_show_it_if_the_effect_stays():
    found = PairedRate(10, 9, 200)
    needed = rows_needed(found, -0.02, interval(found, 0.05).lower)
    assert needed is not None and needed > 200
    larger = PairedRate(round(10 * needed / 200), round(9 * needed / 200), needed)
    assert larger.above(-0.02) == pytest.approx(0.05, abs=0.02)


def test_no_number_of_rows_shows_what_does_not_look_so():
    assert rows_needed(PairedRate(2, 8, 200), -0.02, -0.06) is None
