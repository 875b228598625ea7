"""How often the number checks err and how soon they decide; the shipped classes, fixed seeds."""

import math

import numpy as np
import pytest

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
