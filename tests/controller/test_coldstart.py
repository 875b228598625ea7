"""A route without a champion: its first version, from closed to champion."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from controller.act import Act, ActRefused
from controller.adoption import IntentRefused
from controller.coldstart import closes, required, trouble
from controller.judge import Action, Verdict
from controller.policy import ColdStartSpec, OnTimeout, RouteIntent
from controller.rollout import NOBODY, Event, Phase, Rollout, hold, way_forward
from evaluator.evidence import CheckState, Evidence, Role
from evaluator.metric import MetricSpec
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    NOW_S,
    PERFORMANCE,
    SECURITY,
    SHADOW,
    evidence,
    intent,
    reading,
    route_intent,
    variant,
)
from tests.controller.simulation import Model, Simulation

CHECKS = (
    MetricSpec("accuracy", "correct", Role.GUARDRAIL, at_least=0.6),
    MetricSpec("errors", "error", Role.GUARDRAIL, at_most=0.05),
    MetricSpec("latency", "latency", Role.GUARDRAIL, at_most=0.3, quantile=0.95),
)
COLD = ColdStartSpec(CHECKS, at_least=200, for_at_least_s=0.0, at_most_s=3600.0)
GOOD = {"digits-1": Model(0.8), "digits-2": Model(0.95)}
BAD = {"digits-1": Model(0.8, error_rate=0.3), "digits-2": Model(0.95)}

Start = Callable[..., Simulation]


def cold_intent(cold: ColdStartSpec = COLD, **parts: object) -> RouteIntent:
    return replace(route_intent(), cold_start=cold, **parts)


def begun(start: Start, cold: ColdStartSpec = COLD, **parts: object) -> Simulation:
    """Return a route without a champion whose first version has just been asked its samples."""
    return start(intent=intent(cold_intent(cold)), **({"models": GOOD} | parts))


def test_nobody_answers_before_the_gates_are_passed(start: Start) -> None:
    simulation = begun(start, functional_ok=False)
    simulation.tick(0)
    simulation.tick(0)
    assert (simulation.phase, simulation.route.is_closed) == ("functional", True)
    status = simulation.status()
    assert (status["champion"], status["challenger"], status["share"]) == (None, "digits-1", 0.0)
    simulation.functional_ok = True
    simulation.run("cold_start", n=0)
    assert not simulation.route.is_closed
    assert simulation.route.split.champion == "digits-1"
    assert simulation.status()["share"] == 1.0


def test_standby_answers_for_nobody(start: Start) -> None:
    simulation = start(
        intent=intent(cold_intent(standby=variant("rules", 9009))),
        models=GOOD,
        functional_ok=False,
    )
    assert (simulation.route.is_closed, simulation.route.split.champion) == (False, "rules")
    simulation.functional_ok = True
    simulation.run("cold_start", n=0)
    assert simulation.route.split.champion == "digits-1"
    assert simulation.route.standby is not None and simulation.route.standby.name == "rules"


def test_first_version_that_reaches_every_number_is_champion_and_the_next_is_compared_with_it(
    start: Start,
) -> None:
    simulation = begun(start)
    simulation.run("promoted", "canary", "shadow")
    record = next(r for r in simulation.audit() if r["action"] == "promote")
    assert (record["phase_from"], record["phase_to"]) == ("cold_start", "promoted")
    told = {one["check"]: one["because"] for one in record["evidence"]["readings"]}
    assert "at least 60.0 % wanted" in told["accuracy"]
    assert "slower than 300 ms" in told["latency"]
    simulation.run("shadow")
    status = simulation.status()
    assert (status["champion"], status["challenger"]) == ("digits-1", "digits-2")
    assert status["history"][0]["challenger"] == "digits-1"
    simulation.run("promoted")
    assert simulation.status()["champion"] == "digits-2"


def test_first_version_that_fails_its_checks_holds_loudly_and_goes_on_serving(start: Start) -> None:
    simulation = begun(start, models=BAD)
    simulation.run("cold_start", n=0)
    for _ in range(100):
        simulation.tick()
    status = simulation.status()
    assert (status["phase"], status["held_by"]) == ("cold_start", "policy")
    assert "nobody else can answer, so digits-1 goes on serving" in status["hold_reason"]
    assert simulation.actions().count("hold") == 1
    assert not simulation.route.is_closed


def test_a_person_closes_the_route_and_the_next_version_has_its_turn(start: Start) -> None:
    simulation = begun(start, models=BAD)
    simulation.run("cold_start", n=0)
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "it fails")
    assert simulation.route.is_closed
    simulation.run("cold_start", n=0)
    assert simulation.status()["challenger"] == "digits-2"
    simulation.run("promoted")
    status = simulation.status()
    assert status["champion"] == "digits-2"
    with pytest.raises(ActRefused, match="nobody before it"):
        simulation.controller.act("digits", Act.ROLLBACK, "ana", "back")


def test_time_that_is_over_closes_the_route_only_where_the_file_says_so(start: Start) -> None:
    patient = begun(start, replace(COLD, at_least=10**6, at_most_s=10.0))
    patient.run("cold_start", n=0)
    for _ in range(40):
        patient.tick()
    assert patient.status()["held_by"] == "policy" and not patient.route.is_closed
    cold = replace(COLD, at_least=10**6, at_most_s=10.0, on_timeout=OnTimeout.ROLLBACK)
    strict = begun(start, cold)
    strict.run("cold_start", n=0)
    for _ in range(40):
        strict.tick()
    assert strict.status()["history"][-1]["challenger"] == "digits-1"
    assert strict.status()["challenger"] == "digits-2"


def test_route_whose_every_version_was_taken_back_is_closed_and_says_what_to_do(
    start: Start,
) -> None:
    simulation = start(intent=intent(cold_intent(challengers=())), models=GOOD)
    simulation.run("cold_start", n=0)
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "no")
    simulation.tick(0)
    assert simulation.route.is_closed
    assert "none left to try" in simulation.status()["missing"][0]


def test_break_glass_makes_the_first_version_champion_at_once(start: Start) -> None:
    simulation = begun(start, functional_ok=False)
    simulation.tick(0)
    with pytest.raises(ActRefused, match="break_glass"):
        simulation.controller.act("digits", Act.PROMOTE, "ana", "now")
    simulation.controller.act("digits", Act.PROMOTE, "ana", "now", break_glass=True)
    assert (simulation.status()["champion"], simulation.route.is_closed) == ("digits-1", False)
    assert simulation.audit()[-1]["because"] == "break-glass: now"


def test_file_cannot_make_an_unproven_version_champion_but_may_name_another_first(
    start: Start,
) -> None:
    simulation = begun(start, functional_ok=False)
    simulation.tick(0)
    with pytest.raises(IntentRefused, match="the route began without one"):
        simulation.controller.adopt(intent(route_intent(), digest="d2"), "file")
    other = cold_intent(champion=variant("digits-9"), challengers=())
    simulation.controller.adopt(intent(other, digest="d3"), "file")
    simulation.tick(0)
    assert simulation.status()["challenger"] == "digits-9"
    assert simulation.route.is_closed


@pytest.mark.parametrize("after", ["functional", "cold_start"])
def test_restart_goes_on_where_the_first_version_stood(start: Start, after: str) -> None:
    simulation = begun(start, functional_ok=False)
    simulation.tick(0)
    if after == "cold_start":
        simulation.functional_ok = True
        simulation.run("cold_start", n=0)
    simulation.restart()
    assert simulation.phase == after
    assert simulation.route.is_closed is (after == "functional")
    simulation.functional_ok = True
    simulation.run("promoted", "shadow")


def test_a_closing_that_a_crash_left_unwritten_stays(start: Start) -> None:
    simulation = begun(start)
    simulation.run("cold_start", n=0)
    copy = simulation.path.with_name("before.db")
    with closing(sqlite3.connect(copy)) as other:
        simulation.connection.backup(other)
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "close")
    simulation.stop()
    simulation.path = copy  # nothing of the rollback was written
    simulation.start()
    assert simulation.status()["history"][0]["challenger"] == "digits-1"
    assert simulation.route.is_closed


def test_lost_state_takes_the_version_that_routers_serve_for_the_champion(start: Start) -> None:
    simulation = begun(start)
    simulation.run("cold_start", n=0)
    simulation.stop()
    simulation.path.unlink()
    for suffix in ("-wal", "-shm", ".commits"):
        simulation.path.with_name(simulation.path.name + suffix).unlink(missing_ok=True)
    simulation.start()
    assert not simulation.route.is_closed
    assert simulation.status()["champion"] == "digits-1"


# The pure part.


def standing(**parts: object) -> Rollout:
    whole = {"challenger": "a", "champion": NOBODY, "experiment": "x", "phase": Phase.COLD_START}
    return Rollout(**(whole | parts))


def shown(n: int = 200, *, last_s: float | None = NOW_S, **states: CheckState) -> Evidence:
    readings = [reading(spec.name, states.get(spec.name, CheckState.PASSED)) for spec in CHECKS]
    counts = {"exposures_challenger": n}
    return evidence(*readings, counts=counts, last_observation_s=last_s)


def state_of(found: Evidence, check: str, rollout: Rollout | None = None) -> CheckState:
    policy = cold_intent(replace(COLD, for_at_least_s=5.0))
    readings = required(policy, rollout or standing(in_step_s=9.0), found, now_s=NOW_S)
    return next(one.state for one in readings if one.check == check)


def test_what_is_asked_is_fresh_evidence_enough_answers_time_and_every_check() -> None:
    assert state_of(shown(), "answers") is CheckState.PASSED
    assert state_of(shown(199), "answers") is CheckState.UNDECIDED
    assert state_of(shown(), "time", standing(in_step_s=4.0)) is CheckState.UNDECIDED
    assert state_of(shown(last_s=None), "fresh") is CheckState.UNKNOWN
    assert state_of(shown(last_s=NOW_S - 400.0), "fresh") is CheckState.UNKNOWN
    assert state_of(shown(errors=CheckState.TRIPPED), "errors") is CheckState.TRIPPED
    assert state_of(evidence(), "latency") is CheckState.UNKNOWN  # it has not reported


def test_checks_that_compare_are_not_asked() -> None:
    found = required(cold_intent(), standing(), shown(), now_s=NOW_S)
    assert {one.check for one in found}.isdisjoint({"srm", "delivery", "harm"})
    assert required(cold_intent(), standing(phase=Phase.FUNCTIONAL), shown(), now_s=NOW_S) == ()


def test_trouble_holds_once_and_waiting_is_none() -> None:
    bad = Verdict(Action.ROLLBACK, "errors", "errors: too many")
    policy = cold_intent()
    assert "errors: too many; nobody else" in (trouble(policy, standing(), bad) or "")
    held = hold(standing(waited_s=1e6), by="policy", reason="so")
    assert trouble(policy, held, bad) is None
    waiting = Verdict(Action.HOLD, "errors", "errors: too few")
    assert trouble(policy, standing(), waiting) is None
    assert "lasted longer" in (trouble(policy, standing(waited_s=3600.0), waiting) or "")
    assert not closes(policy, standing(waited_s=3600.0))


def test_every_declared_gate_before_traffic_comes_first_and_no_stage_of_comparison() -> None:
    policy = cold_intent(stages=(FUNCTIONAL, PERFORMANCE, SECURITY, SHADOW, CANARY))
    ways = [
        way_forward(policy, standing(phase=phase))
        for phase in (Phase.FUNCTIONAL, Phase.PERFORMANCE, Phase.SECURITY, Phase.COLD_START)
    ]
    assert ways == [
        Event.CLEARED_FOR_PERFORMANCE,
        Event.CLEARED_FOR_SECURITY,
        Event.UNOPPOSED,
        Event.ESTABLISHED,
    ]


def test_version_that_is_not_what_was_registered_closes_the_route(start: Start) -> None:
    simulation = begun(start)
    simulation.run("cold_start", n=0)
    simulation.controller.registrar.mismatch = lambda state, rollout: (
        "another digest" if rollout.challenger == "digits-1" else ""
    )
    simulation.functional_ok = False
    for _ in range(3):  # evidence is looked at once a second
        simulation.tick(0)
    assert simulation.route.is_closed
    assert simulation.status()["history"][0]["because"] == "another digest"
