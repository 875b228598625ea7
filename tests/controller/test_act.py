from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from controller.controller import Act, ActRefused, UnknownRoute
from controller.policy import Intent, OnTimeout
from controller.store import StoreError
from router.table import Split
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    PERFORMANCE,
    PRODUCTION,
    SHADOW,
    STAGES,
    intent,
    route_intent,
    variant,
)
from tests.controller.simulation import BETTER, EQUAL, FAILING, WORSE, Simulation

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
    assert last["because"] == "break-glass for 3600 s: outage"
    assert last["evidence"]["missing"]  # what was gone around, by name
    simulation.run("promoted")
    actions = simulation.actions()
    assert actions.index("promote") < actions.index("mend") < actions.index("finish")


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


# Approvals.


def approving(*phases: str, by: int = 2) -> Intent:
    """A file whose stages of these kinds are left with the approval of ``by`` people."""
    stages = (FUNCTIONAL, PERFORMANCE, SHADOW, CANARY, PRODUCTION)
    return intent(
        route_intent(
            stages=tuple(replace(s, approvals=by if s.kind.value in phases else 0) for s in stages)
        )
    )


def until_asked(simulation: Simulation) -> None:
    for _ in range(2000):
        approval = simulation.status()["approval"]
        if approval is not None and approval["is_open"]:
            return
        simulation.tick()
    raise AssertionError(f"nobody is asked: {simulation.status()}")


@pytest.mark.parametrize(
    ("phase", "after"), [("performance", "shadow"), ("shadow", "canary"), ("canary", "watch")]
)
def test_a_stage_is_left_when_two_different_people_have_approved(start, phase, after):
    simulation = start(intent=approving(phase))
    simulation.run(phase)
    until_asked(simulation)
    for who in ("ana", "ben"):
        for _ in range(10):
            simulation.tick()
        assert simulation.phase == phase
        assert any("approval: " in one for one in simulation.status()["missing"])
        simulation.controller.act("digits", Act.APPROVE, who, "I have looked at it")
    simulation.tick()
    assert simulation.phase == after
    record = next(r for r in simulation.audit() if r["phase_to"] == after)
    assert [one["who"] for one in record["evidence"]["approvals"]] == ["ana", "ben"]
    approved = [r["who"] for r in simulation.audit() if r["action"] == "approve"]
    assert approved == ["ana", "ben"]


def test_nobody_approves_twice_nor_what_they_asked_for(start):
    simulation = start(intent=approving("shadow"))
    simulation.run("shadow")
    until_asked(simulation)
    with pytest.raises(ActRefused, match="asked for it"):
        simulation.controller.act("digits", Act.APPROVE, " File ", "mine")  # who brought the file
    simulation.controller.act("digits", Act.APPROVE, "ana", "looks good")
    with pytest.raises(ActRefused, match="another person"):
        simulation.controller.act("digits", Act.APPROVE, "Ana", "looks good")
    assert simulation.phase == "shadow"


def test_who_asked_for_a_challenger_cannot_hide_behind_another_change_of_the_file(start):
    (route,) = approving("shadow").routes
    simulation = start(intent=intent(replace(route, challengers=())))
    simulation.controller.adopt(intent(route, digest="d2"), "ana")
    more = (*route.challengers, variant("digits-3", 9003))
    simulation.controller.adopt(intent(replace(route, challengers=more), digest="d3"), "ben")
    simulation.run("shadow")
    until_asked(simulation)
    with pytest.raises(ActRefused, match="asked for it"):
        simulation.controller.act("digits", Act.APPROVE, "ana", "mine")
    simulation.controller.act("digits", Act.APPROVE, "ben", "not mine")


def test_who_moves_a_challenger_elsewhere_asks_for_it_too(start):
    simulation = start(intent=approving("shadow"))
    simulation.run("shadow")
    (route,) = approving("shadow").routes
    moved = replace(route, challengers=(variant("digits-2", 9999),))
    simulation.controller.adopt(intent(moved, digest="d2"), "ben")
    until_asked(simulation)
    for who in ("file", "ben"):
        with pytest.raises(ActRefused, match="asked for it"):
            simulation.controller.act("digits", Act.APPROVE, who, "mine")


def test_an_approval_is_of_checks_that_have_passed_and_says_what_is_missing(start):
    simulation = start(intent=approving("shadow"))
    simulation.run("shadow")
    with pytest.raises(ActRefused, match=r"Missing: .*pairs"):
        simulation.controller.act("digits", Act.APPROVE, "ana", "blind trust")
    with pytest.raises(ActRefused, match="nobody's approval"):
        start().controller.act("digits", Act.APPROVE, "ana", "for nothing")


def test_the_steps_of_a_canary_are_approved_as_a_whole(start):
    simulation = start(intent=approving("canary", by=1))
    simulation.run("canary")
    with pytest.raises(ActRefused, match="the last step"):
        simulation.controller.act("digits", Act.APPROVE, "ana", "early")
    until_asked(simulation)
    assert simulation.status()["step"] == 2


def test_waiting_for_people_has_the_stages_time_limit(start):
    simulation = start(intent=approving("shadow"))
    simulation.run("shadow")
    until_asked(simulation)
    simulation.clock.advance(4000.0)
    simulation.tick()
    assert simulation.phase == "rolled_back"


def test_guardrails_watch_while_people_are_waited_for(start):
    simulation = start(intent=approving("canary"))
    simulation.run("canary")
    until_asked(simulation)
    simulation.controller.act("digits", Act.APPROVE, "ana", "looks good")
    simulation.models = FAILING
    assert simulation.run("rolled_back", at_most=100) == "rolled_back"
    assert simulation.status()["approval"] is None


def test_approvals_survive_a_restart(start):
    simulation = start(intent=approving("canary"))
    simulation.run("canary")
    until_asked(simulation)
    simulation.controller.act("digits", Act.APPROVE, "ana", "looks good")
    simulation.restart()
    assert [one["who"] for one in simulation.status()["approval"]["given"]] == ["ana"]
    simulation.controller.act("digits", Act.APPROVE, "ben", "so it does")
    simulation.tick()
    assert simulation.phase == "watch"


# Break-glass.


def broken(start: Start, models: dict, glass_s: float | None, watch_s: float = 1e6) -> Simulation:
    """A challenger that was forced into production from its shadow."""
    stages = (*STAGES[:-1], replace(PRODUCTION, watch_s=watch_s))
    simulation = start(models=models, intent=intent(route_intent(stages=stages)))
    simulation.run("shadow")
    simulation.controller.act(
        "digits", Act.PROMOTE, "ana", "outage", break_glass=True, glass_s=glass_s
    )
    return simulation


def pass_s(simulation: Simulation, seconds: float) -> None:
    """Let time pass with a little traffic, which shows nothing."""
    for _ in range(int(seconds / 100.0)):
        simulation.clock.advance(99.5)
        simulation.tick(1)


def test_a_forced_promotion_ends_by_itself_and_the_old_champion_comes_back(start):
    simulation = broken(start, EQUAL, glass_s=None)
    pass_s(simulation, 3500.0)
    assert simulation.phase == "watch"
    pass_s(simulation, 200.0)
    last = simulation.audit()[-1]
    assert (last["action"], last["phase_to"]) == ("rollback", "rolled_back")
    assert "break-glass of ana ended after 3600 s" in last["because"]
    assert simulation.route.split == Split(champion="digits-1")


@pytest.mark.parametrize("is_held", [False, True])
def test_a_hold_or_a_restart_does_not_stretch_it(start, is_held):
    simulation = broken(start, EQUAL, glass_s=1000.0)
    if is_held:
        simulation.controller.act("digits", Act.HOLD, "eve", "wait")
    simulation.clock.advance(900.0)
    simulation.restart()
    simulation.clock.advance(150.0)
    simulation.tick(1)
    assert simulation.phase == "rolled_back"


def test_it_ends_in_time_although_the_disk_is_full(start):
    simulation = broken(start, EQUAL, glass_s=1000.0)
    simulation.connection.execute("PRAGMA query_only = ON")
    simulation.clock.advance(1100.0)
    with suppress(StoreError):  # whether something else was to be written
        simulation.controller.step()
    assert simulation.route.split == Split(champion="digits-1")
    simulation.connection.execute("PRAGMA query_only = OFF")


def test_it_may_be_renewed_by_name_and_each_time_for_a_day_at_most(start):
    simulation = broken(start, EQUAL, glass_s=1000.0)
    pass_s(simulation, 900.0)
    for too_long in (86_401.0, 0.0):
        with pytest.raises(ActRefused, match="24h"):
            simulation.controller.act(
                "digits", Act.PROMOTE, "ben", "still", break_glass=True, glass_s=too_long
            )
    with pytest.raises(ActRefused, match="Missing"):
        simulation.controller.act("digits", Act.PROMOTE, "ben", "still")
    simulation.controller.act(
        "digits", Act.PROMOTE, "ben", "still", break_glass=True, glass_s=2000.0
    )
    last = simulation.audit()[-1]
    assert (last["action"], last["who"]) == ("renew", "ben")
    assert [table.version for table in simulation.tables][-1] == last["table_to"]
    pass_s(simulation, 1900.0)
    assert simulation.phase == "watch"
    pass_s(simulation, 200.0)
    assert simulation.phase == "rolled_back"


def test_a_challenger_that_proves_itself_stays(start):
    simulation = broken(start, BETTER, glass_s=86_400.0, watch_s=30.0)
    assert simulation.status()["break_glass"]["who"] == "ana"
    simulation.run("promoted", "rolled_back", n=200)
    assert simulation.phase == "promoted"
    mend = next(r for r in simulation.audit() if r["action"] == "mend")
    assert mend["evidence"]["readings"]


def test_harm_ends_it_at_once(start):
    simulation = broken(start, FAILING, glass_s=86_400.0)
    assert simulation.run("rolled_back", at_most=200) == "rolled_back"


def test_a_promoted_challenger_is_not_promoted_again(start):
    simulation = start(models=BETTER)
    simulation.run("watch")
    with pytest.raises(ActRefused, match="no challenger to promote"):
        simulation.controller.act("digits", Act.PROMOTE, "ana", "again", break_glass=True)
