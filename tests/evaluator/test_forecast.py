"""After a promotion without a holdback: is the new champion worse than the old one used to be?"""

import json
import random

import pytest

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Reading
from evaluator.forecast import ForecastMonitor, ForecastState
from tests.evaluator.builders import ACCURACY, ERRORS, answer, exposure, failure, pair, plan

METRICS = (ACCURACY, ERRORS)
HOUR_NS = 3_600 * 10**9


def taught(seed: int = 1, hours: int = 200, state: ForecastState | None = None) -> ForecastMonitor:
    """Return one that knows a champion with 1 % failures, and 20 % at noon, for ``hours``."""
    monitor, rng = ForecastMonitor(METRICS, 1e4, state or ForecastState([])), random.Random(seed)
    for hour in range(hours):
        for _ in range(60):
            monitor.learn("error", hour * HOUR_NS, rng.random() >= usual(hour))
            monitor.learn("correct", hour * HOUR_NS, rng.random() < 0.9)
    return monitor


def usual(hour: int) -> float:
    return 0.2 if hour % 24 == 12 else 0.01


def reading(monitor: ForecastMonitor) -> Reading:
    found = monitor.reading()
    assert found is not None
    return found


def watch(monitor: ForecastMonitor, hours: int, *, extra: float = 0.0, good: float = 0.9) -> int:
    """Return how many hours went by before the alarm, at most ``hours``."""
    monitor.begin()
    rng = random.Random(2)
    for hour in range(hours):
        for _ in range(60):
            monitor.observe("error", hour * HOUR_NS, rng.random() >= usual(hour) + extra)
            monitor.observe("correct", hour * HOUR_NS, rng.random() < good)
        if reading(monitor).state is CheckState.TRIPPED:
            return hour
    return hours


def test_nothing_is_watched_before_the_watch_begins_or_without_metrics() -> None:
    monitor = taught(hours=1)
    monitor.observe("error", 0, False)
    assert monitor.reading() is None and monitor.state.forecasts[0].season.detector.n == 0
    nobody = ForecastMonitor((), 1e4, ForecastState([]))
    nobody.learn("error", 0, False)
    nobody.begin()
    assert nobody.reading() is None


def test_usual_bad_hour_is_no_alarm_and_the_same_rate_at_another_hour_is() -> None:
    assert watch(taught(), 150) == 150
    assert watch(taught(), 150, extra=0.1) < 10


def test_fewer_correct_answers_than_usual_are_an_alarm_beyond_the_tolerance() -> None:
    assert watch(taught(), 100, good=0.87) == 100  # 5 points are tolerated
    monitor = taught()
    assert watch(monitor, 100, good=0.6) < 10
    assert "this hour of the week: accuracy" in reading(monitor).because


def test_nothing_is_learned_while_it_watches() -> None:
    monitor = taught(hours=2)
    monitor.begin()
    monitor.learn("error", 0, False)
    assert monitor.state.forecasts[0].season.overall.n == 120
    assert "learned from 120 answers" in reading(monitor).because


def test_state_is_taken_up() -> None:
    monitor = taught(hours=30)
    watch(monitor, 3)
    again = ForecastMonitor(METRICS, 1e4, monitor.state)
    assert again.reading() == monitor.reading()


def test_parts_add_up_before_the_watch() -> None:
    one, other = taught(1, 30), taught(2, 30)
    one.merge(other)
    assert one.state.forecasts[0].season.overall.n == 3600


# In the evaluator.


def promoted(*, is_held_back: bool) -> Evaluator:
    """Return one that saw 400 pairs, labelled, and then a promotion."""
    evaluator = Evaluator(plan(*METRICS, is_held_back=is_held_back))
    for i in range(400):
        judgable = evaluator.observe(pair(i))
        assert judgable is not None
        evaluator.judge(judgable, json.dumps(7 if i % 10 else 8))
    evaluator.watch()
    return evaluator


def state_of(evaluator: Evaluator) -> Reading:
    (found,) = [r for r in evaluator.evidence(0.0).readings if r.check == "monitor"]
    return found


def test_new_champion_is_watched_alone_and_its_failures_trip() -> None:
    evaluator = promoted(is_held_back=False)
    for i in range(300):
        evaluator.observe(exposure(1000 + i, is_challenger=True, propensity=1.0))
    assert state_of(evaluator).state is CheckState.PASSED
    assert state_of(evaluator).n == 300
    bad = failure()
    for i in range(200):
        evaluator.observe(
            exposure(2000 + i, is_challenger=True, propensity=1.0, outcome=bad if i % 2 else None)
        )
    assert state_of(evaluator).state is CheckState.TRIPPED
    assert "errors" in state_of(evaluator).because


def test_wrong_answers_of_the_new_champion_trip_when_their_labels_come() -> None:
    evaluator = promoted(is_held_back=False)
    for i in range(400):
        seen = exposure(1000 + i, is_challenger=True, propensity=1.0, outcome=answer(3))
        judgable = evaluator.observe(seen)
        assert judgable is not None
        evaluator.judge(judgable, json.dumps(3 if i % 2 else 7))
    assert state_of(evaluator).state is CheckState.TRIPPED
    assert "accuracy" in state_of(evaluator).because


@pytest.mark.parametrize("is_clustered", [False, True])
def test_with_a_holdback_or_sticky_users_nobody_is_held_against_the_past(
    is_clustered: bool,
) -> None:
    how = plan(*METRICS, is_held_back=not is_clustered, clustered=is_clustered)
    evaluator = Evaluator(how)
    evaluator.observe(pair(1))
    evaluator.watch()
    assert evaluator.observe(exposure(2, is_challenger=True, propensity=1.0)) is None
    because = [r.because for r in evaluator.evidence(0.0).readings if r.check == "monitor"]
    assert not any("hour of the week" in text or "usual" in text for text in because)


def test_snapshot_in_the_midst_of_the_watch_goes_on_alike() -> None:
    evaluator = promoted(is_held_back=False)
    evaluator.observe(exposure(1000, is_challenger=True, propensity=1.0, outcome=failure()))
    again = Evaluator.restore(evaluator.plan, evaluator.snapshot())
    for one in (evaluator, again):
        one.observe(exposure(1001, is_challenger=True, propensity=1.0, outcome=failure()))
    assert again.evidence(0.0) == evaluator.evidence(0.0)
    assert state_of(again).n == 2
