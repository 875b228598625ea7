from collections.abc import Callable

import pytest

from controller.controller import Act, ActRefused, UnknownRoute
from controller.policy import OnTimeout
from router.table import Split
from tests.controller.builders import (
    intent,
    route_intent,
)
from tests.controller.simulation import BETTER, FAILING, WORSE, Simulation

Start = Callable[..., Simulation]


def test_a_hold_stops_promotion_and_not_rollback(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.controller.act("digits", Act.HOLD, "ana", "holiday")
    for _ in range(200):
        simulation.tick()
    status = simulation.status()
    assert (status["phase"], status["step"], status["held_by"]) == ("canary", 0, "ana")
    assert status["missing"][0] == "held by ana: holiday"
    simulation.models = FAILING
    assert simulation.run("rolled_back") == "rolled_back"


def test_a_resumed_rollout_goes_on(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.controller.act("digits", Act.HOLD, "ana", "holiday")
    simulation.controller.act("digits", Act.RESUME, "ben", "back")
    simulation.run("promoted")
    people = [(r["action"], r["who"], r["because"]) for r in simulation.audit()]
    assert ("hold", "ana", "holiday") in people and ("resume", "ben", "back") in people


def test_a_person_can_always_roll_back(start):
    for phase in ("functional", "shadow", "canary", "watch", "promoted"):
        simulation = start(models=BETTER, functional_ok=phase != "functional")
        simulation.run(phase)
        simulation.controller.act("digits", Act.ROLLBACK, "ana", "a bad feeling")
        assert simulation.route.split == Split(champion="digits-1"), phase
        assert simulation.phase == "rolled_back"
        last = simulation.audit()[-1]
        assert (last["action"], last["who"], last["because"]) == (
            "rollback",
            "ana",
            "a bad feeling",
        )


def test_nothing_to_roll_back_is_said(start):
    simulation = start(intent=intent(route_intent(challengers=(), stages=())))
    with pytest.raises(ActRefused, match="nothing to roll back"):
        simulation.controller.act("digits", Act.ROLLBACK, "ana", "why not")


def test_a_promotion_by_hand_is_refused_and_recorded(start):
    simulation = start(models=WORSE)
    simulation.run("shadow")
    with pytest.raises(ActRefused, match="break_glass"):
        simulation.controller.act("digits", Act.PROMOTE, "eve", "trust me")
    assert simulation.phase == "shadow"
    assert simulation.audit()[-1]["action"] == "refuse"
    assert "trust me" in simulation.audit()[-1]["because"]


@pytest.mark.parametrize("phase", ["functional", "shadow", "canary"])
def test_breaking_the_glass_promotes_on_the_record(start, phase):
    simulation = start(models=BETTER, functional_ok=phase != "functional")
    simulation.run(phase)
    simulation.controller.act("digits", Act.PROMOTE, "ana", "outage", break_glass=True)
    assert simulation.phase == "watch"
    last = simulation.audit()[-1]
    assert (last["action"], last["who"]) == ("promote", "ana")
    assert last["because"] == "break-glass: outage"
    simulation.run("promoted")


@pytest.mark.parametrize(("who", "reason"), [("", "because"), ("ana", " ")])
def test_an_act_without_a_name_or_a_reason_is_refused(start, who, reason):
    simulation = start()
    simulation.run("shadow")
    with pytest.raises(ActRefused, match="a name and a reason"):
        simulation.controller.act("digits", Act.HOLD, who, reason)


def test_an_unknown_route_is_said_to_be_unknown(start):
    with pytest.raises(UnknownRoute, match="nowhere"):
        start().controller.act("nowhere", Act.HOLD, "ana", "look")


def test_a_stage_may_hold_instead_of_rolling_back_when_time_is_up(start):
    simulation = start(intent=intent(route_intent(on_timeout=OnTimeout.HOLD)))
    simulation.run("shadow")
    simulation.clock.advance(4000.0)
    simulation.tick(0)
    assert (simulation.phase, simulation.status()["held_by"]) == ("shadow", "policy")
    simulation.controller.act("digits", Act.RESUME, "ana", "one more hour")
    simulation.tick(0)
    assert simulation.status()["held_by"] is None
    simulation.clock.advance(4000.0)
    simulation.tick(0)
    assert simulation.status()["held_by"] == "policy"
