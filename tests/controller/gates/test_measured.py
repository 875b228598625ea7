import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from controller.gates.goldenspec import OFFLINE, Allowed
from controller.gates.measured import _KINDS, Answered, NotMeasured, Reply, measure, value_path
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from router.observation import Outcome

RANDOM = np.random.default_rng(2)
N = 200
TRUTH = (RANDOM.random(N) < 0.4).astype(int).tolist()
ONE = [int(y if u < 0.8 else 1 - y) for y, u in zip(TRUTH, RANDOM.random(N), strict=True)]
OTHER = [int(y if u < 0.9 else 1 - y) for y, u in zip(TRUTH, RANDOM.random(N), strict=True)]


def reply(value, *, status=200, latency_s=0.01, fault="", **fields) -> Reply:
    text = None if value is None else json.dumps(value)
    return Reply(Outcome("v", status, latency_s, fault), text, fields)


def rows(ones=ONE, others=OTHER, truth=TRUTH, **extra) -> list[Answered]:
    return [
        Answered(None if y is None else json.dumps(y), reply(b, **extra), reply(a))
        for y, a, b in zip(truth, ones, others, strict=True)
    ]


def spec(kind: str, **parts) -> MetricSpec:
    return MetricSpec(**({"name": kind, "kind": kind, "role": Role.OBJECTIVE} | parts))


def found(kind: str, on=None, allowed=None, **parts):
    return measure(spec(kind, **parts), rows() if on is None else on, allowed or Allowed())


def test_every_kind_that_makes_sense_is_measured():
    assert set(_KINDS) == set(OFFLINE)


def test_correct_is_a_paired_rate():
    one = found("correct", allowed=Allowed(relative=0.1))
    champion = np.mean(np.array(ONE) == TRUTH)
    assert one.champion == pytest.approx(champion)
    assert one.comparison.effect == pytest.approx(np.mean(np.array(OTHER) == TRUTH) - champion)
    assert one.bound == pytest.approx(-0.1 * champion)


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [("precision", precision_score), ("recall", recall_score), ("f1", f1_score)],
)
def test_numbers_of_a_class_are_scikit_learns(kind, oracle):
    one = found(kind, positive="1")
    assert one.champion == pytest.approx(oracle(TRUTH, ONE))
    assert one.challenger == pytest.approx(oracle(TRUTH, OTHER))


def test_auc_reads_a_score_of_its_own():
    scores, better = RANDOM.random(N) + TRUTH, RANDOM.random(N) + 2 * np.array(TRUTH)
    on = [
        Answered(json.dumps(y), reply(0, score=b), reply(0, score=a))
        for y, a, b in zip(TRUTH, scores.tolist(), better.tolist(), strict=True)
    ]
    one = found("auc", on, positive="1", value="score")
    assert one.champion == pytest.approx(roc_auc_score(TRUTH, scores))
    assert one.challenger == pytest.approx(roc_auc_score(TRUTH, better))
    assert value_path(spec("auc", value="score")) == "score"


def test_fewer_errors_and_losses_are_a_gain():
    on = [Answered("1", reply(1), reply(None, status=503)) for _ in range(9)]
    assert found("error", [*on, Answered("1", reply(1), reply(1))]).comparison.effect == 0.9
    on = rows([3.0] * 5, [2.0] * 5, [1.0] * 5)
    one = found("loss", on, measure="squared")
    assert (one.champion, one.challenger, one.comparison.effect) == (4.0, 1.0, 3.0)


def test_a_mean_has_the_direction_that_is_declared():
    on = rows([3, 4], [5, 6], [0, 0])
    assert found("mean", on).comparison.effect == 2.0
    assert found("mean", on, direction="lower").comparison.effect == -2.0


def test_a_challenger_that_does_not_answer_is_wrong_and_not_left_out():
    on = [Answered("1", reply(None, status=500), reply(1)) for _ in range(10)]
    one = found("correct", on)
    assert (one.challenger, one.comparison.effect) == (0.0, -1.0)
    assert found("recall", on, positive="1").challenger == 0.0


def test_within_asks_for_both_sides():
    one = found("correct", within=0.05)
    assert (one.bound, one.ceiling) == (-0.05, 0.05)


@pytest.mark.parametrize(
    ("kind", "parts", "effect", "bound"),
    [
        ("correct", {"at_least": 0.8}, 0.9, 0.8),
        ("error", {"at_most": 0.1}, 1.0, 0.9),
        ("mean", {"at_least": 0.5}, 0.9, 0.5),
        ("mean", {"at_most": 2.0}, -0.9, -2.0),
        ("loss", {"at_most": 2.0, "measure": "absolute"}, -0.1, -2.0),
    ],
)
def test_a_declared_number_stands_in_for_the_champion(kind, parts, effect, bound):
    on = [Answered("1", reply(int(n > 0)), None) for n in range(10)]
    one = found(kind, on, **parts)
    assert one.comparison.effect == pytest.approx(effect)
    assert one.bound == pytest.approx(bound) and one.champion is None


def test_agreement_and_divergence_are_about_both_answers():
    on = rows([1, 1, 1, 1], [1, 1, 1, 3], [0] * 4)
    assert found("agreement", on, at_least=0.5).comparison.effect == 0.75
    one = found("divergence", on, at_most=1.0)
    assert (one.comparison.effect, one.bound, one.challenger) == (-0.5, -1.0, 0.5)


def test_latency_is_the_share_of_answers_in_the_champions_time():
    on = [
        Answered("1", reply(1, latency_s=0.1 + 0.01 * n), reply(1, latency_s=0.1 + 0.009 * n))
        for n in range(100)
    ]
    one = found("latency", on, quantile=0.9, margin=0.1)
    limit_s = (0.1 + 0.009 * 89) * 1.1
    assert one.comparison.effect == np.mean([0.1 + 0.01 * n <= limit_s for n in range(100)])
    assert one.bound == 0.9 and one.champion == pytest.approx(0.1 + 0.009 * 89)
    slow = [Answered("1", reply(None, status=0, fault="timeout"), reply(1))] * 10
    assert found("latency", slow, quantile=0.9, margin=0.1).challenger == math.inf


@pytest.mark.parametrize(
    ("kind", "on", "parts", "said"),
    [
        ("correct", [], {}, "no rows"),
        ("correct", rows([1], [1], [None]), {}, "1 of 1 rows without a label"),
        ("correct", [Answered("1", reply(1), None)], {}, "no champion"),
        ("latency", [Answered("1", reply(1), None)], {}, "no champion"),
        ("recall", rows([1], [1], [0]), {"positive": "1"}, "no row of class 1"),
        ("f1", rows([1], [1], [0]), {"positive": "1"}, "no row of class 1"),
        ("precision", rows([0], [1], [1]), {"positive": "1"}, "never says 1"),
        ("auc", rows([1, 0], [1, 0], [1, 0]), {"positive": "1"}, "1 rows with the class"),
        ("mean", rows([1, "a"], [1, 2], [0, 0]), {}, "1 of 2 rows without two numbers"),
        ("mean", rows([1], [1], [0]), {}, "two rows at least"),
        ("agreement", rows([None], [1], [0]), {"at_least": 0.9}, "without a prediction"),
    ],
)
def test_what_rows_cannot_tell_is_said(kind, on, parts, said):
    with pytest.raises(NotMeasured, match=said):
        found(kind, on, **parts)


def test_few_rows_without_a_number_are_left_out_and_counted():
    on = [*rows([1] * 30, [1] * 30, [1] * 30), Answered(None, reply(1), reply(1))]
    assert found("correct", on).left_out == 1
