"""The area under the ROC curve of one class."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.check import make, saved
from evaluator.delta import Estimate, combined
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Check, How
from evaluator.metric import MetricSpec
from evaluator.ranking import BINS, RankingCheck, bin_of_score
from tests.evaluator.cases import Cases

BAR = math.log(20.0)
AUC = MetricSpec("auc", "auc", Role.OBJECTIVE, detect=0.02, positive="1", value="s")
GUARD = MetricSpec("auc", "auc", Role.GUARDRAIL, margin=0.02, positive="1", value="s")


def fed(check: Check, cases: Cases, n: int, propensity: float | None) -> Check:
    for _ in range(n):
        judgable, label = cases.case(propensity)
        check.judge(judgable, label, 0)
    return check


def estimate(check: Check) -> Estimate:
    assert isinstance(check, RankingCheck)
    return combined([check._of_pairs(), check._of_lots()])


@given(one=st.floats(-1e15, 1e15), other=st.floats(-1e15, 1e15))
def test_larger_score_is_never_in_a_lower_bin(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < bin_of_score(low) <= bin_of_score(high) < BINS - 1


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.56), (0.99, 0.993), (0.001, 0.0014), (-2, 3)])
def test_scores_that_differ_are_told_apart(one: float, other: float) -> None:
    assert bin_of_score(one) < bin_of_score(other)


@pytest.mark.parametrize("score", [5e-324, 1.0, 0.0, 1 - 1e-16, 1e308, -1e308])
def test_extreme_scores_have_a_bin(score: float) -> None:
    assert 0 < bin_of_score(score) < BINS - 1


def test_area_is_the_share_of_pairs_of_cases_in_the_right_order() -> None:
    check, rng = make(AUC, How(0.05)), random.Random(1)
    rows = []
    for i in range(300):
        y, a, b = i % 3 == 0, rng.randrange(5), rng.randrange(6)
        rows.append((y, a + y, b + 2 * y))
        sides = [Answer("1", fields={"s": score / 10}) for score in rows[-1][1:]]
        check.judge(Judgable(f"q{i}", 1, Mode.PAIR, 0.5, i, 0, *sides), "01"[y], 0)

    def area(of: int) -> float:
        cases = [row[of] for row in rows if row[0]]
        rest = [row[of] for row in rows if not row[0]]
        wins = sum((c > r) + 0.5 * (c == r) for c in cases for r in rest)
        return wins / len(cases) / len(rest)

    found = estimate(check)
    assert found.champion == pytest.approx(area(1)) and found.challenger == pytest.approx(area(2))


@pytest.mark.parametrize("propensity", [None, 0.5, 0.2])
def test_variance_is_that_of_repeated_samples(propensity: float | None) -> None:
    effects, variances = [], []
    for seed in range(120):
        found = estimate(fed(make(AUC, How(0.05)), Cases(seed), 800, propensity))
        effects.append(found.effect)
        variances.append(found.variance)
    mean = sum(effects) / len(effects)
    real = sum((e - mean) ** 2 for e in effects) / len(effects)
    assert 0.65 < sum(variances) / len(variances) / real < 1.6


def test_better_ranking_passes_and_worse_one_is_harm() -> None:
    better = fed(make(AUC, How(0.05)), Cases(1, shift=0.5), 2500, None).finding()
    worse = fed(make(AUC, How(0.05)), Cases(2, shift=-0.5), 2500, None).finding()
    assert better.log_e > BAR and worse.log_e_harm > BAR and worse.log_e_futile > math.log(5.0)


def test_equal_ranking_passes_as_a_guardrail() -> None:
    assert fed(make(GUARD, How(0.05)), Cases(3), 4000, None).finding().log_e > BAR


def test_missing_score_is_the_worst_for_its_case() -> None:
    check = make(AUC, How(0.05))
    for label in ("0", "1"):
        sides = (Answer("1", fields={"s": 0.5}), Answer(None, is_failed=True))
        check.judge(Judgable("q", 1, Mode.PAIR, 0.5, 1, 0, *sides), label, 0)
    assert isinstance(check, RankingCheck)
    rest, cases = check.save().pairs
    assert [key % BINS for key in (*rest, *cases)] == [BINS - 1, 0]


def test_nothing_is_said_before_there_are_enough_of_the_class() -> None:
    check = make(AUC, How(0.05))
    for i in range(300):
        sides = [Answer("1", fields={"s": 0.5})] * 2
        check.judge(Judgable(f"q{i}", 1, Mode.PAIR, 0.5, i, 0, *sides), "1" if i < 19 else "0", 0)
    assert check.finding().is_blind


@pytest.mark.parametrize("clustered", [False, True])
def test_shards_in_any_order_equal_one_stream_and_state_goes_on(clustered: bool) -> None:
    how = How(0.05, clustered)
    whole, shards = make(AUC, how), [make(AUC, how) for _ in range(8)]
    cases, rng = Cases(5, shift=0.3), random.Random(5)
    for i in range(3000):
        judgable, label = cases.case((None, 0.5, 0.1)[i % 3])
        whole.judge(judgable, label, 0)
        rng.choice(shards).judge(judgable, label, 0)
    rng.shuffle(shards)
    for shard in shards[1:]:
        shards[0].merge(shard)
    for side in ("log_e", "log_e_harm", "log_e_futile"):
        mine, theirs = getattr(shards[0].finding(), side), getattr(whole.finding(), side)
        assert mine == pytest.approx(theirs, abs=1e-9)
    again = make(AUC, how, saved(whole))
    assert again.finding() == whole.finding() and saved(again) == saved(whole)


def test_requests_of_one_unit_count_together() -> None:
    alone, together = make(AUC, How(0.05)), make(AUC, How(0.05, True))
    cases = Cases(6)
    for _ in range(400):
        judgable, label = cases.case(None)
        for _ in range(20):
            alone.judge(judgable, label, 0)
            together.judge(judgable, label, 0)
    assert estimate(together).variance > 8 * estimate(alone).variance


def test_useless_challenger_is_not_promoted_more_often_than_declared() -> None:
    """60 runs of 1,500 pairs, a look every 75: at most .05 and three standard errors."""
    rejected = 0
    for seed in range(60):
        check, cases = make(AUC, How(0.05)), Cases(200 + seed)
        for _ in range(20):
            if fed(check, cases, 75, None).finding().log_e >= BAR:
                rejected += 1
                break
    assert rejected / 60 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 60)
