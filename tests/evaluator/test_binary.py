"""One yes-or-no question, compared between the variants."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.binary import BinaryCheck
from evaluator.check import correct_question, error_question
from evaluator.eprocess.mixture import MixtureEProcess, grid_bets, log_weights
from evaluator.eprocess.relative_risk import RelativeRiskEProcess
from evaluator.question import PAIRED, Question
from tests.evaluator.builders import ACCURACY, ERRORS

CORRECT = correct_question(ACCURACY)
ERROR = error_question(ERRORS)

EVENTS = st.lists(
    st.tuples(
        st.sampled_from([PAIRED, 0.01, 0.25, 0.5]),
        st.booleans(),
        st.booleans(),
        st.integers(0, 2**63 - 1),
    ),
    max_size=60,
)


def fresh(question: Question = CORRECT, *, is_clustered: bool = False) -> BinaryCheck:
    return BinaryCheck.fresh(question, is_clustered=is_clustered)


def feed(check: BinaryCheck, events, epoch: int = 0) -> None:  # type: ignore[no-untyped-def]  # what EVENTS draws
    for propensity, first, second, unit in events:
        if propensity == PAIRED:
            check.observe_pair(epoch, first, second, unit)
        else:
            check.observe_split(epoch, propensity, first, second, unit)


def reads(check: BinaryCheck) -> tuple[float, float]:
    return check.claim_log_e(), check.harm_log_e()


def test_claim_on_lots_is_the_mixture_over_the_covariance_at_every_prefix() -> None:
    rng = random.Random(1)
    check, oracle = fresh(), MixtureEProcess(log_weights())
    m, variance, pi = 0.5, 0.25, 0.25
    bets = grid_bets(0.05, variance, -(1 - pi) * m)
    for _ in range(200):
        a, y = rng.random() < pi, rng.random() < 0.9
        check.observe_split(0, pi, a, y, 1)
        oracle.update((a - pi) * (y - m), bets)
        assert check.claim_log_e() == pytest.approx(oracle.log_e, abs=1e-9)


def test_claim_on_pairs_is_the_mixture_over_wins_and_losses() -> None:
    check = fresh()
    for first, second, count in ((False, True, 30), (True, False, 12), (True, True, 200)):
        for _ in range(count):
            check.observe_pair(0, first, second, 1)
    bets = grid_bets(0.05, CORRECT.prior_discordance, -1.0)
    terms = [
        w + 30 * math.log1p(bet) + 12 * math.log1p(-bet)
        for w, bet in zip(log_weights(), bets, strict=True)
    ]
    assert check.claim_log_e() == pytest.approx(math.log(math.fsum(map(math.exp, terms))), abs=1e-9)


def test_non_inferiority_on_pairs_pays_the_margin_on_every_pair() -> None:
    """W log(1 + bet(1 + M)) + L log(1 - bet(1 - M)) + ties log(1 + bet M)."""
    check, margin = fresh(ERROR), 0.005
    check.observe_pair(0, False, True, 1)
    check.observe_pair(0, True, False, 1)
    for _ in range(500):
        check.observe_pair(0, True, True, 1)
    bets = grid_bets(margin, ERROR.prior_discordance, -(1 - margin))
    terms = [
        w
        + math.log1p(b * (1 + margin))
        + math.log1p(-b * (1 - margin))
        + 500 * math.log1p(b * margin)
        for w, b in zip(log_weights(), bets, strict=True)
    ]
    assert check.claim_log_e() == pytest.approx(math.log(math.fsum(map(math.exp, terms))), abs=1e-9)


def test_harm_of_rare_events_is_the_relative_risk_process() -> None:
    check, oracle = fresh(ERROR), RelativeRiskEProcess(0.005)
    for is_challenger, is_good, count in ((0, 1, 290), (0, 0, 2), (1, 1, 80), (1, 0, 9)):
        for _ in range(count):
            check.observe_split(0, 0.25, bool(is_challenger), bool(is_good), 1)
    oracle.update(0, 0.25, (2, 290, 9, 80))
    check.roll()
    for first, second, count in ((True, True, 95), (True, False, 4), (False, True, 1)):
        for _ in range(count):
            check.observe_pair(1, first, second, 1)
    oracle.update_pairs(1, only_champion=1, only_challenger=4, n=100)
    assert check.harm_log_e() == pytest.approx(oracle.log_e, abs=1e-9)


@pytest.mark.parametrize("question", [CORRECT, ERROR], ids=["correct", "error"])
@pytest.mark.parametrize("propensity", [PAIRED, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("good", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_no_bet_gains_on_average_under_its_null(
    question: Question, propensity: float, good: float
) -> None:
    """Exactly at the boundary of the null, one observation changes E by a factor of mean <= 1."""
    worse = good - question.margin
    if worse < 0.0:
        return
    for name, b in (("claim", worse), ("harm", worse)):
        mean = 0.0
        if propensity == PAIRED:
            cases = [
                ((x, y), (good if x else 1 - good) * (b if y else 1 - b))
                for x in (0, 1)
                for y in (0, 1)
            ]
        else:
            pi = propensity
            cases = [
                (
                    (a, y),
                    (pi if a else 1 - pi) * ((b if a else good) if y else 1 - (b if a else good)),
                )
                for a in (0, 1)
                for y in (0, 1)
            ]
        for (first, second), odds in cases:
            check = fresh(question)
            if propensity == PAIRED:
                check.observe_pair(0, bool(first), bool(second), 1)
            else:
                check.observe_split(0, propensity, bool(first), bool(second), 1)
            mean += odds * math.exp(check.claim_log_e() if name == "claim" else check.harm_log_e())
        assert mean <= 1.0 + 1e-9


@pytest.mark.parametrize("is_clustered", [False, True])
@given(events=EVENTS, rng=st.randoms())
@settings(max_examples=30, deadline=None)
def test_order_within_an_epoch_does_not_matter(is_clustered: bool, events, rng) -> None:  # type: ignore[no-untyped-def]  # what EVENTS draws
    one, other = (fresh(is_clustered=is_clustered) for _ in range(2))
    feed(one, events)
    rng.shuffle(events)
    feed(other, events)
    assert reads(other) == pytest.approx(reads(one), abs=1e-9)


@pytest.mark.parametrize("is_clustered", [False, True])
@given(events=EVENTS, cut=st.integers(0, 60))
@settings(max_examples=30, deadline=None)
def test_merged_shards_equal_the_single_stream(is_clustered: bool, events, cut: int) -> None:  # type: ignore[no-untyped-def]  # what EVENTS draws
    whole, first, second = (fresh(is_clustered=is_clustered) for _ in range(3))
    feed(whole, events)
    feed(first, events[:cut])
    feed(second, events[cut:])
    second.merge(first)
    assert reads(second) == pytest.approx(reads(whole), abs=1e-9)
    merged, single = second.interval(0.05), whole.interval(0.05)
    assert (merged is None) is (single is None)
    if merged is not None and single is not None:
        told = (merged.effect, merged.low, merged.high)
        assert told == pytest.approx((single.effect, single.low, single.high))
    assert second.n() == whole.n()


@given(EVENTS)
@settings(max_examples=50, deadline=None)
def test_evidence_is_always_a_number(events) -> None:  # type: ignore[no-untyped-def]  # what EVENTS draws
    for question in (CORRECT, ERROR):
        check = fresh(question)
        for epoch in range(3):
            feed(check, events, epoch)
            check.roll()
        assert all(map(math.isfinite, reads(check)))
        interval = check.interval(0.05)
        assert interval is None or -1.0 <= interval.low <= interval.high <= 1.0


def test_champion_that_never_errs_can_still_be_bet_on() -> None:
    check = fresh(ERROR)
    for _ in range(5000):
        check.learn(True)
    check.roll()
    assert 0.0 < check.state.baselines[1].good < 1.0
    check.observe_split(1, 0.5, True, False, 1)
    assert math.isfinite(check.claim_log_e())


def test_effect_is_weighted_by_precision_and_covered() -> None:
    check, rng = fresh(), random.Random(4)
    for pi in (0.05, 0.25, 0.5):
        for _ in range(3000):
            a = rng.random() < pi
            check.observe_split(
                len(check.state.baselines) - 1, pi, a, rng.random() < 0.8 + 0.08 * a, 1
            )
        check.roll()
    interval = check.interval(0.05)
    assert interval is not None
    assert interval.low < 0.08 < interval.high
    assert interval.effect == pytest.approx(0.08, abs=0.04)
    assert interval.low > 0.0


def test_no_errors_in_few_pairs_leave_a_wide_interval() -> None:
    """Exact bound for none in 700: .43 %."""
    check = fresh(ERROR)
    for _ in range(700):
        check.observe_pair(0, True, True, 1)
    interval = check.interval(0.05)
    assert interval is not None
    assert interval.low < -0.004


def test_growth_foretells_what_evidence_gains() -> None:
    """Healthy pairs with a half-percent margin: the projection is within a fifth of the truth."""
    check = fresh(ERROR)
    for _ in range(5000):
        check.observe_pair(0, True, True, 1)
    check.roll()
    before = check.claim_log_e()
    check.observe_pair(1, True, True, 1)
    growth = check.growth()
    for _ in range(1000):
        check.observe_pair(1, True, True, 1)
    assert check.claim_log_e() - before == pytest.approx(1000 * growth, rel=0.2)
