"""One declared metric as a running check."""

import pytest

from evaluator.check import make, saved
from evaluator.evidence import Role
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.metric import KINDS, MetricSpec
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, ALL, answer


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


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_made_and_starts_without_evidence(kind: str) -> None:
    finding = fresh(MetricSpec("m", kind, Role.GUARDRAIL)).finding()
    assert (finding.log_e, finding.log_e_harm, finding.n) == (0.0, 0.0, 0)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        fresh(MetricSpec("m", "revenue", Role.GUARDRAIL))


@pytest.mark.parametrize("is_clustered", [False, True])
@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.kind)
def test_saved_state_goes_on_exactly(spec: MetricSpec, is_clustered: bool) -> None:
    check = fresh(spec, is_clustered=is_clustered)
    for epoch in range(2):
        for i in range(150):
            seen = Paired(epoch, i, answer(latency_s=0.001 * i), answer(i % 3), i % 3 == 0)
            check.pair(seen)
            judge(check, judgable(Answer("7"), Answer(str(i % 3))), "7")
        check.roll()
    raw = saved(check)
    again = make(spec, How(0.05, is_clustered), raw)
    assert again.finding() == check.finding()
    assert saved(again) == raw
