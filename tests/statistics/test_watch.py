"""B10 in the quick form: what happens after the promotion."""

import math
import random

import numpy as np
import pytest

from evaluator.season import SeasonalMonitor
from tests.statistics import streams, watch

HOUR_S = 3_600.0
PER_HOUR = 20


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_asked_and_a_change_is_found() -> None:
    """A target of 5,000 instead of 100,000, so that it takes a second."""
    runs, target = 60, 5_000.0
    calm = watch.single(lambda t: (np.full_like(t, watch.BEFORE), t), 60_000)
    ways = {"ours": watch.against_baseline(target)}
    at = streams.first_stops(calm, ways, runs, seed=1)["ours"]
    until = np.where(at == 0, 60_000, at)
    assert until.mean() >= target * (1 - 3 / math.sqrt(runs))
    change = watch.single(lambda t: (np.full_like(t, watch.AFTER), t), 60_000)
    found = streams.first_stops(change, ways, runs, seed=1)["ours"]
    assert 0 < found.mean() < 2_000


def test_a_season_does_not_alarm_the_one_who_compares_with_the_holdback() -> None:
    horizon = 20_000
    rates = watch.season()
    stream = streams.split(lambda t: rates(t * horizon), (horizon, 0.9))
    ways = {"ours": watch.against_holdback(0.1, 50_000.0)}
    at = streams.first_stops(stream, ways, 40, seed=2)["ours"]
    assert (at > 0).mean() < 0.5


def test_cusum_is_the_highest_rise_of_the_log_ratio() -> None:
    way = watch.Cusum(2.0)
    stream = watch.single(lambda t: (np.full_like(t, 0.2), t), 1_000)
    stops = streams.first_stops(stream, {"cusum": way}, 20, seed=3)["cusum"]
    assert ((stops > 0) & (stops < 1_000)).all()


def alarm_after(seed: int, worse_by: float, *, every: float = 300.0, at_most: int = 6_000) -> int:
    """Return how many answers went by before the seasonal watch alarmed, at most ``at_most``.

    It learns two weeks of a champion that fails more at noon, and watches one that fails more
    often than what was learned, by ``worse_by``; the tolerance is 2 points.
    """
    rng = random.Random(seed)
    monitor = SeasonalMonitor.fresh(0.02, every)
    for n in range(2 * 168 * PER_HOUR):
        at_s = n // PER_HOUR * HOUR_S
        monitor.learn(at_s, rng.random() < (0.2 if at_s // HOUR_S % 24 == 12 else 0.05))
    for n in range(at_most):
        at_s = n // PER_HOUR * HOUR_S
        monitor.observe(at_s, rng.random() < monitor.expected(at_s) + worse_by)
        if monitor.alarm_at is not None:
            return monitor.alarm_at
    return at_most


def test_seasonal_watch_alarms_falsely_as_rarely_as_asked_at_the_edge_of_its_null() -> None:
    """Exactly as much worse as is tolerated: the mean time is cut off, so it reads too short."""
    runs, every = 60, 300.0
    calm = [alarm_after(seed, 0.02, every=every) for seed in range(runs)]
    assert sum(calm) / runs >= every
    at_once = sum(n <= every / 10 for n in calm) / runs  # P(alarm within n) <= n / every
    assert at_once <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / runs)


def test_seasonal_watch_finds_what_is_worse_than_tolerated() -> None:
    found = [alarm_after(seed, 0.15) for seed in range(20)]
    assert sum(found) / 20 < 300
