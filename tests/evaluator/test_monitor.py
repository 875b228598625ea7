"""After a promotion: is the new champion getting worse than the holdback?"""

import math
import random

import numpy as np
import pytest

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.metric import MetricSpec
from evaluator.monitor import Monitor, MonitorState, Watched, _log_factors
from tests.evaluator.builders import ACCURACY, ERRORS, LATENCY, answer, exposure, failure, plan

METRICS = (ACCURACY, ERRORS, LATENCY)


def fresh(every: float = 1e4) -> Monitor:
    monitor = Monitor(every, MonitorState([]))
    monitor.begin(METRICS)
    return monitor


def state(monitor: Monitor) -> CheckState:
    reading = monitor.reading()
    assert reading is not None
    return reading.state


def run(monitor: Monitor, n: int, good: float, seed: int = 1, kind: str = "correct") -> int | None:
    """Return after how many answers the alarm came."""
    rng = random.Random(seed)
    for i in range(n):
        if i and i & (i - 1) == 0:
            monitor.roll()
        b = rng.random() < 0.9
        monitor.observe(kind, 0.9, b, rng.random() < (good if b else 0.9))
        if state(monitor) is CheckState.TRIPPED:
            return i + 1
    return None


def test_nothing_is_watched_before_the_watch_begins() -> None:
    monitor = Monitor(1e4, MonitorState([]))
    monitor.observe("error", 0.9, True, False)
    assert monitor.reading() is None


def test_one_metric_of_each_kind_is_watched_once() -> None:
    monitor = fresh()
    monitor.begin(METRICS)
    assert [one.name for one in monitor.state.watched] == ["errors", "accuracy"]


def test_equal_champion_raises_no_alarm_and_a_worse_one_does() -> None:
    assert run(fresh(), 6000, 0.9) is None
    alarm = run(fresh(), 20_000, 0.8)
    assert alarm is not None and alarm < 4000


def test_failures_of_the_new_champion_alone_raise_the_alarm_at_once() -> None:
    alarm = run(fresh(), 1000, 0.0, kind="error")
    assert alarm is not None and alarm < 150


def test_alarm_names_its_metric() -> None:
    monitor = fresh()
    run(monitor, 1000, 0.0, kind="error")
    reading = monitor.reading()
    assert reading is not None and "worse than the holdback: errors" in reading.because


@pytest.mark.parametrize("every", [0.5, math.nan, math.inf])
def test_unreasonable_rates_of_false_alarms_are_refused(every: float) -> None:
    with pytest.raises(ValueError, match="false alarms"):
        Monitor(every, MonitorState([]))


def test_season_shared_with_the_holdback_raises_no_alarm_more_often_than_asked() -> None:
    """300 runs, a rate that swings between 84 and 96 % for both: mean time >= .9 times 2,000."""
    rng, every, times = np.random.default_rng(2), 2000.0, []
    one = Watched("a", "correct", fresh().state.watched[1].detector, _rate(0.9), 0.05)
    table = np.exp(np.array(_log_factors(one, 0.9)))
    weights = np.exp(one.detector.log_weights)
    for _ in range(300):
        m, n = np.zeros(len(weights)), 0
        while weights @ m < every and n < 40_000:
            good = 0.9 + 0.06 * math.sin(n / 300)
            cell = 2 * int(rng.random() < 0.9) + int(rng.random() < good)
            m = (m + 1.0) * table[cell]
            n += 1
        times.append(n)
    assert np.mean(times) >= 0.9 * every


def _rate(share: float):  # type: ignore[no-untyped-def]  # a builder of two lines
    from evaluator.running import Rate

    return Rate(1000.0, 1000.0 * share)


def test_merged_halves_keep_the_alarm_of_either() -> None:
    one, other = fresh(), fresh()
    run(one, 1000, 0.0, kind="error")
    other.merge(one)
    assert state(other) is CheckState.TRIPPED


def test_evaluator_watches_from_the_promotion_on_and_remembers() -> None:
    evaluator = Evaluator(plan(ERRORS, alarm_every=1e4))
    for i in range(400):
        evaluator.observe(exposure(i, is_challenger=bool(i % 2), outcome=answer()))
    assert evaluator.evidence(1.0).reading("monitor") is None
    evaluator.roll_epoch("promoted")
    evaluator.watch()
    again = Evaluator.restore(evaluator.plan, evaluator.snapshot())
    for i in range(400, 700):
        outcome = failure() if i % 3 == 0 and i % 10 else answer()
        seen = exposure(i, is_challenger=i % 10 != 0, outcome=outcome, propensity=0.9)
        again.observe(seen)
    reading = again.evidence(1.0).reading("monitor")
    assert reading is not None and reading.state is CheckState.TRIPPED


def test_correct_answers_are_watched_when_their_labels_come() -> None:
    evaluator = Evaluator(plan(MetricSpec("a", "correct", Role.OBJECTIVE, detect=0.05)))
    evaluator.watch()
    for i in range(50):
        waiting = evaluator.observe(exposure(i, is_challenger=i % 10 != 0, propensity=0.9))
        assert waiting is not None
        evaluator.judge(waiting, "7")
    reading = evaluator.evidence(1.0).reading("monitor")
    assert reading is not None and reading.n == 50 and reading.state is CheckState.PASSED


def test_units_that_send_many_requests_are_not_watched() -> None:
    evaluator = Evaluator(plan(ERRORS, clustered=True))
    evaluator.watch()
    assert evaluator.evidence(1.0).reading("monitor") is None
