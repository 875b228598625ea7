"""Watching for ever."""

import math

import msgspec
import numpy as np
import pytest

from evaluator.eprocess.detector import Detector
from evaluator.eprocess.mixture import even_log_weights

BETS = (0.05, 0.1, 0.2, 0.4)


def fresh() -> Detector:
    return Detector.empty(even_log_weights(len(BETS)))


def test_it_starts_with_nothing_and_is_what_the_recursion_says() -> None:
    detector, m = fresh(), [0.0] * 4
    assert detector.statistic == -math.inf
    for f in (1.5, 0.5, 2.0, 0.9):
        factors = [f + k / 10 for k in range(4)]
        m = [(before + 1.0) * factor for before, factor in zip(m, factors, strict=True)]
        detector.update([math.log(factor) for factor in factors], 1e9)
        assert math.exp(detector.statistic) == pytest.approx(sum(m) / 4)


def test_alarm_stays_and_says_when() -> None:
    detector = fresh()
    for _ in range(30):
        detector.update([0.5] * 4, 100.0)
    assert detector.alarm_at is not None and detector.alarm_at < 12
    before = detector.alarm_at
    for _ in range(500):
        detector.update([-1.0] * 4, 100.0)
    assert detector.alarm_at == before and detector.statistic < 0.0


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_what_is_no_factor_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="log factors"):
        fresh().update([factor] * 4, 100.0)
    with pytest.raises(ValueError, match="log factors"):
        fresh().update([0.0], 100.0)


def test_ruined_bets_start_again_with_the_next_request() -> None:
    detector = fresh()
    detector.update([-math.inf] * 4, 100.0)
    assert detector.statistic == -math.inf
    detector.update([0.0] * 4, 100.0)
    assert detector.statistic == pytest.approx(0.0)


def test_no_run_overflows_and_state_survives_storage() -> None:
    detector = fresh()
    for _ in range(5000):
        detector.update([1.0] * 4, 1e6)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(detector), type=Detector)
    assert again == detector and math.isfinite(again.statistic)
    start = msgspec.msgpack.decode(msgspec.msgpack.encode(fresh()), type=Detector)
    assert start.statistic == -math.inf


def test_shards_add_their_sums() -> None:
    one, other = fresh(), fresh()
    one.update([math.log(3.0)] * 4, 1e9)
    other.update([math.log(2.0)] * 4, 1e9)
    one.merge(other, 4.0)
    assert math.exp(one.statistic) == pytest.approx(5.0) and one.n == 2 and one.alarm_at == 2
    with pytest.raises(ValueError, match="weights"):
        one.merge(Detector.empty(even_log_weights(2)), 4.0)


def test_mean_time_between_false_alarms_is_what_was_asked_for() -> None:
    """400 runs, one request in ten bad, 1,000 asked: from .9 to 2 times that is measured.

    Above it: the statistic overshoots, and alarms are geometric, so the mean of 400 has 5 % error.
    """
    rng, every, times = np.random.default_rng(1), 1000.0, []
    table = np.log1p(np.outer([-0.1, 0.9], BETS))
    for _ in range(400):
        m, n = np.zeros(4), 0
        while m.mean() < every:
            m = (m + 1.0) * np.exp(table[int(rng.random() < 0.1)])
            n += 1
        times.append(n)
    assert 0.9 * every <= np.mean(times) <= 2.0 * every
