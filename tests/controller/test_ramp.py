import random
from itertools import pairwise

import pytest

from controller.ramp import CATASTROPHE, FLOOR, USUAL_ERROR_RATE, least_exposures


def test_one_percent_needs_about_twenty_exposures():
    assert least_exposures(share_buckets=100, alpha=0.05) == 22


@pytest.mark.parametrize("share_buckets", [1, 100, 500, 2500, 5000, 9000, 10_000])
def test_never_fewer_than_the_floor_and_always_finite(share_buckets):
    assert FLOOR <= least_exposures(share_buckets=share_buckets, alpha=0.05) < 20_000


def test_stricter_alpha_asks_for_more():
    counts = [least_exposures(share_buckets=500, alpha=alpha) for alpha in (0.1, 0.05, 0.01)]
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_higher_share_asks_for_more_exposures_of_the_challenger():
    counts = [least_exposures(share_buckets=share, alpha=0.05) for share in (500, 2500, 5000)]
    assert all(low < high for low, high in pairwise(counts))


@pytest.mark.parametrize("share_buckets", [0, -1, 10_001])
def test_a_share_that_is_none_is_refused(share_buckets):
    with pytest.raises(ValueError, match=f"got {share_buckets}"):
        least_exposures(share_buckets=share_buckets, alpha=0.05)


def test_a_catastrophe_shows_itself_within_that_many_exposures():
    """With an error rate of one in ten, nine rollouts in ten meet an error in time."""
    dice = random.Random(7)
    n = least_exposures(share_buckets=500, alpha=0.05)
    rate = USUAL_ERROR_RATE * CATASTROPHE
    seen = sum(any(dice.random() < rate for _ in range(n)) for _ in range(2000))
    assert seen / 2000 > 0.9
