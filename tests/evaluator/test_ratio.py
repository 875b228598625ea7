"""Precision, recall and F1 of one class."""

import math
import random

import pytest

from evaluator.check import make, saved
from evaluator.delta import Estimate
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Check, How, Paired
from evaluator.metric import MetricSpec
from evaluator.ratio import RatioCheck
from tests.evaluator.builders import answer
from tests.evaluator.cases import Cases

BAR = math.log(20.0)


def spec(kind: str = "f1", role: Role = Role.OBJECTIVE) -> MetricSpec:
    if role is Role.OBJECTIVE:
        return MetricSpec("m", kind, role, detect=0.05, positive="1")
    return MetricSpec("m", kind, role, margin=0.03, positive="1")


def fed(check: Check, cases: Cases, n: int, propensity: float | None, epoch: int = 0) -> Check:
    for _ in range(n):
        judgable, label = cases.case(propensity, epoch=epoch)
        check.judge(judgable, label, epoch)
    return check


def estimate(check: Check) -> Estimate:
    assert isinstance(check, RatioCheck)
    return check._estimate(check.save().tables)


def test_ratios_are_the_usual_ones() -> None:
    """8 found, 4 false alarms, 2 missed by the champion; 9, 3 and 1 by the challenger."""
    f1, precision = (make(spec(kind), How(0.05)) for kind in ("f1", "precision"))
    table = [("1", "1", "1", 80), ("1", "0", "1", 10), ("1", "0", "0", 10), ("0", "1", "1", 30)]
    table += [("0", "1", "0", 10), ("0", "0", "0", 300)]
    for label, a, b, n in table:
        for check in (f1, precision):
            for i in range(n):
                pair = Judgable(f"q{i}", 1, Mode.PAIR, 0.5, i, 0, Answer(a), Answer(b))
                check.judge(pair, label, 0)
    assert estimate(precision).champion == pytest.approx(80 / 120)
    assert estimate(precision).challenger == pytest.approx(90 / 120)
    assert estimate(f1).champion == pytest.approx(160 / 220)
    assert estimate(f1).challenger == pytest.approx(180 / 220)


def test_variance_is_that_of_repeated_samples() -> None:
    for kind, propensity in (("f1", None), ("precision", None), ("f1", 0.5), ("precision", 0.2)):
        effects, variances = [], []
        for seed in range(120):
            found = estimate(fed(make(spec(kind), How(0.05)), Cases(seed), 1000, propensity))
            effects.append(found.effect)
            variances.append(found.variance)
        mean = sum(effects) / len(effects)
        real = sum((e - mean) ** 2 for e in effects) / len(effects)
        assert 0.65 < sum(variances) / len(variances) / real < 1.6, (kind, propensity)


@pytest.mark.parametrize("kind", ["f1", "precision", "recall"])
@pytest.mark.parametrize("propensity", [None, 0.5])
def test_better_challenger_passes_and_worse_one_is_harm(
    kind: str, propensity: float | None
) -> None:
    n = 3000 if propensity is None else 9000
    shift = 0.6 if kind != "precision" else 1.0
    better = fed(make(spec(kind), How(0.05)), Cases(1, shift=shift), n, propensity).finding()
    worse = fed(make(spec(kind), How(0.05)), Cases(2, shift=-shift), n, propensity).finding()
    assert better.log_e > BAR > better.log_e_harm
    assert worse.log_e_harm > BAR > worse.log_e and worse.log_e_futile > math.log(5.0)
    assert " of 1: challenger" in better.told


def test_equal_challenger_passes_as_a_guardrail() -> None:
    check = make(spec("f1", Role.GUARDRAIL), How(0.05))
    assert fed(check, Cases(3), 8000, None).finding().log_e > BAR


def test_nothing_is_said_before_there_are_enough_of_the_class() -> None:
    check = make(spec(), How(0.05))
    for i in range(500):
        pair = Judgable(f"q{i}", 1, Mode.PAIR, 0.5, i, 0, Answer("0"), Answer("0"))
        check.judge(pair, "1" if i < 19 else "0", 0)
    assert check.finding().is_blind and "too few" in check.finding().told


def test_failed_answer_finds_nothing_and_one_that_we_cut_is_left_out() -> None:
    check = make(spec(), How(0.05))
    failed, cut = Answer("1", is_failed=True), Answer(None, is_cut=True)
    assert check.judge(Judgable("q", 1, Mode.PAIR, 0.5, 1, 0, Answer("1"), failed), "1", 0)
    assert not check.judge(Judgable("q", 1, Mode.PAIR, 0.5, 1, 0, Answer("1"), cut), "1", 0)
    assert not check.judge(Judgable("q", 1, Mode.PAIR, 0.5, 1, 0, Answer("1"), failed), None, 0)
    assert isinstance(check, RatioCheck) and check.save().tables[0].counts[6] == 1


def test_recall_looks_at_the_class_alone_and_not_at_agreement_elsewhere() -> None:
    check = make(spec("recall", Role.GUARDRAIL), How(0.05))
    for i in range(2000):
        check.pair(Paired(0, i, answer(), answer(), True))
        pair = Judgable(f"q{i}", 1, Mode.PAIR, 0.5, i, 0, Answer("0"), Answer("0"))
        assert not check.judge(pair, "0", 0)
    assert check.finding().is_blind


def test_changing_shares_of_drifting_traffic_fake_no_improvement() -> None:
    """The class gets rarer while the challenger's share grows: pooled F1 would differ."""
    check, rng = make(spec(), How(0.05)), random.Random(4)
    for propensity, common, n in ((0.05, 0.6, 4000), (0.5, 0.1, 4000)):
        for i in range(n):
            y = rng.random() < common
            one = Answer("1" if rng.random() < (0.7 if y else 0.2) else "0")
            b = rng.random() < propensity
            sides = (None, one) if b else (one, None)
            check.judge(Judgable(f"q{i}", 1, Mode.SPLIT, propensity, i, 0, *sides), "01"[y], 0)
    found = estimate(check)
    assert abs(found.effect) < 3 * math.sqrt(found.variance)


@pytest.mark.parametrize("clustered", [False, True])
def test_shards_in_any_order_equal_one_stream_and_state_goes_on(clustered: bool) -> None:
    how = How(0.05, clustered)
    whole, shards = make(spec(), how), [make(spec(), how) for _ in range(8)]
    cases, rng = Cases(5, shift=0.3), random.Random(5)
    for i in range(4000):
        judgable, label = cases.case((None, 0.5, 0.1)[i % 3])
        whole.judge(judgable, label, 0)
        rng.choice(shards).judge(judgable, label, 0)
    rng.shuffle(shards)
    for shard in shards[1:]:
        shards[0].merge(shard)
    for side in ("log_e", "log_e_harm", "log_e_futile"):
        mine, theirs = getattr(shards[0].finding(), side), getattr(whole.finding(), side)
        assert mine == pytest.approx(theirs, abs=1e-9)
    again = make(spec(), how, saved(whole))
    assert again.finding() == whole.finding() and saved(again) == saved(whole)


def test_requests_of_one_unit_count_together() -> None:
    """Twenty copies of each case are no more than one: the variance must see that."""
    alone, together = make(spec(), How(0.05)), make(spec(), How(0.05, True))
    cases = Cases(6)
    for _ in range(400):
        judgable, label = cases.case(None)
        for _ in range(20):
            alone.judge(judgable, label, 0)
            together.judge(judgable, label, 0)
    assert estimate(together).variance > 10 * estimate(alone).variance


def test_useless_challenger_is_not_promoted_more_often_than_declared() -> None:
    """80 runs of 1,500 pairs, a look every 50: at most .05 and three standard errors."""
    rejected = 0
    for seed in range(80):
        check, cases = make(spec(), How(0.05)), Cases(100 + seed)
        for _ in range(30):
            if fed(check, cases, 50, None).finding().log_e >= BAR:
                rejected += 1
                break
    assert rejected / 80 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 80)
