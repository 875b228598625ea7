import itertools
import math
from dataclasses import replace

import pytest

from controller.judge import (
    STALE_AFTER_S,
    Action,
    futile,
    judge,
    missing,
    odds,
    overdue,
    required,
)
from controller.policy import OnFutility, OnTimeout, RouteIntent
from controller.rollout import Phase, Rollout, hold
from evaluator.evidence import CheckState, Evidence, Role
from evaluator.metric import MetricSpec
from tests.controller.builders import (
    FUNCTIONAL,
    METRICS,
    NOW_S,
    SHADOW,
    evidence,
    reading,
    route_intent,
)

PASSED, UNDECIDED = CheckState.PASSED, CheckState.UNDECIDED
TRIPPED, UNKNOWN = CheckState.TRIPPED, CheckState.UNKNOWN
ACCURACY = reading("accuracy", PASSED, Role.OBJECTIVE)
ERRORS = reading("errors", PASSED)
PLENTY = {"pairs": 1000, "exposures_challenger": 1000}


def rollout(phase: Phase, step: int = 0, **parts: object) -> Rollout:
    start = Rollout(
        challenger="b", champion="a", experiment="x", phase=phase, step=step, in_step_s=3600.0
    )
    return replace(start, **parts)


def verdict(
    at: Rollout, found: Evidence, policy: RouteIntent | None = None, now_s: float = NOW_S
) -> Action:
    return judge(required(policy or route_intent(), at, found, now_s=now_s)).action


LAST_STEP = rollout(Phase.CANARY, 2)


def test_no_reading_holds():
    assert judge([]).action is Action.HOLD
    assert judge([]).because == "no check has reported"


def test_worst_news_wins_in_any_order():
    worst_first = [TRIPPED, UNKNOWN, UNDECIDED, PASSED]
    wanted = {
        TRIPPED: Action.ROLLBACK,
        UNKNOWN: Action.HOLD,
        UNDECIDED: Action.HOLD,
        PASSED: Action.PROMOTE,
    }
    for states in itertools.product(worst_first, repeat=3):
        worst = min(states, key=worst_first.index)
        found = judge([reading(f"c{n}", state) for n, state in enumerate(states)])
        assert found.action is wanted[worst]


def test_verdict_names_the_check_and_its_numbers():
    found = judge([ERRORS, reading("latency", TRIPPED, because="p99 is 40 % worse")])
    assert (found.check, found.because) == ("latency", "latency: p99 is 40 % worse")


def test_last_step_promotes_when_everything_passed():
    assert verdict(LAST_STEP, evidence(ACCURACY, ERRORS, counts=PLENTY)) is Action.PROMOTE


@pytest.mark.parametrize("bad", [UNDECIDED, UNKNOWN])
@pytest.mark.parametrize("check", ["accuracy", "errors"])
def test_last_step_holds_while_objective_or_guardrail_is_open(check, bad):
    readings = [replace(r, state=bad) if r.check == check else r for r in (ACCURACY, ERRORS)]
    assert verdict(LAST_STEP, evidence(*readings, counts=PLENTY)) is Action.HOLD


@pytest.mark.parametrize("absent", ["accuracy", "errors"])
def test_a_declared_check_that_does_not_report_holds(absent):
    readings = [r for r in (ACCURACY, ERRORS) if r.check != absent]
    assert verdict(LAST_STEP, evidence(*readings, counts=PLENTY)) is Action.HOLD


@pytest.mark.parametrize("check", ["srm", "readable", "harm"])
@pytest.mark.parametrize("at", [rollout(Phase.SHADOW), rollout(Phase.CANARY), LAST_STEP])
def test_unsound_evidence_freezes_every_stage(check, at):
    found = evidence(ACCURACY, ERRORS, counts=PLENTY, **{check: UNKNOWN})
    assert verdict(at, found) is Action.HOLD


@pytest.mark.parametrize("at", [rollout(Phase.SHADOW), LAST_STEP])
def test_answers_must_have_been_read_before_users_meet_them(at):
    found = evidence(ACCURACY, ERRORS, counts=PLENTY, readable=UNDECIDED)
    assert verdict(at, found) is Action.HOLD


def test_built_in_checks_without_an_alarm_do_not_hold():
    found = evidence(ACCURACY, ERRORS, counts=PLENTY, srm=UNDECIDED, harm=UNDECIDED)
    assert verdict(LAST_STEP, found) is Action.PROMOTE


@pytest.mark.parametrize("check", ["accuracy", "errors"])
def test_broken_evidence_freezes_an_earlier_step_too(check):
    readings = [replace(r, state=UNKNOWN) if r.check == check else r for r in (ACCURACY, ERRORS)]
    assert verdict(rollout(Phase.CANARY, 0), evidence(*readings, counts=PLENTY)) is Action.HOLD


def test_built_in_checks_that_do_not_report_freeze():
    found = replace(evidence(ACCURACY, ERRORS, counts=PLENTY), readings=(ACCURACY, ERRORS))
    assert verdict(LAST_STEP, found) is Action.HOLD


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.CANARY, Phase.WATCH])
@pytest.mark.parametrize("check", ["harm", "errors", "accuracy"])
def test_harm_rolls_back_in_every_phase_with_traffic(phase, check):
    if check == "harm":
        found = evidence(ACCURACY, ERRORS, harm=TRIPPED)
    else:
        readings = [
            replace(r, state=TRIPPED) if r.check == check else r for r in (ACCURACY, ERRORS)
        ]
        found = evidence(*readings)
    assert verdict(rollout(phase), found) is Action.ROLLBACK


def test_tripped_proxy_rolls_back_and_open_proxy_does_not_block():
    tripped = reading("agrees", TRIPPED, Role.PROXY)
    open_proxy = reading("agrees", UNDECIDED, Role.PROXY)
    assert verdict(LAST_STEP, evidence(ACCURACY, ERRORS, tripped)) is Action.ROLLBACK
    found = evidence(ACCURACY, ERRORS, open_proxy, counts=PLENTY)
    assert verdict(LAST_STEP, found) is Action.PROMOTE


def test_passed_proxy_never_promotes_alone():
    proxy = reading("agrees", PASSED, Role.PROXY)
    policy = route_intent(metrics=METRICS[1:])
    assert verdict(LAST_STEP, evidence(proxy, ERRORS, counts=PLENTY), policy) is Action.HOLD


def test_shadow_needs_guardrails_but_not_the_objective():
    undecided = replace(ACCURACY, state=UNDECIDED)
    at = rollout(Phase.SHADOW)
    assert verdict(at, evidence(undecided, ERRORS, counts=PLENTY)) is Action.PROMOTE
    open_errors = replace(ERRORS, state=UNDECIDED)
    assert verdict(at, evidence(ACCURACY, open_errors, counts=PLENTY)) is Action.HOLD


def test_shadow_without_a_canary_after_it_needs_the_objective_too():
    policy = route_intent(stages=(FUNCTIONAL, SHADOW))
    undecided = replace(ACCURACY, state=UNDECIDED)
    at = rollout(Phase.SHADOW)
    assert verdict(at, evidence(undecided, ERRORS, counts=PLENTY), policy) is Action.HOLD
    assert verdict(at, evidence(ACCURACY, ERRORS, counts=PLENTY), policy) is Action.PROMOTE


def test_shadow_counts_pairs_since_its_entry():
    at = rollout(Phase.SHADOW, counts_at_entry={"pairs": 10})
    assert verdict(at, evidence(ERRORS, counts={"pairs": 59})) is Action.HOLD
    assert verdict(at, evidence(ERRORS, counts={"pairs": 60})) is Action.PROMOTE


def test_earlier_steps_need_neither_objective_nor_guardrails_passed():
    found = evidence(
        replace(ACCURACY, state=UNDECIDED), replace(ERRORS, state=UNDECIDED), counts=PLENTY
    )
    assert verdict(rollout(Phase.CANARY, 0), found) is Action.PROMOTE
    assert verdict(rollout(Phase.CANARY, 2), found) is Action.HOLD


def test_default_number_of_exposures_is_the_catastrophe_rule_counted_per_step():
    at = rollout(Phase.CANARY, 0, counts_at_entry={"exposures_challenger": 100})
    assert verdict(at, evidence(counts={"exposures_challenger": 126})) is Action.HOLD
    assert verdict(at, evidence(counts={"exposures_challenger": 128})) is Action.PROMOTE


@pytest.mark.parametrize(
    ("phase", "least_s"), [(Phase.SHADOW, 5.0), (Phase.CANARY, 2.0), (Phase.WATCH, 30.0)]
)
def test_a_stage_is_not_left_before_its_time(phase, least_s):
    found = evidence(ACCURACY, ERRORS, counts=PLENTY)
    assert verdict(rollout(phase, in_step_s=least_s - 0.1), found) is Action.HOLD
    assert verdict(rollout(phase, in_step_s=least_s), found) is Action.PROMOTE


@pytest.mark.parametrize("at", [rollout(Phase.SHADOW), LAST_STEP, rollout(Phase.WATCH)])
def test_stale_evidence_holds(at):
    found = evidence(ACCURACY, ERRORS, counts=PLENTY)
    assert verdict(at, found, now_s=NOW_S + STALE_AFTER_S) is Action.PROMOTE
    assert verdict(at, found, now_s=NOW_S + STALE_AFTER_S + 1) is Action.HOLD


def test_evidence_without_any_observation_holds():
    found = evidence(ACCURACY, ERRORS, counts=PLENTY, last_observation_s=None)
    assert verdict(LAST_STEP, found) is Action.HOLD


def test_observation_from_a_clock_ahead_of_ours_is_fresh():
    found = evidence(ACCURACY, ERRORS, counts=PLENTY, last_observation_s=NOW_S + 3600)
    assert verdict(LAST_STEP, found) is Action.PROMOTE


@pytest.mark.parametrize(
    "phase", [Phase.QUEUED, Phase.FUNCTIONAL, Phase.PROMOTED, Phase.ROLLED_BACK]
)
def test_phases_without_traffic_are_not_moved_by_evidence(phase):
    assert required(route_intent(), rollout(phase), evidence(ACCURACY, ERRORS), now_s=NOW_S) == ()


def test_stage_is_overdue_when_it_waited_its_limit():
    at = rollout(Phase.SHADOW, waited_s=3599.0)
    assert overdue(route_intent(), at) is None
    assert overdue(route_intent(), replace(at, waited_s=3600.0)) is OnTimeout.ROLLBACK
    held = route_intent(on_timeout=OnTimeout.HOLD)
    assert overdue(held, replace(at, waited_s=3600.0)) is OnTimeout.HOLD


def test_held_and_queued_rollouts_are_never_overdue():
    late = rollout(Phase.SHADOW, waited_s=1e9)
    assert overdue(route_intent(), hold(late, by="ana", reason="look")) is None
    assert overdue(route_intent(), rollout(Phase.QUEUED, waited_s=1e9)) is None


def test_missing_says_the_odds_and_what_is_needed():
    readings = [
        reading("accuracy", UNDECIDED, Role.OBJECTIVE, log_e=math.log(4)),
        reading("errors", PASSED),
        reading("pairs", UNDECIDED, Role.INTEGRITY, because="3 of 50 in this step"),
    ]
    assert missing(readings) == (
        "accuracy: odds 4:1, needs 20:1",
        "pairs: 3 of 50 in this step",
    )


@pytest.mark.parametrize(
    ("log_e", "text"),
    [(0.0, "1:1"), (math.log(3.3), "3.3:1"), (-math.log(3), "1:3"), (math.log(37), "37:1")],
)
def test_odds_read_as_people_write_them(log_e, text):
    assert odds(log_e) == text


def test_odds_of_any_evidence_can_be_written():
    assert odds(1e6).endswith(":1") and odds(-math.inf).startswith("1:")


def test_futile_names_the_objective_and_its_odds() -> None:
    policy = replace(route_intent(), on_futility=OnFutility.STOP)
    waiting = replace(reading("accuracy", CheckState.UNDECIDED, Role.OBJECTIVE), log_e_futile=2.0)
    standing = Rollout(
        challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.SHADOW
    )
    why = futile(policy, standing, evidence(waiting))
    assert why is not None and why.startswith("accuracy: ")
    assert futile(route_intent(), standing, evidence(waiting)) is None
    assert futile(policy, standing, None) is None


def test_shadow_does_not_wait_for_what_only_a_sent_answer_can_earn() -> None:
    reward = MetricSpec("reward", "mean", Role.GUARDRAIL, margin=0.1, source="label", value="r")
    policy = route_intent(metrics=(*METRICS, reward))
    seen = evidence(ACCURACY, ERRORS, reading("reward", UNDECIDED), counts=PLENTY)
    in_shadow = {r.check for r in required(policy, rollout(Phase.SHADOW), seen, now_s=NOW_S)}
    at_the_end = {r.check for r in required(policy, rollout(Phase.CANARY, 2), seen, now_s=NOW_S)}
    assert "reward" not in in_shadow and "reward" in at_the_end
