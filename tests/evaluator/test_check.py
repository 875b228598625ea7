"""One declared metric as a running check."""

import dataclasses

import msgspec
import pytest

from evaluator.check import (
    Assigned,
    Check,
    CheckState,
    Paired,
    correct_question,
    error_question,
    make,
)
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.metric import KINDS, MetricSpec
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, AGREES, ALL, ERRORS, answer, failure


def fresh(spec: MetricSpec = ACCURACY, *, is_clustered: bool = False) -> Check:
    return make(spec, 0.05, is_clustered=is_clustered, state=CheckState())


def split(is_challenger: bool, outcome: Outcome, *, is_resting: bool = False) -> Assigned:
    return Assigned(0, 0.5, 1, is_challenger, outcome, is_resting)


def judgable(
    champion: Answer | None, challenger: Answer | None, mode: Mode = Mode.PAIR
) -> Judgable:
    return Judgable("q1", 1, mode, 0.5, 1, 0, champion, challenger)


def goods(check: Check) -> tuple[int, int, int, int]:
    """Return (champion good, all, challenger good, all) of a check that counts good answers."""
    return check._check.goods()  # type: ignore[attr-defined,no-any-return]  # the state, read only


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_and_starts_without_evidence(kind: str) -> None:
    finding = fresh(MetricSpec("m", kind, Role.GUARDRAIL)).finding()
    assert (finding.log_e, finding.log_e_harm, finding.n) == (0.0, 0.0, 0)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        fresh(MetricSpec("m", "revenue", Role.GUARDRAIL))


def test_prediction_equal_to_the_label_is_correct() -> None:
    check = fresh()
    check.judge(judgable(Answer("7"), Answer("8")), "7")
    check.judge(judgable(Answer("7"), Answer("8")), "8")
    check.judge(judgable(Answer("7"), Answer("8")), "9")
    assert goods(check) == (1, 3, 1, 3)


def test_failed_answer_is_incorrect_whatever_the_label() -> None:
    check = fresh()
    check.judge(judgable(Answer("7"), Answer(None, is_failed=True)), "7")
    assert goods(check) == (1, 1, 0, 1)


def test_unreadable_answer_is_incorrect_but_one_that_we_cut_is_left_out() -> None:
    check = fresh()
    assert check.judge(judgable(Answer("7"), Answer(None)), "7")
    assert not check.judge(judgable(Answer("7"), Answer(None, is_cut=True)), "7")
    assert goods(check) == (1, 1, 0, 1)


def test_missing_label_is_left_out_or_incorrect_for_both_as_declared() -> None:
    ignoring = fresh()
    strict = fresh(dataclasses.replace(ACCURACY, missing="incorrect"))
    for check, used in ((ignoring, False), (strict, True)):
        assert check.judge(judgable(Answer("7"), Answer("7")), None) is used
    assert goods(ignoring) == (0, 0, 0, 0)
    assert goods(strict) == (0, 1, 0, 1)


def test_history_teaches_the_champions_rate_and_proves_nothing() -> None:
    check = fresh()
    for _ in range(100):
        check.judge(judgable(Answer("7"), None, Mode.HISTORY), "7")
    assert check.finding().n == 0
    check.roll()
    state = check.save().binary
    assert state is not None and state.baselines[1].good > 0.9


def test_lot_counts_the_variant_that_was_drawn() -> None:
    check = fresh()
    check.judge(judgable(None, Answer("7"), Mode.SPLIT), "7")
    check.judge(judgable(Answer("8"), None, Mode.SPLIT), "7")
    assert goods(check) == (0, 1, 1, 1)


def test_resting_challenger_has_failed_but_has_no_latency() -> None:
    errors, slow = fresh(ERRORS), fresh(MetricSpec("l", "latency", Role.GUARDRAIL))
    for check in (errors, slow):
        check.split(split(True, answer(), is_resting=True))
    assert goods(errors) == (0, 0, 0, 1)
    state = slow.save().latency
    assert state is not None and state.challenger.n == 0


def test_client_error_is_not_an_error_of_the_variant() -> None:
    check = fresh(ERRORS)
    check.split(split(True, answer(status=422)))
    check.split(split(True, answer(status=503)))
    check.split(split(False, failure("timeout")))
    assert goods(check) == (0, 1, 1, 2)


def test_pair_that_cannot_be_compared_is_left_out_of_agreement() -> None:
    check = fresh(AGREES)
    for is_agreed in (True, False, None):
        check.pair(Paired(0, 1, answer(), answer(), is_agreed))
    assert check.finding().n == 2


def test_guardrail_claims_with_its_margin_and_objective_without() -> None:
    margin = dataclasses.replace(ACCURACY, margin=0.02)
    assert correct_question(margin).margin == 0.0
    assert correct_question(dataclasses.replace(margin, role=Role.GUARDRAIL)).margin == 0.02
    assert error_question(ERRORS).margin == 0.005
    assert error_question(dataclasses.replace(ERRORS, role=Role.OBJECTIVE)).margin == 0.0


def test_undeclared_effect_is_bet_on_widely() -> None:
    assert correct_question(dataclasses.replace(ACCURACY, detect=None)).is_vague
    assert not correct_question(ACCURACY).is_vague


@pytest.mark.parametrize("is_clustered", [False, True])
@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.kind)
def test_saved_state_goes_on_exactly(spec: MetricSpec, is_clustered: bool) -> None:
    check = fresh(spec, is_clustered=is_clustered)
    for epoch in range(2):
        for i in range(150):
            seen = Paired(epoch, i, answer(latency_s=0.001 * i), answer(i % 3), i % 3 == 0)
            check.pair(seen)
            check.judge(judgable(Answer("7"), Answer(str(i % 3))), "7")
        check.roll()
    raw = msgspec.msgpack.encode(check.save())
    again = make(
        spec, 0.05, is_clustered=is_clustered, state=msgspec.msgpack.decode(raw, type=CheckState)
    )
    assert again.finding() == check.finding()
    assert msgspec.msgpack.encode(again.save()) == raw
