"""B10 in the quick form: what happens after the promotion."""

import math

import numpy as np
import pytest

from tests.statistics import streams, watch


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
