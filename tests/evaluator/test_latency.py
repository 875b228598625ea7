"""Slowness at the champion's own quantiles."""

import math
import random

import pytest

from evaluator.evidence import Role
from evaluator.latency import MIN_LATENCIES, LatencyCheck
from evaluator.metric import MetricSpec
from tests.evaluator.builders import LATENCY, answer, failure


def fresh(spec: MetricSpec = LATENCY, *, is_clustered: bool = False) -> LatencyCheck:
    return LatencyCheck.fresh(spec, 0.05, is_clustered=is_clustered)


def learn(check: LatencyCheck, n: int, rng: random.Random) -> None:
    for _ in range(n):
        check.learn(answer(latency_s=rng.lognormvariate(-4.0, 0.5)))


def run(check: LatencyCheck, n: int, rng: random.Random, factor: float, epoch: int = 1) -> None:
    for i in range(n):
        a = rng.random() < 0.5
        latency_s = rng.lognormvariate(-4.0, 0.5) * (factor if a else 1.0)
        check.observe_split(epoch, 0.5, a, answer(latency_s=latency_s), i)


def test_without_earlier_quantiles_nothing_is_claimed_but_the_champion_is_measured() -> None:
    check = fresh()
    run(check, 300, random.Random(1), 5.0, epoch=0)
    finding = check.finding()
    assert finding.is_blind
    assert (finding.log_e, finding.log_e_harm, finding.n) == (0.0, 0.0, 0)
    assert "answers of the champion measured" in finding.told
    assert check.state.champion.n > MIN_LATENCIES


def test_too_few_answers_are_kept_for_the_next_epoch() -> None:
    check = fresh()
    learn(check, MIN_LATENCIES - 1, random.Random(1))
    check.roll()
    assert check.state.limits_s == [[], []]
    learn(check, 1, random.Random(2))
    check.roll()
    assert len(check.state.limits_s[2]) == 5


def test_thresholds_are_the_champions_quantiles() -> None:
    check = fresh()
    learn(check, 20_000, random.Random(3))
    check.roll()
    median, p99 = check.state.limits_s[1][0], check.state.limits_s[1][4]
    assert median == pytest.approx(math.exp(-4.0), rel=0.04)
    assert p99 == pytest.approx(math.exp(-4.0 + 2.326 * 0.5), rel=0.06)


def test_challenger_as_fast_passes_within_its_margin() -> None:
    check, rng = fresh(), random.Random(4)
    learn(check, 2000, rng)
    check.roll()
    run(check, 6000, rng, 1.0)
    assert check.finding().log_e > math.log(20)
    assert check.finding().log_e_harm < 0.0


def test_challenger_slower_than_its_margin_is_harm() -> None:
    check, rng = fresh(), random.Random(5)
    learn(check, 2000, rng)
    check.roll()
    run(check, 2000, rng, 1.6)
    assert check.finding().log_e_harm > math.log(20)
    assert check.finding().log_e < 0.0


def test_challenger_at_its_margin_is_neither() -> None:
    check, rng = fresh(), random.Random(6)
    learn(check, 5000, rng)
    check.roll()
    run(check, 6000, rng, 1.25)
    assert check.finding().log_e < math.log(20)
    assert check.finding().log_e_harm < math.log(20)


def test_bad_tail_is_harm_though_the_middle_is_fine() -> None:
    check, rng = fresh(), random.Random(7)
    learn(check, 5000, rng)
    check.roll()
    for i in range(6000):
        a = rng.random() < 0.5
        slow = 10.0 if a and rng.random() < 0.05 else 1.0
        check.observe_split(1, 0.5, a, answer(latency_s=slow * rng.lognormvariate(-4.0, 0.5)), i)
    assert check.finding().log_e_harm > math.log(20)


def test_challenger_that_fails_fast_is_not_fast() -> None:
    check, rng = fresh(), random.Random(8)
    learn(check, 1000, rng)
    check.roll()
    for i in range(300):
        check.observe_pair(1, answer(latency_s=rng.lognormvariate(-4.0, 0.5)), failure(), i)
    assert check.finding().log_e_harm > math.log(20)
    assert check.state.challenger.n == 0


def test_pairs_see_a_shift_of_every_request_at_once() -> None:
    check, rng = fresh(), random.Random(9)
    learn(check, 2000, rng)
    check.roll()
    for i in range(800):
        latency_s = rng.lognormvariate(-4.0, 0.5)
        check.observe_pair(1, answer(latency_s=latency_s), answer(latency_s=2 * latency_s), i)
    assert check.finding().log_e_harm > math.log(20)


def test_declared_quantile_is_the_one_that_is_claimed() -> None:
    spec = MetricSpec("latency", "latency", Role.GUARDRAIL, margin=0.1, quantile=0.8)
    check = fresh(spec)
    assert check.state.quantiles == [0.5, 0.75, 0.8, 0.9, 0.95, 0.99]
    learn(check, 2000, random.Random(10))
    check.roll()
    assert "p80" in check.finding().told


def test_objective_must_be_faster_and_not_only_within_a_margin() -> None:
    spec = MetricSpec("latency", "latency", Role.OBJECTIVE, margin=0.25, quantile=0.75)
    as_fast, faster = fresh(spec), fresh(spec)
    for check, factor in ((as_fast, 1.0), (faster, 0.8)):
        rng = random.Random(14)
        learn(check, 2000, rng)
        check.roll()
        run(check, 4000, rng, factor)
    assert as_fast.finding().log_e < math.log(20) < faster.finding().log_e


def test_clustered_units_are_compared_at_the_declared_quantile_alone() -> None:
    check = fresh(is_clustered=True)
    assert check.state.quantiles == [0.95]
    rng = random.Random(11)
    learn(check, 2000, rng)
    check.roll()
    run(check, 6000, rng, 2.0)
    assert check.finding().log_e_harm > math.log(20)


def test_merged_halves_equal_the_whole_and_other_thresholds_are_refused() -> None:
    whole, one, other = fresh(), fresh(), fresh()
    for check in (whole, one, other):
        learn(check, 500, random.Random(12))
        check.roll()
    for i in range(200):
        for check in (whole, one if i % 2 else other):
            run(check, 1, random.Random(i), 1.3)
    one.merge(other)
    assert one.finding() == whole.finding()
    odd = fresh()
    learn(odd, 500, random.Random(13))
    odd.roll()
    with pytest.raises(ValueError):
        one.merge(odd)
