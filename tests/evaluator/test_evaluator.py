"""Everything together, from observations to evidence."""

import math
import random

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Evidence, Role
from evaluator.memory import COUNTS
from evaluator.metric import ExperimentPlan, MetricSpec
from router.observation import Exposure, MirroredPair, Outcome
from tests.evaluator.builders import (
    ACCURACY,
    ERRORS,
    answer,
    exposure,
    failure,
    live,
    pair,
    plan,
    read,
)

BAR = math.log(20.0)


class Traffic:
    """Requests with the true class 7; each variant answers it with its accuracy."""

    def __init__(self, seed: int, *, champion: float = 0.85, challenger: float = 0.85) -> None:
        self._rng = random.Random(seed)
        self._right = {False: champion, True: challenger}
        self._number = 0

    def outcome(self, is_challenger: bool, *, fails: float = 0.0) -> Outcome:
        if self._rng.random() < fails:
            return failure()
        is_right = self._rng.random() < self._right[is_challenger]
        latency_s = self._rng.lognormvariate(-4.0, 0.4)
        return answer(7 if is_right else 8, latency_s=latency_s)

    def pair(self, *, fails: float = 0.0) -> MirroredPair:
        self._number += 1
        champion, challenger = self.outcome(False), self.outcome(True, fails=fails)
        return pair(self._number, champion=champion, challenger=challenger)

    def exposure(self, propensity: float, *, fails: float = 0.0) -> Exposure:
        self._number += 1
        a = self._rng.random() < propensity
        outcome = self.outcome(a, fails=fails if a else 0.0)
        return exposure(self._number, is_challenger=a, outcome=outcome, propensity=propensity)


def test_better_challenger_passes_in_shadow() -> None:
    evaluator, traffic = Evaluator(plan()), Traffic(1, champion=0.8, challenger=0.95)
    for _ in range(1500):
        live(evaluator, traffic.pair())
    evidence = evaluator.evidence(1.0)
    states = {reading.check: reading.state for reading in evidence.readings}
    assert states["accuracy"] is states["errors"] is states["latency"] is CheckState.PASSED
    assert states["harm"] is states["readable"] is CheckState.PASSED
    assert evidence.counts["pairs"] == evidence.counts["judged"] == 1500


def test_evidence_of_shadow_and_canary_adds_in_one_mixture() -> None:
    together, traffic = Evaluator(plan()), Traffic(2, champion=0.85, challenger=0.93)
    for _ in range(300):
        live(together, traffic.pair())
    shadow = read(together, "accuracy")
    together.roll_epoch("canary")
    for _ in range(900):
        live(together, traffic.exposure(0.5))
    both = read(together, "accuracy")
    assert shadow.state is CheckState.UNDECIDED
    assert both.state is CheckState.PASSED
    assert both.n == 1200


def test_healthy_challenger_passes_the_error_guardrail_in_600_to_1500_pairs() -> None:
    evaluator, traffic, pairs = Evaluator(plan()), Traffic(3), 0
    while read(evaluator, "errors").state is not CheckState.PASSED:
        live(evaluator, traffic.pair())
        pairs += 1
        assert pairs <= 1500
    assert pairs >= 600  # log(20) / .005: no test can know it earlier


def test_challenger_that_fails_every_request_is_harm_within_fifteen_of_them() -> None:
    for healthy in (0, 500, 5000):
        evaluator, traffic = Evaluator(plan(ACCURACY, ERRORS)), Traffic(4)
        for _ in range(healthy):
            live(evaluator, traffic.exposure(0.25))
        failed = 0
        while read(evaluator, "harm").state is not CheckState.TRIPPED:
            seen = traffic.exposure(0.25, fails=1.0)
            live(evaluator, seen)
            failed += seen.is_challenger
        assert failed <= 15
        assert read(evaluator, "errors").state is CheckState.TRIPPED
        assert read(evaluator, "errors").log_e_harm >= BAR


def test_challenger_with_errors_within_its_margin_is_not_harm() -> None:
    evaluator, traffic = Evaluator(plan(ERRORS)), Traffic(5)
    for _ in range(8000):
        live(evaluator, traffic.exposure(0.5, fails=0.003))
    assert read(evaluator, "errors").log_e_harm < BAR


def test_worse_challenger_trips_by_its_accuracy() -> None:
    evaluator, traffic = Evaluator(plan(ACCURACY, ERRORS)), Traffic(6, champion=0.9, challenger=0.7)
    for _ in range(400):
        live(evaluator, traffic.pair())
    assert read(evaluator, "accuracy").state is CheckState.TRIPPED
    assert "worse than allowed" in read(evaluator, "accuracy").because


def test_nothing_but_unlabelled_answers_proves_nothing() -> None:
    evaluator, traffic = Evaluator(plan()), Traffic(7, challenger=1.0)
    for _ in range(500):
        judgable = evaluator.observe(traffic.pair())
        assert judgable is not None
        evaluator.judge(judgable, None)
    reading = read(evaluator, "accuracy")
    assert (reading.state, reading.n, reading.log_e) == (CheckState.UNDECIDED, 0, 0.0)
    assert reading.because == "no labelled answer to compare yet"
    assert evaluator.evidence(1.0).counts["unlabelled"] == 500


def test_observation_of_another_experiment_changes_nothing_but_a_count() -> None:
    evaluator = Evaluator(plan())
    assert evaluator.observe(pair(1, experiment="old")) is None
    counts = evaluator.evidence(1.0).counts
    assert (counts["foreign"], counts["pairs"]) == (1, 0)


def test_late_label_meets_the_bets_of_the_epoch_it_was_seen_in() -> None:
    evaluator = Evaluator(plan(ACCURACY))
    judgable = evaluator.observe(pair(1))
    assert judgable is not None and judgable.epoch == 0
    evaluator.roll_epoch("daily")
    evaluator.judge(judgable, "7")
    assert read(evaluator, "accuracy").n == 1


def test_judgable_of_an_epoch_that_never_was_is_counted_not_used() -> None:
    one, other = Evaluator(plan(ACCURACY)), Evaluator(plan(ACCURACY))
    other.roll_epoch("daily")
    judgable = other.observe(pair(1))
    assert judgable is not None
    one.judge(judgable, "7")
    assert read(one, "accuracy").n == 0
    assert one.evidence(1.0).counts["foreign"] == 1


def test_epochs_end_by_themselves_and_double() -> None:
    evaluator = Evaluator(plan(ERRORS), first_epoch=4)
    ends = []
    for i in range(40):
        before = evaluator.evidence(1.0).counts["epochs"]
        evaluator.observe(pair(i))
        if evaluator.evidence(1.0).counts["epochs"] > before:
            ends.append(i + 1)
    assert ends == [4, 8, 16, 32]


def test_evidence_names_every_check_and_count_from_the_start() -> None:
    evidence = Evaluator(plan()).evidence(12.0)
    names = [reading.check for reading in evidence.readings]
    assert names == [
        "accuracy",
        "errors",
        "latency",
        "agrees",
        "harm",
        "srm",
        "readable",
        "delivery",
    ]
    assert set(evidence.counts) == set(COUNTS)
    assert (evidence.at_s, evidence.last_observation_s) == (12.0, None)
    assert not any(reading.state is CheckState.PASSED for reading in evidence.readings)


def test_evidence_says_when_it_last_saw_something() -> None:
    evaluator = Evaluator(plan())
    evaluator.observe(pair(1, at_ns=3_000_000_000))
    evaluator.observe(pair(2, at_ns=2_000_000_000))
    assert evaluator.evidence(9.0).last_observation_s == 3.0


def test_plan_without_metrics_still_reads() -> None:
    empty = ExperimentPlan("x1", "digits", "a", "b", (), None)
    evaluator = Evaluator(empty)
    assert evaluator.observe(pair(1)) is None
    assert isinstance(evaluator.evidence(1.0), Evidence)


def test_proxy_may_hold_but_reads_by_the_same_rules() -> None:
    proxy = MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.8)
    evaluator = Evaluator(plan(proxy))
    for i in range(200):
        evaluator.observe(pair(i))
    assert read(evaluator, "agrees").role is Role.PROXY
    assert read(evaluator, "agrees").state is CheckState.PASSED


def test_equal_answers_are_not_missing_a_label_where_disagreements_are_wanted() -> None:
    evaluator = Evaluator(plan(ACCURACY, labels_wanted="disagreements"))
    for number, challenger in enumerate((7, 8, 8)):
        waiting = evaluator.observe(pair(number, challenger=answer(challenger)))
        assert waiting is not None
        evaluator.judge(waiting, "7" if number == 1 else None)
    counts = evaluator.evidence(1.0).counts
    assert (counts["judged"], counts["needless"], counts["unlabelled"]) == (3, 1, 1)
