from dataclasses import replace

import pytest

from controller.consent import Approval, Glass
from controller.missing import Standing
from controller.rollout import Phase, Rollout, stage_for
from controller.status import COUNTS, Pending, RouteView, expected_s, render_route
from controller.store import Finished, RouteState
from evaluator.evidence import CheckState, Evidence, Reading, Role
from tests.controller.builders import CANARY, NOW_S, SHADOW, evidence, reading, route_intent


def view(
    phase: Phase | None, *required: Reading, found: Evidence | None = None, **parts: object
) -> RouteView:
    rollout = None
    if phase is not None:
        rollout = Rollout(
            challenger="digits-2",
            champion="digits-1",
            experiment="x",
            phase=phase,
            step=1 if phase is Phase.CANARY else 0,
            began_at_s=NOW_S - 100.0,
            entered_at_s=NOW_S,
            because="asked",
        )
        rollout = replace(rollout, **parts)
    state = RouteState(
        name="digits",
        declared_champion="digits-1",
        champion="digits-1",
        rollout=rollout,
        policy=route_intent() if rollout else None,
        history=(Finished("a", "promoted", 1.0, "good"), Finished("b", "rolled_back", 2.0, "bad")),
    )
    return RouteView(
        route=route_intent(),
        standing=Standing(state=state, policy=state.policy or route_intent(), required=required),
        evidence=found,
        labels={"accepted": 1},
    )


def with_state(view: RouteView, **parts: object) -> RouteView:
    state = replace(view.state, **parts)
    policy = state.policy or view.standing.policy
    return replace(view, standing=replace(view.standing, state=state, policy=policy))


def counted(n: int, n_expected: int | None, role: Role = Role.OBJECTIVE) -> Reading:
    open_check = reading("accuracy", CheckState.UNDECIDED, role)
    return replace(open_check, n=n, n_expected=n_expected)


def test_a_canary_says_its_step_and_share():
    status = render_route(view(Phase.CANARY, found=evidence(counts={"pairs": 3, "foreign": 1})))
    assert (status["step"], status["steps"], status["share"]) == (1, 3, 0.25)
    assert status["since"] == "2027-01-15T08:00:00.000000Z"
    assert status["counts"] == dict.fromkeys(COUNTS, 0) | {"pairs": 3, "foreign": 1}


def test_a_route_without_a_rollout_has_nothing_missing():
    status = render_route(view(None))
    assert (status["phase"], status["challenger"], status["missing"]) == (None, None, [])
    assert (status["checks"], status["expected_seconds"]) == ([], None)


def test_history_has_the_latest_first():
    assert [past["challenger"] for past in render_route(view(None))["history"]] == ["b", "a"]


def test_what_is_missing_begins_with_who_holds():
    held = view(
        Phase.CANARY,
        reading("errors", CheckState.UNKNOWN, because="has not reported"),
        held_by="ana",
        hold_reason="look",
    )
    assert render_route(held)["missing"] == [
        "held by ana: look",
        "errors: has not reported",
    ]


def test_the_functional_gate_says_what_it_heard_last():
    assert render_route(view(Phase.FUNCTIONAL))["missing"] == ["functional: asked"]


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PROMOTED, Phase.ROLLED_BACK])
def test_phases_that_wait_for_nothing_miss_nothing(phase):
    assert render_route(view(phase))["missing"] == []


def test_a_route_held_after_a_loss_says_why():
    lost = view(None)
    lost = with_state(lost, hold_reason="the state was damaged")
    assert render_route(lost)["missing"] == ["the state was damaged"]


def open_view(phase: Phase, *checks: Reading, **parts: object) -> RouteView:
    return view(phase, found=evidence(*checks), **parts)


def test_expected_time_is_the_rest_at_the_present_rate():
    assert expected_s(open_view(Phase.CANARY, counted(50, 150))) == 200.0


def test_expected_time_is_that_of_the_slowest_check():
    checks = (counted(50, 150), counted(50, 60, Role.GUARDRAIL))
    assert expected_s(open_view(Phase.CANARY, *checks)) == 200.0


def test_expected_time_counts_checks_that_the_present_stage_does_not_ask_for():
    asked_now = reading("errors", CheckState.PASSED, Role.GUARDRAIL)
    found = view(Phase.SHADOW, asked_now, found=evidence(asked_now, counted(50, 150)))
    assert expected_s(found) == 200.0


def test_expected_time_is_never_less_than_what_the_stages_ask_for():
    passed = reading("accuracy", CheckState.PASSED, Role.OBJECTIVE)
    ladder = view(Phase.SHADOW, found=evidence(passed), in_step_s=4.0)
    stages = tuple(replace(stage, for_at_least_s=10.0) for stage in ladder.route.stages)
    policy = replace(ladder.route, stages=stages)
    ladder = with_state(ladder, policy=policy)
    assert expected_s(ladder) == 6.0 + 3 * 10.0


def test_expected_time_while_watching_is_the_rest_of_the_watch():
    watching = open_view(Phase.WATCH, counted(50, 150), in_step_s=1.0)
    watch_s = next(s.watch_s for s in watching.route.stages if s.watch_s)
    assert expected_s(watching) == watch_s - 1.0


@pytest.mark.parametrize(("n", "n_expected"), [(0, 100), (50, None)])
def test_expected_time_is_unknown_before_there_is_a_rate(n, n_expected):
    assert expected_s(open_view(Phase.CANARY, counted(n, n_expected))) is None


def test_expected_time_is_unknown_without_a_running_rollout():
    assert expected_s(view(None)) is None
    assert expected_s(view(Phase.PROMOTED, counted(50, 150), found=evidence())) is None


def test_what_waits_for_labels_is_told_beside_what_was_judged():
    counts = {"judged": 9, "unlabelled": 2, "needless": 4}
    pending = Pending(waiting=7, oldest_at_ns=round((NOW_S - 60.0) * 1e9), looked_at=7, labelled=3)
    told = render_route(replace(view(Phase.SHADOW, found=evidence(counts=counts)), pending=pending))
    assert told["maturing"] == {
        "waiting": 7,
        "oldest_s": 60.0,
        "looked_at": 7,
        "labelled": 3,
        "judged": 9,
        "missing": 2,
        "needless": 4,
    }
    assert render_route(view(Phase.SHADOW))["maturing"] is None


def test_a_check_says_when_it_may_decide_by_itself():
    check = counted(50, 200)
    status = render_route(view(Phase.CANARY, check, found=evidence(check)))
    assert status["required"][0]["expected_seconds"] == 300.0
    assert status["last_observation"] == "2027-01-15T08:00:00.000000Z"


def test_what_the_stage_asks_for_is_told_with_when_it_is_there():
    pairs = reading("pairs", CheckState.UNDECIDED, Role.INTEGRITY, because="5 of 20")
    time = reading("time", CheckState.UNDECIDED, Role.INTEGRITY, because="10 of 60 s")
    full = reading("fresh", CheckState.PASSED, Role.INTEGRITY)
    shown = view(
        Phase.CANARY,
        replace(pairs, n=5, n_expected=20),
        time,
        full,
        replace(pairs, check="none", n=0, n_expected=20),
        found=evidence(),
        in_step_s=10.0,
    )
    required = render_route(shown)["required"]
    assert [item["check"] for item in required] == ["pairs", "time", "fresh", "none"]
    waits_s = stage_for(route_intent(), Phase.CANARY).for_at_least_s
    assert [item["expected_seconds"] for item in required] == [
        *(30.0, max(0.0, waits_s - 10.0), None, None),
    ]


def test_a_promotion_around_the_gates_is_loud():
    glass = Glass(who="ana", reason="outage", at_s=NOW_S, until_s=3600.0)
    forced = view(Phase.WATCH, found=evidence(), glass=glass, in_step_s=600.0)
    status = render_route(forced)
    assert status["break_glass"] == {
        "who": "ana",
        "reason": "outage",
        "at": "2027-01-15T08:00:00.000000Z",
        "left_s": 3000.0,
    }
    assert status["missing"][0].startswith(
        "break-glass by ana (outage): back to digits-1 in 3000 s"
    )
    assert render_route(view(Phase.WATCH))["break_glass"] is None


def test_approvals_are_shown_with_who_gave_them_and_whether_they_are_asked_for():
    policy = route_intent(stages=(replace(SHADOW, approvals=2), CANARY))
    given = Approval(who="ana", reason="looks good", at_s=NOW_S)
    passed = reading("errors", CheckState.PASSED)
    asked = with_state(view(Phase.SHADOW, passed, approvals=(given,)), policy=policy)
    status = render_route(asked)
    assert status["approval"] == {
        "needed": 2,
        "given": [{"who": "ana", "reason": "looks good", "at": "2027-01-15T08:00:00.000000Z"}],
        "is_open": True,
    }
    assert status["missing"] == ["approval: 1 of 2 (ana)"]
    assert render_route(view(Phase.SHADOW, passed))["approval"] is None
