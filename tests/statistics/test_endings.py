"""Tests that end early: futility and horizons err no more often than they promise; fixed seeds."""

import math

import numpy as np
import pytest

from evaluator.binary import BinaryCheck
from evaluator.contrast import Contrast
from evaluator.evaluator import FIRST_EPOCH
from evaluator.evidence import FUTILE_LOG_E, Role
from evaluator.ground import Asked
from evaluator.metric import MetricSpec
from evaluator.rates import correct_question
from tests.statistics import cases

SEED, BAR = 20_261_125, math.log(20.0)
RUNS, N = 150, 1_500


def pairs_of(spec: MetricSpec, good_b: float, seed: int, *, n: int = N) -> tuple[float, float]:
    """Return the shares of runs that ever passed, and that were ever called futile."""
    rng, passed, futile = np.random.default_rng(seed), 0, 0
    for _ in range(RUNS):
        check = BinaryCheck.fresh(correct_question(spec), is_clustered=False)
        cells, epoch, end = cases.pairs(rng, n, 0.9, good_b, 0.5), 0, FIRST_EPOCH
        is_passed = is_futile = False
        for i, cell in enumerate(cells):
            if i == end:
                check.roll()
                epoch, end = epoch + 1, 2 * end
            check.observe_pair(epoch, bool(cell >= 2), bool(cell % 2), i)
            if i % 10 == 9:
                is_passed = is_passed or check.claim_log_e() >= BAR
                is_futile = is_futile or check.futile_log_e() >= FUTILE_LOG_E
        passed, futile = passed + is_passed, futile + is_futile
    return passed / RUNS, futile / RUNS


def allowed(rate: float, runs: int = RUNS) -> float:
    return rate + 3 * math.sqrt(rate * (1 - rate) / runs)


@pytest.mark.slow
def test_challenger_as_good_as_declared_is_seldom_called_futile() -> None:
    spec = MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.04)
    assert pairs_of(spec, 0.94, SEED)[1] <= allowed(0.2)


@pytest.mark.slow
def test_useless_challenger_is_mostly_called_futile_and_seldom_passes() -> None:
    passed, futile = pairs_of(MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.04), 0.9, SEED)
    assert passed <= allowed(0.05) and futile >= 0.8


@pytest.mark.slow
def test_horizon_errs_no_more_often_than_alpha_and_finds_more_by_then() -> None:
    """At about the size at which one look has 80 % power, 700 pairs here."""
    forever = MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.03)
    ending = MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.03, horizon=700)
    assert pairs_of(ending, 0.9, SEED)[0] <= allowed(0.05)
    with_end, without = (pairs_of(spec, 0.93, SEED, n=700)[0] for spec in (ending, forever))
    assert with_end >= without + 0.05 and with_end >= 0.65


@pytest.mark.slow
@pytest.mark.parametrize("is_bounded", [False, True])
def test_horizon_of_a_mean_errs_no_more_often_than_alpha(is_bounded: bool) -> None:
    rng, passed = np.random.default_rng(SEED), 0
    effect = 0.04 if is_bounded else 0.15
    asked = Asked(0.0, effect, is_bounded=is_bounded, horizon=1200)
    for _ in range(RUNS):
        contrast = Contrast.fresh(asked, is_clustered=False)
        y = rng.random(N + 200) if is_bounded else rng.normal(0, 1, N + 200)
        for value in y[:200]:
            contrast.learn(float(value))
        contrast.roll()
        for i, value in enumerate(y[200:]):
            if i in (64, 128, 256, 512, 1024):
                contrast.roll()
            epoch = len(contrast.state.bases) - 1
            contrast.observe_split(epoch, 0.5, bool(rng.random() < 0.5), float(value), i)
            if i % 20 == 19 and contrast.log_e("claim") >= BAR:
                passed += 1
                break
    assert passed / RUNS <= allowed(0.05)
