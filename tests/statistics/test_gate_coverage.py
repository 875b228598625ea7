"""How often the intervals of the performance gate miss: simulated at fixed seeds, at 20, 100 and
1,000 rows. A limit may miss with probability alpha; the tolerance is three standard errors, and
where a docstring promises less than alpha, what was measured."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from controller.gates.paired import Comparison
from controller.gates.pairedmean import mean_difference
from controller.gates.pairedrate import PairedRate
from controller.gates.pairedratio import auc_difference, f1_difference, precision_difference

ALPHA = 0.05


def misses(found: list[tuple[Comparison, float]]) -> tuple[float, float]:
    """Return how often the lower, and the upper limit is on the wrong side of the truth."""
    lower = np.mean([one.above(truth) < ALPHA for one, truth in found])
    upper = np.mean([one.below(truth) < ALPHA for one, truth in found])
    return float(lower), float(upper)


def allowed(reps: int, extra: float = 0.0) -> float:
    return ALPHA + extra + 3.0 * float(np.sqrt(ALPHA * (1.0 - ALPHA) / reps))


@cache
def p_values(wins: int, losses: int, rows: int, truth: float) -> tuple[float, float]:
    one = PairedRate(wins, losses, rows)
    return one.above(truth), one.below(truth)


RATES = [(0.02, 0.02), (0.15, 0.0), (0.01, 0.03)]
FAR_APART = [(0.1, 0.05), (0.3, 0.2)]  # not at 100 rows, where nearly every draw is another table


@pytest.mark.parametrize(
    ("rows", "win", "lose"),
    [
        *((rows, *rates) for rows in (20, 100, 1000) for rates in RATES),
        *((rows, *rates) for rows in (20, 1000) for rates in FAR_APART),
    ],
)
def test_limits_of_paired_rates_miss_no_more_often_than_they_may(
    rows: int, win: float, lose: float
) -> None:
    reps = 400 if rows <= 100 else 1000
    drawn = np.random.default_rng(7).multinomial(rows, [win, lose, 1 - win - lose], size=reps)
    found = [p_values(int(w), int(lo), rows, round(win - lose, 6)) for w, lo, _ in drawn]
    for side in zip(*found, strict=True):
        assert np.mean(np.array(side) < ALPHA) <= allowed(reps)


def normal(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    one = random.normal(size=n)
    return one, one + 0.5 * random.normal(size=n) + 0.1, 0.1


def squared(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    error = random.normal(size=n)
    return error**2, (0.9 * error + 0.3 * random.normal(size=n)) ** 2, 0.9 - 1.0


def seldom(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """One row in ten differs, by an exponential amount."""
    one = random.exponential(size=n)
    return one, one + np.where(random.random(n) < 0.1, random.exponential(size=n), 0.0), 0.1


def heavy(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Three rows in ten differ, by a lognormal amount: skewness of several units."""
    one = random.exponential(size=n)
    more = np.where(random.random(n) < 0.3, random.lognormal(0.0, 0.8, size=n), 0.0)
    return one, one + more, 0.3 * float(np.exp(0.32))


@pytest.mark.parametrize("rows", [20, 100, 1000])
@pytest.mark.parametrize("draw", [normal, squared, seldom, heavy])
def test_limits_of_paired_means_miss_hardly_more_often_than_they_may(
    rows: int, draw: Callable[..., tuple[np.ndarray, np.ndarray, float]]
) -> None:
    """More for skewed numbers, by up to five points at 20 rows: the promise is one of large n."""
    random, reps = np.random.default_rng(11), 400
    found: list[tuple[Comparison, float]] = []
    for _ in range(reps):
        one, other, truth = draw(random, rows)
        found.append((mean_difference(one.tolist(), other.tolist(), 1.0), truth))
    assert max(misses(found)) <= allowed(
        reps, extra=0.0 if draw is normal else 0.05 if rows == 20 else 0.03
    )


def classified(
    random: np.random.Generator, n: int, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classifiers that err together on six rows of ten; the second is better at the class."""
    truth = random.random(n) < share
    draw, other = random.random(n), random.random(n)
    again = np.where(random.random(n) < 0.6, draw, other)
    return (
        truth,
        np.where(truth, draw < 0.8, draw > 0.85),
        np.where(truth, again < 0.85, again > 0.85),
    )


@pytest.mark.parametrize("rows", [20, 100, 1000])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_limits_of_f1_and_precision_miss_hardly_more_often_than_they_may(
    rows: int, share: float
) -> None:
    """Precision up to two points more: its pseudo rows draw a difference towards zero."""
    random, reps = np.random.default_rng(13), 300
    truth, one, other = classified(random, 400_000, share)
    f1_truth = f1_difference(truth, one, other).effect
    precision_truth = precision_difference(truth, one, other).effect
    rates: list[tuple[Comparison, float]] = []
    precisions: list[tuple[Comparison, float]] = []
    for _ in range(reps):
        rows_drawn = classified(random, rows, share)
        rates.append((f1_difference(*rows_drawn), f1_truth))
        precisions.append((precision_difference(*rows_drawn), precision_truth))
    assert max(misses(rates)) <= allowed(reps, extra=0.01)
    assert max(misses(precisions)) <= allowed(reps, extra=0.02)


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_limits_of_auc_miss_no_more_often_than_they_may(rows: int) -> None:
    random, reps = np.random.default_rng(17), 300
    truth = float(norm.cdf(1.2 / 2**0.5) - norm.cdf(1.0 / 2**0.5))
    found: list[tuple[Comparison, float]] = []
    for _ in range(reps):
        of_class = random.permutation(rows) < rows // 2
        noise = random.normal(size=rows)
        one = of_class * 1.0 + noise
        other = of_class * 1.2 + 0.8 * noise + 0.6 * random.normal(size=rows)
        found.append((auc_difference(of_class, one, other), truth))
    assert max(misses(found)) <= allowed(reps)


def test_the_interval_of_peers_is_too_narrow_where_ours_is_not() -> None:
    """The usual interval of a difference of two accuracies at 20 rows: it misses twice as often."""
    rows, reps, win, lose = 20, 400, 0.15, 0.0
    drawn = np.random.default_rng(7).multinomial(rows, [win, lose, 1 - win - lose], size=reps)
    difference = (drawn[:, 0] - drawn[:, 1]) / rows
    error = np.sqrt(((drawn[:, 0] + drawn[:, 1]) / rows - difference**2) / rows)
    wald_misses = np.mean(difference + norm.isf(ALPHA) * error < win - lose)
    assert wald_misses > 2 * ALPHA
    ours = [p_values(int(w), int(lo), rows, round(win - lose, 6))[1] < ALPHA for w, lo, _ in drawn]
    assert np.mean(ours) <= allowed(reps)
