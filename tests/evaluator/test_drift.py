"""Whether a score is shared out alike by both variants."""

import math
import random

import pytest

from evaluator.binary import BinaryCheck
from evaluator.check import make, saved
from evaluator.drift import MIN_SCORES, QUANTILES, DriftCheck
from evaluator.evidence import Role
from evaluator.kind import Assigned, How, Paired
from evaluator.metric import MetricSpec
from evaluator.question import Baseline
from router.observation import Outcome
from tests.evaluator.builders import answer, failure

SPEC = MetricSpec("drift", "drift", Role.PROXY, at_most=0.1, value="score")
ROLLS = (128, 256, 512, 1024)


def fresh(*, is_clustered: bool = False) -> DriftCheck:
    check = make(SPEC, How(0.05, is_clustered))
    assert isinstance(check, DriftCheck)
    return check


def pair(epoch: int, unit: int, one: float | None, other: float | None) -> Paired:
    fields = [{} if score is None else {"score": score} for score in (one, other)]
    return Paired(epoch, unit, answer(), answer(), None, *fields)


def lot(epoch: int, unit: int, is_challenger: bool, score: float) -> Assigned:
    return Assigned(epoch, 0.5, unit, is_challenger, answer(), False, {"score": score})


def play(seed: int, n: int, moved: float, *, is_split: bool = False) -> tuple[float, float]:
    """Return the largest evidence for the claim and for a breach at any of ``n`` / 50 looks.

    The champion's scores are uniform; a share ``moved`` of the challenger's, drawn independently,
    is 0: then the distribution functions are ``moved`` apart just above 0, less elsewhere.
    """
    rng, check, epoch = random.Random(seed), fresh(), 0
    claim = harm = -math.inf
    for i in range(n):
        one = rng.random()
        other = 0.0 if rng.random() < moved else rng.random()
        if is_split:
            is_challenger = rng.random() < 0.5
            check.split(lot(epoch, i, is_challenger, other if is_challenger else one))
        else:
            check.pair(pair(epoch, i, one, other))
        if i + 1 in ROLLS:
            check.roll()
            epoch += 1
        if i % 50 == 49:
            found = check.finding()
            claim, harm = max(claim, found.log_e), max(harm, found.log_e_harm)
    return claim, harm


NEEDED = math.log(20.0)


@pytest.mark.parametrize("is_split", [False, True], ids=["pairs", "split"])
def test_breach_is_shown_falsely_no_oftener_than_alpha(is_split: bool) -> None:
    """The share below the champion's p10 is 9 points larger, nowhere more than the 10 allowed."""
    runs = 50
    wrong = sum(play(s, 1_200, 0.1, is_split=is_split)[1] >= NEEDED for s in range(runs))
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("is_split", [False, True], ids=["pairs", "split"])
def test_claim_is_made_falsely_no_oftener_than_alpha(is_split: bool) -> None:
    """12 % moved makes 10.8 points at p10: beyond what is allowed."""
    runs = 50
    wrong = sum(play(s, 1_200, 0.12, is_split=is_split)[0] >= NEEDED for s in range(runs))
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_scores_that_are_shared_out_alike_pass_and_others_trip() -> None:
    assert sum(play(seed, 2_000, 0.0)[0] >= NEEDED for seed in range(5)) >= 4
    assert all(play(seed, 2_000, 0.35)[1] >= NEEDED for seed in range(5))


def test_evidence_is_that_of_its_thresholds_one_by_one() -> None:
    """Ten plain comparisons, fed by hand: the claim is the least, the breach their mean."""
    rng, check = random.Random(3), fresh()
    for i in range(MIN_SCORES):
        check.pair(pair(0, i, rng.random(), rng.random()))
    check.roll()
    state = check.save()
    limits = state.limits[-1]
    assert len(limits) == len(QUANTILES) and limits == sorted(limits)
    by_hand = []
    for index, inner in enumerate(state.checks):
        baseline = inner.baselines[-1]
        one = BinaryCheck.fresh(check._question, is_clustered=False)
        one.roll(Baseline(baseline.good, baseline.discordance, 0.1, 0.1))
        by_hand.append((one, limits[index // 2], index % 2 == 0))
    for i in range(300):
        a, b = rng.random(), rng.random() ** 1.3
        check.pair(pair(1, i, a, b))
        for one, limit, is_below in by_hand:
            one.observe_pair(1, (a <= limit) is is_below, (b <= limit) is is_below, i)
        found = check.finding()
        claims = [one.claim_log_e() for one, _, _ in by_hand]
        harms = [math.exp(one.harm_log_e()) for one, _, _ in by_hand]
        assert found.log_e == pytest.approx(min(claims), abs=1e-9)
        assert math.exp(found.log_e_harm) == pytest.approx(sum(harms) / len(harms))


def test_nothing_is_said_before_the_champion_gave_its_thresholds() -> None:
    check = fresh()
    check.pair(pair(0, 1, 0.5, 0.5))
    check.roll()
    check.pair(pair(1, 2, 0.5, 0.5))
    found = check.finding()
    assert (found.log_e, found.log_e_harm, found.is_blind) == (0.0, 0.0, True)
    assert "2 of 100 scores" in found.told


def test_score_that_is_missing_speaks_against_equality_and_is_told() -> None:
    there, missing = fresh(), fresh()
    for check in (there, missing):
        for i in range(MIN_SCORES):
            check.pair(pair(0, i, i / MIN_SCORES, i / MIN_SCORES))
        check.roll()
        for i in range(200):
            score = (i % 100) / 100
            check.pair(pair(1, i, score, score if check is there or i % 2 else None))
    assert missing.finding().log_e < 0.0 < there.finding().log_e
    assert missing.finding().log_e_harm > there.finding().log_e_harm
    assert "no score in 100 and 0 answers" in missing.finding().told


def test_what_failed_has_no_score_and_what_we_cut_is_left_out() -> None:
    check = fresh()
    outcome: Outcome = failure()
    check.split(Assigned(0, 0.5, 1, True, outcome, False, {"score": 0.5}))
    check.split(Assigned(0, 0.5, 1, True, answer(), False, {}, is_cut=True))
    check.learn(failure(), {"score": 0.5})
    assert check.save().missing == [0, 1] and check.save().champion.n == 0


def test_champion_that_moves_is_told_and_breaches_nothing() -> None:
    check, rng = fresh(), random.Random(9)
    for i in range(1_500):
        score = rng.gauss(1.5 * (i > 700), 1)
        check.pair(pair(sum(i >= roll for roll in ROLLS), i, score, score))
        if i + 1 in ROLLS:
            check.roll()
    found = check.finding()
    assert found.log_e_harm < NEEDED
    odds = found.told.rpartition("odds ")[2]
    assert float(odds.partition(":")[0]) > 20 and odds.endswith("that they moved")


@pytest.mark.parametrize("is_clustered", [False, True])
def test_saved_state_goes_on_exactly_and_counts_add_up(is_clustered: bool) -> None:
    whole, first, second = (fresh(is_clustered=is_clustered) for _ in range(3))
    rng = random.Random(6)
    for i in range(MIN_SCORES):
        seen = pair(0, i, rng.random(), rng.random())
        for check in (whole, first, second):
            check.pair(seen)
    for check in (whole, first, second):
        check.roll()
    base = whole.save().checks[0].tables[0].counts if whole.save().checks[0].tables else None
    assert base is None  # nothing was asked before the thresholds
    for i in range(400):
        seen = pair(1, i, rng.random(), rng.random())
        whole.pair(seen)
        (first if i % 2 else second).pair(seen)
    again = make(SPEC, How(0.05, is_clustered), saved(whole))
    assert again.finding() == whole.finding()
    first.merge(second)
    assert first.finding().log_e == pytest.approx(whole.finding().log_e)
    assert first.finding().log_e_harm == pytest.approx(whole.finding().log_e_harm)
    other = fresh(is_clustered=is_clustered)
    with pytest.raises(ValueError, match="thresholds"):
        first.merge(other)
