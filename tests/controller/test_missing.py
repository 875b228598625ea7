from dataclasses import replace

from controller.consent import Approval
from controller.gates.confirm import Confirmation
from controller.gates.report import GateCheck, GateReport
from controller.missing import Asked, Standing, asked_of, missing_of, unmet
from controller.rollout import Phase, Rollout
from controller.store import RouteState
from evaluator.evidence import CheckState, Role
from tests.controller.builders import CANARY, FUNCTIONAL, SHADOW, reading, route_intent

PASSED = reading("errors", CheckState.PASSED)
OPEN = reading("pairs", CheckState.UNDECIDED, Role.INTEGRITY)
POLICY = route_intent(
    stages=(replace(FUNCTIONAL, approvals=1), SHADOW, replace(CANARY, approvals=2))
)


def standing(phase: Phase, *required: object, **parts: object) -> Standing:
    rollout = Rollout(challenger="b", champion="a", experiment="x", phase=phase, because="asked")
    state = RouteState(
        name="digits",
        declared_champion="a",
        champion="a",
        rollout=replace(rollout, **parts),
        policy=POLICY,
    )
    return Standing(state=state, policy=POLICY, required=required)


def test_checks_come_before_webhooks_and_webhooks_before_people():
    waiting = Confirmation((GateCheck("webhook risk", False, "answered 403"),))
    found = replace(standing(Phase.CANARY, PASSED, OPEN, step=2), outside=waiting)
    assert missing_of(found) == (
        "pairs: for a reason",
        "webhook risk: answered 403",
        "approval: 0 of 2, asked for when the checks have passed",
    )
    assert unmet(found) == ("pairs: for a reason",)


def test_who_has_approved_is_said():
    given = (Approval(who="ana", reason="good", at_s=0.0),)
    found = standing(Phase.CANARY, PASSED, step=2, approvals=given)
    assert missing_of(found) == ("approval: 1 of 2 (ana)",)


def test_a_stage_with_steps_is_approved_at_the_last():
    assert asked_of(standing(Phase.CANARY, step=0)) == Asked(2, is_now=False)
    assert asked_of(standing(Phase.CANARY, step=2)) == Asked(2, is_now=True)
    assert missing_of(standing(Phase.CANARY, PASSED))[-1].endswith("asked for at the last step")


def test_a_gate_names_each_check_that_failed():
    failed = GateReport("b", False, "two failed", (GateCheck("x", False, "no"),))
    passed = GateReport("b", True, "fine")
    functional = standing(Phase.FUNCTIONAL)
    assert unmet(functional) == ("functional: asked",)
    assert unmet(replace(functional, gate=failed)) == ("functional: x: no",)
    assert missing_of(replace(functional, gate=passed)) == ("approval: 0 of 1",)


def test_silence_is_not_nothing_missing():
    assert unmet(standing(Phase.SHADOW)) == ("no check has reported",)


def test_nothing_is_missing_where_nothing_waits():
    for phase in (Phase.QUEUED, Phase.PROMOTED, Phase.ROLLED_BACK):
        assert missing_of(standing(phase)) == ()
        assert asked_of(standing(phase)).needed == 0
