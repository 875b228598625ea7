"""How often the number checks err and how soon they decide; the shipped classes, fixed seeds."""

import math

import numpy as np
import pytest

from evaluator.contrast import Contrast
from evaluator.ground import Asked
from tests.statistics import families
from tests.statistics.families import Stream

SEED = 20_261_124


@pytest.mark.slow
@pytest.mark.parametrize("stream", families.NULLS, ids=lambda s: s.name)
def test_number_checks_err_no_more_often_than_alpha(stream: Stream) -> None:
    """120 runs of 2,500 observations, a look after every ten: alpha and three standard errors."""
    rng, runs = np.random.default_rng(SEED), 120
    rejected = sum(
        families.play(stream, rng, 2500, every=10, side="claim") is not None for _ in range(runs)
    )
    assert rejected / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
@pytest.mark.parametrize("stream", families.GAINS, ids=lambda s: s.name)
def test_number_checks_need_little_more_than_the_test_that_knows_the_effect(
    stream: Stream,
) -> None:
    """Bar 1.10; 1.25 here, for 250 runs (standard error .06) and an oracle without overshoot."""
    rng = np.random.default_rng(SEED)
    assert stream.asked.effect is not None
    expected = families.oracle(stream, stream.asked.effect)
    stops = [
        families.play(stream, rng, round(8 * expected), every=5, side="claim") for _ in range(250)
    ]
    known = [stop if stop is not None else 8 * expected for stop in stops]
    assert 0.90 <= np.mean(known) / expected <= 1.25


@pytest.mark.slow
@pytest.mark.parametrize("is_clustered", [True, False])
def test_numbers_of_sticky_users_must_be_summed_first(is_clustered: bool) -> None:
    """200 users, 20 requests each, ICC .3; 100 runs, a look every 100: only sums keep alpha."""
    rng, rejected = np.random.default_rng(SEED), 0
    for _ in range(100):
        contrast = Contrast.fresh(Asked(0.0, 0.2), is_clustered=is_clustered)
        for y in rng.normal(0, 1, 200):
            contrast.learn(float(y))
        contrast.roll()
        units = rng.integers(0, 2**63, 200)
        lots, levels = rng.random(200) < 0.5, rng.normal(0, 0.3**0.5, 200)
        for i, user in enumerate(rng.integers(0, 200, 4000)):
            y = float(levels[user] + rng.normal(0, 0.7**0.5))
            contrast.observe_split(1, 0.5, bool(lots[user]), y, int(units[user]))
            if i % 100 == 99 and contrast.log_e("claim") >= families.BAR:
                rejected += 1
                break
    assert (rejected / 100 <= 0.05 + 3 * 0.022) is is_clustered
