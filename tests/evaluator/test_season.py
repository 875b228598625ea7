"""Watching one variant alone, against what this hour of the week used to be like."""

import math
import random

import pytest

from evaluator.season import SLOTS, SeasonalMonitor, slot_of

HOUR_S = 3600.0


def taught(every: float = 1e4, tolerance: float = 0.02) -> SeasonalMonitor:
    """Return one that knows five weeks of failures between 5 and 11 %, by the time of day."""
    monitor, rng = SeasonalMonitor.fresh(tolerance, every), random.Random(1)
    for hour in range(5 * SLOTS):
        for _ in range(60):
            monitor.learn(hour * HOUR_S, rng.random() < usual(hour))
    return monitor


def usual(hour: int) -> float:
    return 0.08 + 0.03 * math.sin(2 * math.pi * hour / 24)


def watch(monitor: SeasonalMonitor, extra: float, hours: int, seed: int = 2) -> int | None:
    rng = random.Random(seed)
    for hour in range(hours):
        for _ in range(60):
            monitor.observe(hour * HOUR_S, rng.random() < usual(hour) + extra)
            if monitor.alarm_at is not None:
                return monitor.alarm_at
    return None


def test_every_hour_of_the_week_has_its_slot() -> None:
    assert [slot_of(h * HOUR_S) for h in (0, 1, 167, 168, 169)] == [0, 1, 167, 0, 1]


def test_expected_rate_follows_the_season() -> None:
    monitor = taught()
    for hour in (6, 18):
        assert monitor.expected(hour * HOUR_S) == pytest.approx(usual(hour), abs=0.02)


def test_usual_season_raises_no_alarm_and_a_worse_one_does() -> None:
    assert watch(taught(), 0.0, 200) is None
    alarm = watch(taught(), 0.06, 200)
    assert alarm is not None and alarm < 3000


def test_change_within_the_tolerance_is_no_alarm() -> None:
    assert watch(taught(tolerance=0.06), 0.02, 200) is None


def test_nothing_learned_still_allows_the_tolerance() -> None:
    monitor = SeasonalMonitor.fresh(0.05, 1000.0)
    for i in range(400):
        monitor.observe(0.0, i % 50 == 0)
    assert monitor.alarm_at is None


@pytest.mark.parametrize(("tolerance", "every"), [(-0.1, 10.0), (1.0, 10.0), (0.1, 0.0)])
def test_unreasonable_settings_are_refused(tolerance: float, every: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        SeasonalMonitor.fresh(tolerance, every)
