"""How often answers are good: errors and correct predictions."""

import dataclasses
import math
import random

import pytest

from evaluator.check import make, saved
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.latency import LatencyState
from evaluator.metric import MetricSpec
from evaluator.rates import CorrectState, correct_question, error_question
from evaluator.wanted import is_drawn
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, ERRORS, answer, failure


def fresh(spec: MetricSpec = ACCURACY, *, is_clustered: bool = False) -> Check:
    return make(spec, How(0.05, is_clustered))


def judge(check: Check, judgable: Judgable, label: str | None) -> bool:
    return check.judge(judgable, label, judgable.epoch)


def split(is_challenger: bool, outcome: Outcome, *, is_resting: bool = False) -> Assigned:
    return Assigned(0, 0.5, 1, is_challenger, outcome, is_resting)


def judgable(
    champion: Answer | None, challenger: Answer | None, mode: Mode = Mode.PAIR
) -> Judgable:
    return Judgable("q1", 1, mode, 0.5, 1, 0, champion, challenger)


def goods(check: Check) -> tuple[int, int, int, int]:
    """Return (champion good, all, challenger good, all) of a check that counts good answers."""
    return check._check.goods()  # type: ignore[attr-defined,no-any-return]  # the state, read only


def test_prediction_equal_to_the_label_is_correct() -> None:
    check = fresh()
    judge(check, judgable(Answer("7"), Answer("8")), "7")
    judge(check, judgable(Answer("7"), Answer("8")), "8")
    judge(check, judgable(Answer("7"), Answer("8")), "9")
    assert goods(check) == (1, 3, 1, 3)


def test_failed_answer_is_incorrect_whatever_the_label() -> None:
    check = fresh()
    judge(check, judgable(Answer("7"), Answer(None, is_failed=True)), "7")
    assert goods(check) == (1, 1, 0, 1)


def test_unreadable_answer_is_incorrect_but_one_that_we_cut_is_left_out() -> None:
    check = fresh()
    assert judge(check, judgable(Answer("7"), Answer(None)), "7")
    assert not judge(check, judgable(Answer("7"), Answer(None, is_cut=True)), "7")
    assert goods(check) == (1, 1, 0, 1)


def test_missing_label_is_left_out_or_incorrect_for_both_as_declared() -> None:
    ignoring = fresh()
    strict = fresh(dataclasses.replace(ACCURACY, missing="incorrect"))
    for check, used in ((ignoring, False), (strict, True)):
        assert judge(check, judgable(Answer("7"), Answer("7")), None) is used
    assert goods(ignoring) == (0, 0, 0, 0)
    assert goods(strict) == (0, 1, 0, 1)


def test_history_teaches_the_champions_rate_and_proves_nothing() -> None:
    check = fresh()
    for _ in range(100):
        judge(check, judgable(Answer("7"), None, Mode.HISTORY), "7")
    assert check.finding().n == 0
    check.roll()
    state = check.save()
    assert isinstance(state, CorrectState) and state.binary.baselines[1].good > 0.9


def test_lot_counts_the_variant_that_was_drawn() -> None:
    check = fresh()
    judge(check, judgable(None, Answer("7"), Mode.SPLIT), "7")
    judge(check, judgable(Answer("8"), None, Mode.SPLIT), "7")
    assert goods(check) == (0, 1, 1, 1)


def test_resting_challenger_has_failed_but_has_no_latency() -> None:
    errors, slow = fresh(ERRORS), fresh(MetricSpec("l", "latency", Role.GUARDRAIL))
    for check in (errors, slow):
        check.split(split(True, answer(), is_resting=True))
    assert goods(errors) == (0, 0, 0, 1)
    state = slow.save()
    assert isinstance(state, LatencyState) and state.challenger.n == 0


def test_client_error_is_not_an_error_of_the_variant() -> None:
    check = fresh(ERRORS)
    check.split(split(True, answer(status=422)))
    check.split(split(True, answer(status=503)))
    check.split(split(False, failure("timeout")))
    assert goods(check) == (0, 1, 1, 2)


def test_guardrail_claims_with_its_margin_and_objective_without() -> None:
    margin = dataclasses.replace(ACCURACY, margin=0.02)
    assert correct_question(margin).margin == 0.0
    assert correct_question(dataclasses.replace(margin, role=Role.GUARDRAIL)).margin == 0.02
    assert error_question(ERRORS).margin == 0.005
    assert error_question(dataclasses.replace(ERRORS, role=Role.OBJECTIVE)).margin == 0.0


def test_undeclared_effect_is_bet_on_widely() -> None:
    assert correct_question(dataclasses.replace(ACCURACY, detect=None)).is_vague
    assert not correct_question(ACCURACY).is_vague


GUARD = MetricSpec("accuracy", "correct", Role.GUARDRAIL, margin=0.02)


def agreeing(check: Check, n: int, differ_each: int) -> None:
    for i in range(n):
        check.pair(Paired(0, i << 50, answer(), answer(), i % differ_each != 0))


def test_guardrail_passes_without_a_label_once_answers_hardly_differ() -> None:
    check = fresh(GUARD)
    agreeing(check, 900, 400)
    finding = check.finding()
    assert finding.log_e > math.log(20.0) and not finding.is_blind
    assert "labelled or not" in finding.told


def test_guardrail_without_a_label_does_not_pass_when_answers_differ_as_often_as_the_margin() -> (
    None
):
    check = fresh(GUARD)
    agreeing(check, 5000, 50)
    assert check.finding().log_e < math.log(20.0)


def test_unreadable_pair_may_hide_a_difference_and_a_failed_champion_cannot() -> None:
    hidden, harmless = fresh(GUARD), fresh(GUARD)
    for i in range(900):
        hidden.pair(Paired(0, i, answer(), answer(), None, is_cut=True))
        harmless.pair(Paired(0, i, failure(), answer(), None))
    assert hidden.finding().log_e < 0.0
    assert harmless.finding().log_e > math.log(20.0)


def test_objective_needs_labels_however_much_answers_agree() -> None:
    check = fresh(ACCURACY)
    agreeing(check, 900, 400)
    assert check.finding().is_blind


def test_disagreement_is_known_before_labels_and_sets_the_bets() -> None:
    check = fresh(ACCURACY)
    agreeing(check, 4000, 50)
    check.roll()
    state = check.save()
    assert isinstance(state, CorrectState)
    assert state.binary.baselines[1].discordance == pytest.approx(0.02, abs=0.003)


def test_answers_that_differ_and_are_both_wrong_are_not_discordant() -> None:
    """Of many classes: half of what differs is decided, which labels teach."""
    check = fresh(ACCURACY)
    agreeing(check, 4000, 10)
    for i in range(400):
        label = "7" if i % 2 else "9"
        judge(check, judgable(Answer("7"), Answer("8")), label)
    check.roll()
    state = check.save()
    assert isinstance(state, CorrectState)
    assert state.binary.baselines[1].discordance == pytest.approx(0.05, abs=0.005)


def test_useless_challenger_is_found_futile() -> None:
    check, rng = fresh(dataclasses.replace(ACCURACY, detect=0.05)), random.Random(4)
    for i in range(4000):
        good = [Answer("7" if rng.random() < 0.9 else "8") for _ in range(2)]
        check.judge(Judgable(f"q{i}", i, Mode.PAIR, 0.5, i, 0, *good), "7", 0)
    finding = check.finding()
    assert finding.log_e_futile > math.log(5.0) and finding.log_e < math.log(20.0)


def test_equivalence_needs_both_sides() -> None:
    spec = MetricSpec("accuracy", "correct", Role.OBJECTIVE, within=0.03)
    equal, better = fresh(spec), fresh(spec)
    for i in range(3000):
        for check, wrong_each in ((equal, 10), (better, 40)):
            a = Answer("8" if i % 10 == 0 else "7")
            b = Answer("8" if i % wrong_each == 5 else "7")
            judge(check, Judgable(f"q{i}", i, Mode.PAIR, 0.5, i, 0, a, b), "7")
    assert equal.finding().log_e > math.log(20.0)
    assert better.finding().log_e < 0.0  # 7.5 points better is not "the same"


@pytest.mark.parametrize(("b_each", "passes"), [(100, True), (50, False)])
def test_margin_relative_to_the_champions_rate(b_each: int, passes: bool) -> None:
    """Half as many errors again are allowed; the champion fails once in a hundred."""
    spec = MetricSpec("errors", "error", Role.GUARDRAIL, margin_relative=0.5)
    check = fresh(spec)
    for i in range(60_000):
        if i % 10_000 == 0 and i:
            check.roll()
        is_challenger, n = bool(i % 2), i // 2
        each = b_each if is_challenger else 100
        outcome = failure() if n % each == 0 else answer()
        check.split(Assigned(i // 10_000, 0.5, i, is_challenger, outcome))
    finding = check.finding()
    assert (finding.log_e > math.log(20.0)) is passes
    assert (finding.log_e_harm > math.log(20.0)) is not passes


# Only pairs that differ are labelled.

GUARDED = MetricSpec("accuracy", "correct", Role.GUARDRAIL, margin=0.02)
DIFFERING = How(0.05, experiment="x", is_differing_only=True)


def sampled(rate: float) -> How:
    return How(0.05, label_rate=rate, experiment="x", is_differing_only=True)


def shown(rng: random.Random, number: int, gain: float, loss: float) -> tuple[Judgable, str]:
    """Return a pair of two classes and its truth; the challenger alone is right with ``gain``."""
    u, truth = rng.random(), str(rng.randrange(2))
    wrong = "1" if truth == "0" else "0"
    a, b = (wrong, truth) if u < gain else (truth, wrong) if u < gain + loss else (truth, truth)
    if u > 0.9:
        a = b = wrong
    one = Judgable(f"q{number}", number, Mode.PAIR, 0.5, number, 0, Answer(a), Answer(b))
    return one, truth


def differs(one: Judgable) -> bool:
    assert one.champion is not None and one.challenger is not None
    return one.champion.prediction != one.challenger.prediction


def sides(check: Check) -> tuple[float, float, float]:
    found = check.finding()
    return found.log_e, found.log_e_harm, found.log_e_futile


@pytest.mark.parametrize("spec", [ACCURACY, GUARDED], ids=["objective", "guardrail"])
def test_labels_of_equal_answers_change_nothing(spec: MetricSpec) -> None:
    """Labelled or not, to the last bit; and the same evidence as when all are labelled."""
    every, some, full = make(spec, DIFFERING), make(spec, DIFFERING), fresh(spec)
    rng = random.Random(3)
    for number in range(3_000):
        one, truth = shown(rng, number, 0.06, 0.03)
        for check in (every, some, full):
            check.pair(_paired(one))
        every.judge(one, truth, number // 1_000)
        some.judge(one, truth if differs(one) else None, number // 1_000)
        full.judge(one, truth, number // 1_000)
        if number % 1_000 == 999:
            assert sides(every) == sides(some)
            assert sides(full) == pytest.approx(sides(some), abs=1e-9)
            for check in (every, some, full):
                check.roll()


def _paired(one: Judgable) -> Paired:
    return Paired(0, one.unit, answer(), answer(), not differs(one))


def test_disagreement_without_a_label_counts_against_every_claim() -> None:
    spec = MetricSpec("accuracy", "correct", Role.GUARDRAIL, margin=0.02, detect=0.02)
    lacking, lost, won = (make(spec, DIFFERING) for _ in range(3))
    for number in range(50):
        one = Judgable(f"q{number}", 1, Mode.PAIR, 0.5, number, 0, Answer("7"), Answer("8"))
        lacking.judge(one, None, 0)
        lost.judge(one, "7", 0)
        won.judge(one, "8", 0)
    binary = [check._check for check in (lacking, lost, won)]  # type: ignore[attr-defined]  # read only
    assert binary[0].claim_log_e() == pytest.approx(binary[1].claim_log_e())
    assert binary[0].harm_log_e() == pytest.approx(binary[2].harm_log_e())
    assert binary[0].futile_log_e() == pytest.approx(binary[2].futile_log_e())
    found = lacking.finding()
    assert found.interval is not None and found.interval.low == -1.0 and found.interval.high == 1.0
    assert "50 lack their label and count against every claim" in found.told


def test_disagreement_without_a_label_is_no_difference_when_that_is_declared() -> None:
    spec = dataclasses.replace(GUARDED, missing="incorrect")
    lacking, equal = make(spec, DIFFERING), make(spec, DIFFERING)
    one = Judgable("q1", 1, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("8"))
    other = Judgable("q1", 1, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("7"))
    lacking.judge(one, None, 0)
    equal.judge(other, None, 0)
    assert sides(lacking) == sides(equal)


def test_label_outside_of_the_sample_changes_nothing() -> None:
    """Whoever sends more labels than were drawn would count them 1 / rate too often."""
    only_drawn, more = make(GUARDED, sampled(0.3)), make(GUARDED, sampled(0.3))
    rng, drawn = random.Random(5), 0
    for number in range(2_000):
        one, truth = shown(rng, number, 0.1, 0.1)
        is_in = is_drawn("x", one.request_id, 0.3)
        drawn += is_in and differs(one)
        only_drawn.judge(one, truth if is_in else None, 0)
        more.judge(one, truth, 0)
    assert sides(only_drawn) == sides(more)
    assert f"of {drawn} labelled" in more.finding().told


def test_sampled_difference_stands_for_those_that_were_not_drawn() -> None:
    """The mean over many samples is the difference of all."""
    check, rng = make(GUARDED, sampled(0.25)), random.Random(8)
    total, n = 0, 20_000
    for number in range(n):
        one, truth = shown(rng, number, 0.08, 0.04)
        assert one.champion is not None and one.challenger is not None
        total += (one.challenger.prediction == truth) - (one.champion.prediction == truth)
        check.judge(one, truth, 0)
    found = check.finding().interval
    error = math.sqrt(0.12 * 3 / n)  # of a sample of a quarter, given the whole
    assert found is not None and abs(found.effect - total / n) < 4 * error


def test_state_of_differing_pairs_is_kept_and_adds_up() -> None:
    whole, first, second = (make(GUARDED, DIFFERING) for _ in range(3))
    rng = random.Random(2)
    for number in range(600):
        one, truth = shown(rng, number, 0.1, 0.1)
        label = None if number % 5 == 0 else truth
        whole.judge(one, label, 0)
        (first if number % 2 else second).judge(one, label, 0)
    first.merge(second)
    assert sides(first) == pytest.approx(sides(whole))
    again = make(GUARDED, DIFFERING, saved(whole))
    assert (sides(again), again.finding().told) == (sides(whole), whole.finding().told)


def test_lots_are_judged_as_ever_and_shown_apart_from_pairs() -> None:
    check = make(ACCURACY, DIFFERING)
    check.judge(judgable(Answer("7"), Answer("8")), "7", 0)
    check.judge(judgable(Answer("7"), None, Mode.SPLIT), "7", 0)
    check.judge(judgable(None, Answer("7"), Mode.SPLIT), "8", 0)
    assert not check.judge(judgable(None, Answer("7"), Mode.SPLIT), None, 0)
    told = check.finding().told
    assert "0 won and 1 lost by the challenger, of 1 labelled" in told
    assert "challenger 0.0 % of 1, champion 100.0 % of 1" in told


def test_champions_rate_is_not_learned_from_disagreements_alone() -> None:
    """Of two answers that differ one is wrong: they would say that it is right half the time."""
    check, rng = make(ACCURACY, DIFFERING), random.Random(1)
    for number in range(4_000):
        one, truth = shown(rng, number, 0.06, 0.04)
        is_labelled = differs(one) or rng.random() < 0.1
        check.judge(one, truth if is_labelled else None, 0)
    rate, _ = check._check.rates()  # type: ignore[attr-defined]  # read only
    assert rate == pytest.approx(0.84, abs=0.04)  # 1 - 0.06 - 0.1
