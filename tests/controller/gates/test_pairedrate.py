from math import comb

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from controller.gates.paired import interval
from controller.gates.pairedrate import EXACT_ROWS, PairedRate, Share, score

# Wins, losses, rows, and Tango's 95 % interval as the R package contingencytables prints it in its
# own tests (Cavo et al. 2012, complete response before and after consolidation therapy).
CAVO = (6, 16, 161, -0.1240, -0.0054)


def test_the_score_interval_is_the_published_one():
    wins, losses, rows, lower, upper = CAVO
    found = interval(PairedRate(wins, losses, rows), 0.025)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


@pytest.mark.parametrize(("wins", "losses", "rows"), [(6, 16, 161), (3, 0, 40), (0, 5, 12)])
@pytest.mark.parametrize("bound", [-0.2, -0.05, 0.1])
def test_the_score_uses_the_likeliest_losses_that_the_bound_allows(wins, losses, rows, bound):
    """The oracle: the likelihood, maximised numerically."""

    def minus_log(lose: float) -> float:
        p = np.array([lose + bound, lose, 1 - 2 * lose - bound])
        counts = np.array([wins, losses, rows - wins - losses])
        return float(-(counts * np.log(np.maximum(p, 1e-300))).sum())

    low, high = max(0.0, -bound), (1 - bound) / 2
    lose = minimize_scalar(
        minus_log, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    z = (wins - losses - rows * bound) / np.sqrt(rows * (2 * lose + bound * (1 - bound)))
    assert score(np.array([wins]), np.array([losses]), rows, bound)[0] == pytest.approx(z, abs=1e-4)


@pytest.mark.parametrize(("wins", "losses", "rows"), [(4, 1, 9), (0, 0, 6), (2, 5, 8)])
def test_the_exact_tail_is_the_sum_over_all_tables_at_the_worst_nuisance(wins, losses, rows):
    """The oracle: every table, in plain arithmetic, over a fine grid."""
    bound = -0.1
    z = {
        (w, lo): score(np.array([w]), np.array([lo]), rows, bound)[0]
        for w in range(rows + 1)
        for lo in range(rows + 1 - w)
    }
    worst = 0.0
    for share in np.linspace(abs(bound), 1.0, 400):
        win, lose = (share + bound) / 2, (share - bound) / 2
        tail = sum(
            comb(rows, w) * comb(rows - w, lo) * win**w * lose**lo * (1 - share) ** (rows - w - lo)
            for (w, lo), one in z.items()
            if one >= z[wins, losses] - 1e-9
        )
        worst = max(worst, tail)
    assert PairedRate(wins, losses, rows).above(bound) == pytest.approx(worst, abs=3e-3)


def test_at_bound_0_it_is_no_more_careful_than_mcnemars_exact_test():
    """McNemar looks at the discordant rows alone; the unconditional test is the sharper one."""
    ours = PairedRate(9, 2, 50).above(0.0)
    assert ours <= binomtest(9, 11, 0.5, alternative="greater").pvalue
    assert ours > 0.001


def test_the_normal_tail_goes_on_where_the_exact_one_ends():
    exact = PairedRate(12, 6, EXACT_ROWS).above(-0.02)
    assert PairedRate(12, 6, EXACT_ROWS + 1).above(-0.02) == pytest.approx(exact, abs=0.01)


def test_two_models_that_never_differ_are_not_known_to_be_equal():
    found = interval(PairedRate(0, 0, 20), 0.05)
    assert found.lower == pytest.approx(-found.upper) and found.lower < -0.1
    assert interval(PairedRate(0, 0, 1000), 0.05).lower > -0.004


@pytest.mark.parametrize("bound", [-1.0, 1.0])
@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (0, 5), (2, 2)])
def test_the_ends_of_the_scale_have_p_values_too(bound, wins, losses):
    found = PairedRate(wins, losses, 5)
    assert 0.0 <= found.above(bound) <= 1.0 and 0.0 <= found.below(bound) <= 1.0


def test_one_rate_has_the_binomial_tail():
    assert Share(8, 10).above(0.5) == pytest.approx(binomtest(8, 10, alternative="greater").pvalue)
    assert Share(8, 10).below(0.5) == pytest.approx(binomtest(8, 10, alternative="less").pvalue)


@pytest.mark.parametrize("bad", [(1, 1, 1), (-1, 0, 5), (0, 0, 0)])
def test_counts_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="rows"):
        PairedRate(*bad)


@pytest.mark.parametrize("bad", [(2, 1), (-1, 5), (0, 0)])
def test_a_share_above_all_rows_is_refused(bad):
    with pytest.raises(ValueError, match="rows"):
        Share(*bad)
