"""Numbers in answers and labels, and losses."""

import dataclasses
import json
import math
import random
from typing import Any

import pytest

from evaluator.check import make, saved
from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, How, Paired
from evaluator.mean import MeanCheck
from evaluator.metric import MetricSpec
from router.observation import Outcome
from tests.evaluator.builders import answer, exposure, failure, pair, plan

BAR = math.log(20.0)
SCORE = MetricSpec("score", "mean", Role.OBJECTIVE, detect=1.0, value="score", range=(0.0, 10.0))
COST = MetricSpec(
    "cost", "mean", Role.GUARDRAIL, margin_relative=0.1, value="cost", direction="lower"
)
REWARD = MetricSpec("reward", "mean", Role.OBJECTIVE, detect=0.3, value="reward", source="label")
ERROR = MetricSpec("error", "loss", Role.OBJECTIVE, detect=0.2, measure="absolute")


def fresh(spec: MetricSpec, **how: Any) -> MeanCheck:
    return MeanCheck(spec, How(0.05, **how), None)


def body(**values: Any) -> Outcome:
    raw = json.dumps(values).encode()
    return Outcome("v", 200, 0.01, "", raw, len(raw))


def test_number_in_the_answer_is_compared_in_its_own_unit() -> None:
    check = fresh(SCORE)
    for i in range(100):
        check.pair(Paired(0, i, answer(), answer(), None, {"score": 5.0}, {"score": 6 + i % 2}))
    finding = check.finding()
    assert finding.interval is not None and finding.interval.effect == pytest.approx(1.5)
    assert "challenger 6.5 of 100, champion 5 of 100" in finding.told
    assert finding.log_e > BAR


def test_number_out_of_the_range_counts_as_its_nearer_end() -> None:
    check = fresh(SCORE)
    check.pair(Paired(0, 1, answer(), answer(), None, {"score": -3}, {"score": 1e300}))
    assert "challenger 10 of 1, champion 0 of 1" in check.finding().told


@pytest.mark.parametrize("value", [None, "9", True, [9], 10**400])
def test_what_is_no_number_counts_as_the_worst_and_is_told(value: Any) -> None:
    check = fresh(SCORE)
    fields = {} if value is None else {"score": value}
    check.pair(Paired(0, 1, answer(), answer(), None, {"score": 5}, fields))
    assert "challenger 0 of 1" in check.finding().told
    assert "no number in 1 and 0 answers" in check.finding().told


def test_failed_and_resting_challenger_count_as_the_worst_and_are_not_called_unreadable() -> None:
    check = fresh(SCORE)
    check.split(Assigned(0, 0.5, 1, True, failure()))
    check.split(Assigned(0, 0.5, 2, True, answer(), True))
    check.split(Assigned(0, 0.5, 3, False, answer(), fields={"score": 5}))
    told = check.finding().told
    assert "challenger 0 of 2, champion 5 of 1" in told and "no number" not in told


def test_answer_that_we_cut_is_left_out() -> None:
    check = fresh(SCORE)
    check.split(Assigned(0, 0.5, 1, True, answer(), is_cut=True))
    check.pair(Paired(0, 1, answer(), answer(), None, is_cut=True))
    assert check.finding().n == 0


def costs(check: MeanCheck, factor: float, n: int = 8000) -> None:
    rng, epoch = random.Random(3), 0
    for i in range(n):
        if i in (500, 2000):
            check.roll()
            epoch += 1
        b = rng.random() < 0.5
        cost = rng.lognormvariate(0.0, 0.5) * (factor if b else 1.0)
        check.split(Assigned(epoch, 0.5, i, b, answer(), fields={"cost": cost}))


def test_cost_within_the_relative_margin_passes() -> None:
    check = fresh(COST)
    costs(check, 1.0)
    assert check.finding().log_e > BAR
    assert "divided by 1.1" in check.finding().told


def test_cost_beyond_the_relative_margin_is_harm() -> None:
    check = fresh(COST)
    costs(check, 1.3)
    finding = check.finding()
    assert finding.log_e_harm > BAR and finding.log_e < 0.0


def test_unbounded_number_says_what_it_waits_for() -> None:
    check = fresh(COST)
    check.learn(answer(), {"cost": 1.0})
    assert "1 of 100 numbers of the champion seen" in check.finding().told
    assert check.finding().is_blind


def judged(check: MeanCheck, i: int, label: str | None, *sides: Answer | None, epoch: int) -> bool:
    a, b = sides
    mode = Mode.PAIR if a is not None and b is not None else Mode.SPLIT
    return check.judge(Judgable(f"q{i}", i, mode, 0.5, i, epoch, a, b), label, epoch)


def test_reward_in_the_label_is_given_to_the_variant_that_was_drawn() -> None:
    check, rng = fresh(REWARD), random.Random(4)
    for epoch in range(2):
        for i in range(1500):
            b = rng.random() < 0.5
            label = json.dumps({"reward": rng.gauss(2.0 + 0.3 * b, 1.0)})
            sides = (None, Answer("7")) if b else (Answer("7"), None)
            assert judged(check, i, label, *sides, epoch=epoch)
        check.roll()
    finding = check.finding()
    assert finding.log_e > BAR and finding.interval is not None
    assert finding.interval.low < 0.3 < finding.interval.high


@pytest.mark.parametrize(
    ("measure", "good", "bad", "label"),
    [("absolute", "5", "9", "5"), ("log", "0.9", "0.2", "1"), ("brier", "0.9", "0.2", "true")],
)
def test_smaller_loss_is_better(measure: str, good: str, bad: str, label: str) -> None:
    check = fresh(dataclasses.replace(ERROR, measure=measure, range=(0.0, 5.0)))
    for i in range(400):
        judged(check, i, label, Answer(bad), Answer(good), epoch=0)
    assert check.finding().log_e > BAR
    assert check.finding().told.startswith("loss: ")


def test_loss_without_label_is_left_out_and_unlike_types_are_refused() -> None:
    check = fresh(dataclasses.replace(ERROR, range=(0.0, 5.0)))
    assert not judged(check, 1, None, Answer("5"), Answer("5"), epoch=0)
    assert judged(check, 2, '"cat"', Answer("5"), Answer("5"), epoch=0)
    assert not judged(check, 3, "5", Answer("5"), Answer(None, is_cut=True), epoch=0)
    assert "no number in 1 and 1 answers" in check.finding().told


def test_proxy_and_sampled_labels_give_the_effect_of_the_truth() -> None:
    """The proxy of the challenger flatters it by 1; one label in five sets that right."""
    spec = dataclasses.replace(REWARD, proxy="guess", source="label")
    check, rng = fresh(spec, label_rate=0.2), random.Random(5)
    for epoch in range(4):
        for i in range(3000):
            b = rng.random() < 0.5
            truth = rng.gauss(2.0 + 0.3 * b, 1.0)
            one = Answer("7", fields={"guess": truth + rng.gauss(0, 0.3) + 1.0 * b})
            label = json.dumps({"reward": truth}) if rng.random() < 0.2 else None
            judged(check, i, label, *((None, one) if b else (one, None)), epoch=epoch)
        check.roll()
    finding = check.finding()
    assert finding.interval is not None
    assert finding.interval.low < 0.3 < finding.interval.high < 0.9


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("spec", [SCORE, COST, REWARD, ERROR], ids=lambda s: s.name)
def test_saved_state_goes_on_exactly(spec: MetricSpec, clustered: bool) -> None:
    check, rng = fresh(spec, is_clustered=clustered), random.Random(6)
    for epoch in range(3):
        for i in range(200):
            fields = [{"score": rng.random(), "cost": rng.random()} for _ in range(2)]
            check.pair(Paired(epoch, i << 54, answer(), answer(), None, *fields))
            label = json.dumps(rng.random() if spec is ERROR else {"reward": rng.random()})
            judged(check, i << 54, label, Answer("1"), None, epoch=epoch)
        check.roll()
    again = make(spec, How(0.05, clustered), saved(check))
    assert again.finding() == check.finding() and saved(again) == saved(check)


def test_evaluator_reads_numbers_from_answers_of_any_mode() -> None:
    evaluator = Evaluator(plan(SCORE, prediction=None))
    for i in range(400):
        evaluator.observe(pair(i, champion=body(score=4), challenger=body(score=6)))
    reading = evaluator.evidence(1.0).reading("score")
    assert reading is not None and reading.state is CheckState.PASSED
    assert reading.effect == pytest.approx(2.0)
    again = Evaluator.restore(evaluator.plan, evaluator.snapshot())
    assert again.evidence(1.0) == evaluator.evidence(1.0)


def test_evaluator_keeps_what_a_loss_reads_until_the_label_comes() -> None:
    spec = dataclasses.replace(ERROR, value="score", range=(0.0, 10.0))
    evaluator = Evaluator(plan(spec, prediction=None))
    waiting = evaluator.observe(exposure(1, outcome=body(score=4)))
    assert waiting is not None and waiting.champion is not None
    assert waiting.champion.fields == {"score": 4}
    evaluator.judge(waiting, "6")
    reading = evaluator.evidence(1.0).reading("error")
    assert reading is not None and "champion 2 of 1" in reading.because


def test_nothing_waits_for_a_label_that_no_metric_needs() -> None:
    evaluator = Evaluator(plan(SCORE, prediction=None))
    assert evaluator.observe(pair(1, champion=body(score=4), challenger=body(score=6))) is None


def test_what_a_scorer_says_of_texts_is_compared_in_pairs() -> None:
    spec = MetricSpec(
        "quality", "mean", Role.OBJECTIVE, detect=0.1, source="scorer", range=(0.0, 1.0)
    )
    evaluator = Evaluator(plan(spec))
    for i in range(400):
        waiting = evaluator.observe(pair(i, champion=answer("so so"), challenger=answer("good")))
        assert waiting is not None and waiting.champion is not None
        assert waiting.champion.prediction == '"so so"'
        evaluator.judge(waiting, json.dumps({"champion": 0.5, "challenger": 0.6 + 0.1 * (i % 2)}))
    reading = evaluator.evidence(1.0).reading("quality")
    assert reading is not None and reading.state is CheckState.PASSED
    assert reading.effect == pytest.approx(0.15, abs=0.01)


def test_reward_says_nothing_about_a_copy_whose_answer_was_not_sent() -> None:
    check = fresh(REWARD)
    for i in range(300):
        judged(check, i, json.dumps({"reward": 1.0 + i % 2}), Answer("7"), Answer("8"), epoch=0)
    check.roll()
    judged(check, 300, '{"reward":1}', Answer("7"), Answer("8"), epoch=1)
    assert check.finding().n == 0 and check._contrast.is_ready()


def test_huge_numbers_before_the_limits_are_known_poison_nothing() -> None:
    check = fresh(dataclasses.replace(COST, covariate="past"))
    for i in range(300):
        fields = [{"cost": 1e300 if i % 50 == 0 else 1.0 + i % 3, "past": 1.0 * i}] * 2
        check.pair(Paired(0, i, answer(), answer(), None, *fields))
    check.roll()
    for i in range(300):
        check.split(Assigned(1, 0.5, i, bool(i % 2), answer(), fields={"cost": 2.0 + i % 2}))
    assert math.isfinite(check.finding().log_e) and math.isfinite(check.finding().log_e_harm)


def test_failed_answers_with_a_proxy_poison_nothing_before_the_limits_are_known() -> None:
    check = fresh(dataclasses.replace(REWARD, proxy="guess"), label_rate=0.5)
    for epoch in range(3):
        for i in range(300):
            one = Answer(None, is_failed=True) if i % 9 == 0 else Answer("7", fields={"guess": 1.0})
            label = json.dumps({"reward": 1.0 + i % 2}) if i % 2 else None
            judged(check, i, label, *((None, one) if i % 4 < 2 else (one, None)), epoch=epoch)
        check.roll()
    assert math.isfinite(check.finding().log_e) and check.finding().n > 0


def test_little_traffic_keeps_its_bets() -> None:
    """Half of the past is forgotten every day, also where a day has ten answers."""
    check = fresh(COST)
    for i in range(200):
        check.learn(answer(), {"cost": 1.0 + i % 3})
    for day in range(1, 12):
        check.roll()
        for i in range(10):
            fields = {"cost": 1.0 + i % 3}
            check.split(Assigned(day, 0.5, i, bool(i % 2), answer(), fields=fields))
    assert check.finding().n == 110
