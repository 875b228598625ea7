"""The challenger against a declared number."""

import math
import random

import pytest

from evaluator.alone import AloneCheck
from evaluator.check import make, saved
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, How, Paired
from evaluator.metric import MetricSpec
from tests.evaluator.builders import answer, failure

BAR = math.log(20.0)
GOOD = MetricSpec("accuracy", "correct", Role.OBJECTIVE, at_least=0.8)
FEW = MetricSpec("errors", "error", Role.GUARDRAIL, at_most=0.05)
CHEAP = MetricSpec(
    "cost",
    "mean",
    Role.GUARDRAIL,
    at_most=2.0,
    value="cost",
    direction="lower",
    range=(0.0, 10.0),
)
ALL = (GOOD, FEW, CHEAP)


def fresh(spec: MetricSpec) -> AloneCheck:
    return AloneCheck(spec, How(0.05), None)


@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_declared_number_makes_the_check_look_at_the_challenger_alone(spec: MetricSpec) -> None:
    check = make(spec, How(0.05))
    assert isinstance(check, AloneCheck)
    check.split(Assigned(0, 0.5, 1, False, failure()))
    assert check.finding().is_blind


@pytest.mark.parametrize(("accuracy", "passes"), [(0.9, True), (0.6, False)])
def test_accuracy_is_held_against_the_declared_one(accuracy: float, passes: bool) -> None:
    check, rng = fresh(GOOD), random.Random(1)
    for i in range(1000):
        one = Answer("7" if rng.random() < accuracy else "8")
        check.judge(Judgable(f"q{i}", i, Mode.SPLIT, 0.5, i, 0, None, one), "7", 0)
    finding = check.finding()
    assert (finding.log_e > BAR) is passes and (finding.log_e_harm > BAR) is not passes
    assert "at least 80.0 % wanted" in finding.told


def test_missing_labels_follow_the_declared_rule() -> None:
    waiting = Judgable("q", 1, Mode.SPLIT, 0.5, 1, 0, None, Answer("7"))
    assert not fresh(GOOD).judge(waiting, None, 0)
    strict = make(
        MetricSpec("a", "correct", Role.OBJECTIVE, at_least=0.8, missing="incorrect"), How(0.05)
    )
    assert strict.judge(waiting, None, 0)
    assert "0.0 % right of 1" in strict.finding().told


def test_errors_count_in_any_mode_and_a_resting_challenger_has_failed() -> None:
    check = fresh(FEW)
    check.pair(Paired(0, 1, answer(), failure(), None))
    check.split(Assigned(0, 0.5, 1, True, answer(), True))
    check.split(Assigned(0, 0.5, 1, True, answer()))
    assert "66.7 % failed of 3" in check.finding().told
    for i in range(200):
        check.pair(Paired(0, i, answer(), answer(), None))
    assert check.finding().log_e > BAR


def test_number_is_told_in_its_own_unit() -> None:
    check = fresh(CHEAP)
    for i in range(200):
        check.pair(Paired(0, i, failure(), answer(), None, {}, {"cost": 1.0}))
    finding = check.finding()
    assert "1 on average of 200 answers, at most 2 wanted" in finding.told
    assert finding.interval is not None and finding.interval.effect == pytest.approx(1.0)
    assert finding.log_e > BAR


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("spec", ALL, ids=lambda s: s.name)
def test_saved_state_goes_on_exactly_and_halves_add(spec: MetricSpec, clustered: bool) -> None:
    how = How(0.05, clustered)
    whole, one, other = (make(spec, how) for _ in range(3))
    for i in range(400):
        for check in (whole, one if i % 2 else other):
            outcome = failure() if i % 7 == 0 else answer()
            check.pair(Paired(0, i << 54, answer(), outcome, None, {}, {"cost": i % 5}))
            waiting = Judgable(f"q{i}", i, Mode.SPLIT, 0.5, i << 54, 0, None, Answer(str(i % 8)))
            check.judge(waiting, "7", 0)
    one.merge(other)
    assert one.finding().log_e == pytest.approx(whole.finding().log_e, abs=1e-9)
    again = make(spec, how, saved(whole))
    assert again.finding() == whole.finding() and saved(again) == saved(whole)


FAST = MetricSpec("latency", "latency", Role.GUARDRAIL, at_most=0.3, quantile=0.95)


@pytest.mark.parametrize(("slow", "passes"), [(0.01, True), (0.15, False)])
def test_quantile_of_latency_is_held_against_a_declared_time(slow: float, passes: bool) -> None:
    check, rng = make(FAST, How(0.05)), random.Random(1)
    assert isinstance(check, AloneCheck)
    for _ in range(1000):
        latency_s = 0.4 if rng.random() < slow else 0.3  # the limit itself is fast enough
        check.split(Assigned(0, 1.0, 1, True, answer(latency_s=latency_s)))
    finding = check.finding()
    assert (finding.log_e > BAR) is passes and (finding.log_e_harm > BAR) is not passes
    assert "slower than 300" in finding.told and "at most 5.0 % wanted" in finding.told


def test_answer_that_never_came_is_a_slow_one() -> None:
    check = make(FAST, How(0.05))
    check.split(Assigned(0, 1.0, 1, True, failure()))
    check.split(Assigned(0, 1.0, 1, True, answer(), True))
    check.pair(Paired(0, 1, answer(), failure(), None))
    assert "100.0 % of 3 answers slower" in check.finding().told


def test_one_sample_check_of_latency_is_wrong_as_seldom_as_it_promises() -> None:
    """A tail at the limit passes in at most 5 % of the runs, looked at after each answer."""
    passed = 0
    for seed in range(200):
        check, rng = make(FAST, How(0.05)), random.Random(seed)
        for _ in range(400):
            slow = rng.random() < 0.05
            check.split(Assigned(0, 1.0, 1, True, answer(latency_s=0.4 if slow else 0.2)))
            if check.finding().log_e >= BAR:
                passed += 1
                break
    assert passed <= 20  # 5 % of 200 are 10, and chance adds three standard deviations of 3.1
