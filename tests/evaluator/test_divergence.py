"""How far both answers of a pair are apart."""

import json
import math
import random
from typing import Any

import pytest

from evaluator.check import make, saved
from evaluator.divergence import DivergenceCheck
from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.kind import How, Paired
from evaluator.metric import MetricSpec
from router.observation import Outcome
from tests.evaluator.builders import answer, failure, pair, plan

BAR = math.log(20.0)
SCORES = MetricSpec("scores", "divergence", Role.GUARDRAIL, at_most=0.05, value="score")


def fresh(spec: MetricSpec = SCORES) -> DivergenceCheck:
    return DivergenceCheck(spec, How(0.05), None)


def show(check: DivergenceCheck, one: Any, other: Any, i: int = 1) -> None:
    check.pair(Paired(0, i, answer(), answer(), None, {"score": one}, {"score": other}))


@pytest.mark.parametrize(("spread", "passes"), [(0.02, True), (0.3, False)])
def test_mean_distance_is_held_against_the_declared_one(spread: float, passes: bool) -> None:
    check, rng = fresh(), random.Random(1)
    for i in range(1000):
        score = rng.random() * 0.5
        show(check, score, score + spread * rng.random(), i)
    finding = check.finding()
    assert (finding.log_e > BAR) is passes and (finding.log_e_harm > BAR) is not passes


def test_what_has_no_distance_counts_as_farthest_and_is_told() -> None:
    check = fresh()
    show(check, 0.5, "0.5")
    check.pair(Paired(0, 1, answer(), failure(), None, {"score": 0.5}, {}))
    assert "1 apart on average of 2 pairs" in check.finding().told
    assert "1 without a distance" in check.finding().told


def test_pair_without_the_champions_side_is_left_out() -> None:
    check = fresh()
    check.pair(Paired(0, 1, failure(), answer(), None, {}, {"score": 1}))
    check.pair(Paired(0, 1, answer(), answer(), None, {}, {"score": 1}))
    check.pair(Paired(0, 1, answer(), answer(), None, {"score": 1}, {}, True))
    assert check.finding().is_blind


@pytest.mark.parametrize(
    ("measure", "one", "other", "apart"),
    [
        ("absolute", 10, 14, 4.0),
        ("total_variation", [0.9, 0.1], [0.5, 0.5], 0.4),
        ("cosine", [1, 0], [0, 1], 1.0),
    ],
)
def test_every_measure_is_told_in_its_own_unit(
    measure: str, one: Any, other: Any, apart: float
) -> None:
    spec = MetricSpec(
        "d",
        "divergence",
        Role.PROXY,
        at_most=0.1,
        value="score",
        measure=measure,
        range=(0.0, 20.0) if measure == "absolute" else None,
    )
    check = fresh(spec)
    show(check, one, other)
    assert f"{apart:g} apart" in check.finding().told
    interval = check.finding().interval
    assert interval is not None and interval.effect == pytest.approx(0.1 - apart)


@pytest.mark.parametrize("clustered", [False, True])
def test_saved_state_goes_on_exactly_and_halves_add(clustered: bool) -> None:
    how = How(0.05, clustered)
    whole, one, other = (DivergenceCheck(SCORES, how, None) for _ in range(3))
    for i in range(400):
        for check in (whole, one if i % 2 else other):
            show(check, 0.01 * (i % 7), 0.02 if i % 50 else None, i << 54)
    one.merge(other)
    assert one.finding().log_e == pytest.approx(whole.finding().log_e, abs=1e-9)
    again = make(SCORES, how, saved(whole))
    assert again.finding() == whole.finding() and saved(again) == saved(whole)


def test_evaluator_measures_pairs_by_the_routes_prediction_when_no_path_is_given() -> None:
    spec = MetricSpec("d", "divergence", Role.GUARDRAIL, at_most=0.1)
    evaluator = Evaluator(plan(spec, prediction="p"))
    raw = [json.dumps({"p": p}).encode() for p in (0.5, 0.51)]
    sides = [Outcome("v", 200, 0.01, "", text, len(text)) for text in raw]
    for i in range(200):
        assert evaluator.observe(pair(i, champion=sides[0], challenger=sides[1])) is None
    reading = evaluator.evidence(1.0).reading("d")
    assert reading is not None and reading.state is CheckState.PASSED
    assert "0.01 apart on average of 200 pairs" in reading.because
