"""A variant against a service limit: when it is broken or sound, and how seldom wrongly."""

import math
import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.evaluator import Evaluator
from evaluator.health import HealthMonitor, HealthState
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, ERRORS, answer, exposure, failure, pair, plan

BAR = math.log(20.0)


def monitor(limit: float = 0.2) -> HealthMonitor:
    return HealthMonitor(limit, HealthState.empty())


def fed(one: HealthMonitor, rate: float, n: int, seed: int = 1) -> int | None:
    """Feed ``n`` answers; return after how many the verdict changed."""
    rng, before = random.Random(seed), one.state.is_broken
    for k in range(1, n + 1):
        one.observe(rng.random() < rate)
        if one.state.is_broken is not before:
            return k
    return None


def test_dead_variant_is_broken_after_a_handful_and_found_late_in_a_long_life_too() -> None:
    assert fed(monitor(), 1.0, 20) is not None
    old = monitor()
    assert fed(old, 0.001, 20_000) is None
    found = fed(old, 1.0, 20)
    assert found is not None and found <= 12  # a long healthy past is not worked off


def test_a_little_above_the_limit_is_found_and_a_little_below_is_not() -> None:
    found = [fed(monitor(), 0.3, 5_000, seed) for seed in range(20)]
    assert all(found) and sorted(n or 0 for n in found)[10] < 1_000
    assert [fed(monitor(), 0.15, 5_000, seed) for seed in range(20)] == [None] * 20


def test_variant_at_the_limit_is_called_broken_as_seldom_as_promised() -> None:
    """100 000 answers pass on average: of 20 runs of 10 000 two are due."""
    alarms = sum(fed(monitor(), 0.2, 10_000, seed) is not None for seed in range(20))
    assert alarms <= 5


def test_recovery_ends_it() -> None:
    one = monitor()
    assert fed(one, 1.0, 50) is not None
    assert fed(one, 0.01, 500) is not None
    assert not one.reading().is_broken


@pytest.mark.parametrize(("rate", "is_sound"), [(0.02, True), (0.2, False), (0.6, False)])
def test_soundness_is_shown_below_the_limit_only(rate: float, is_sound: bool) -> None:
    rng, one = random.Random(3), monitor()
    best = 0.0
    for _ in range(500):
        one.observe(rng.random() < rate)
        best = max(best, one.reading().sound_log_e)
    assert (best >= BAR) is is_sound


def test_soundness_is_wrong_as_seldom_as_alpha_says() -> None:
    wrong = 0
    for seed in range(200):
        rng, one = random.Random(seed), monitor()
        for _ in range(400):
            one.observe(rng.random() < 0.2)
            if one.reading().sound_log_e >= BAR:
                wrong += 1
                break
    assert wrong <= 20  # 10 are due, and chance adds three standard deviations of 3.1


@given(st.lists(st.booleans(), max_size=60), st.floats(0.01, 0.99))
def test_state_survives_the_disk_and_stays_a_number(answers: list[bool], limit: float) -> None:
    one = monitor(limit)
    for is_failed in answers:
        one.observe(is_failed)
    raw = msgspec.msgpack.encode(one.state)
    again = HealthMonitor(limit, msgspec.msgpack.decode(raw, type=HealthState))
    assert again.reading() == one.reading()
    assert math.isfinite(one.reading().sound_log_e)
    assert (one.reading().n, one.reading().failed) == (len(answers), sum(answers))


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_limit_out_of_range_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit must be in"):
        monitor(limit)


def test_what_the_evaluator_shows_counts_failures_rests_and_answers_nobody_can_read() -> None:
    declared = replace(plan(ACCURACY, ERRORS), max_failed=0.5)
    evaluator = Evaluator(declared)
    garbled = Outcome("v", 200, 0.01, "", b"<html>", 6)
    evaluator.observe(pair(1, champion=failure(), challenger=answer()))
    evaluator.observe(pair(2, champion=garbled, challenger=answer()))
    evaluator.observe(exposure(3, is_challenger=True, outcome=answer(), loss="circuit_open"))
    evaluator.observe(exposure(4, is_challenger=False, outcome=answer(), propensity=0.0))
    shown = evaluator.evidence(1.0)
    champion, challenger = shown.champion_health, shown.challenger_health
    assert champion is not None and challenger is not None
    assert (champion.failed, champion.n) == (2, 3)
    assert (challenger.failed, challenger.n) == (1, 3)
    assert "2 of 3 answers failed, limit 0.5" in champion.told
    again = Evaluator.restore(declared, evaluator.snapshot()).evidence(1.0)
    assert again.champion_health == champion
    assert Evaluator(plan()).evidence(1.0).champion_health is None
