"""A broken champion: the fix gets through, and nobody is rolled back to it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.act import Act, ActRefused
from controller.gates.report import GateReport
from controller.landing import ASK_EVERY_S, BELIEVE_S
from controller.policy import BrokenSpec, RouteIntent
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    METRICS,
    PRODUCTION,
    intent,
    route_intent,
    variant,
)
from tests.controller.simulation import Model, Simulation

Start = Callable[..., Simulation]

BROKEN = BrokenSpec(max_failed=0.2, for_s=20.0)
DEAD, FINE = Model(0.8, error_rate=0.95), Model(0.8)
FIX = {"digits-1": DEAD, "digits-2": FINE}
NO_FIX = {"digits-1": DEAD, "digits-2": Model(0.8, error_rate=0.999), "rules": FINE}


def declared(spec: BrokenSpec | None = BROKEN, **parts: object) -> RouteIntent:
    canary = replace(CANARY, for_at_least_s=3600.0, at_most_s=86_400.0)
    route = route_intent(stages=(FUNCTIONAL, canary, PRODUCTION), metrics=METRICS)
    return replace(route, champion_broken=spec, **parts)


def in_canary(start: Start, route: RouteIntent, **parts: object) -> Simulation:
    simulation = start(intent=intent(route), **parts)
    simulation.run("canary", n=0)
    return simulation


def answer(simulation: Simulation, passed: bool) -> list[str]:
    """Answer whoever is asked whether it could land users; return their names."""
    asked = []
    for task in simulation.controller.pending_gates():
        asked.append(task.challenger.name)
        report = GateReport(task.challenger.name, passed, "asked")
        simulation.controller.report(task, report)
    return asked


def broken(start: Start, **parts: object) -> Simulation:
    """Return a canary whose champion was shown to be broken and whose challenger looks well."""
    simulation = in_canary(start, declared(**parts), models=dict(FIX))
    simulation.functional_ok = False  # nobody passes the gate unless a test says so
    for _ in range(6):
        simulation.tick()
    assert simulation.status()["health"]["champion"]["is_broken"]
    simulation.clock.advance(ASK_EVERY_S)  # what was asked so far was answered with no
    return simulation


def test_fix_gets_past_a_broken_champion_and_nobody_is_held_back_with_it(start: Start) -> None:
    simulation = in_canary(start, declared(), models=FIX)
    simulation.run("watch")
    record = next(r for r in simulation.audit() if r["action"] == "promote")
    assert "the champion is broken" in record["because"]
    assert "no comparison is asked for" in record["because"] and "healthy" in record["because"]
    assert record["evidence"]["health"]["champion"]["is_broken"]
    assert record["share_to"] == 1.0  # the file holds 1 % back
    simulation.run("promoted")
    assert simulation.status()["champion"] == "digits-2"


def test_without_a_declared_limit_it_waits_for_the_comparison(start: Start) -> None:
    simulation = in_canary(start, declared(None), models=FIX)
    for _ in range(150):
        simulation.tick()
    assert (simulation.phase, simulation.status()["health"]) == ("canary", {})


def test_path_opens_only_when_the_champion_has_been_broken_for_the_declared_time(
    start: Start,
) -> None:
    simulation = in_canary(start, declared(replace(BROKEN, for_s=3000.0)), models=FIX)
    for _ in range(150):
        simulation.tick()
    status = simulation.status()
    assert status["health"]["champion"]["is_broken"] and status["phase"] == "canary"
    assert any("time: " in one for one in status["missing"])


def test_challenger_that_fails_as_often_does_not_pass(start: Start) -> None:
    both = {"digits-1": DEAD, "digits-2": Model(0.8, error_rate=0.3)}
    simulation = in_canary(start, declared(), models=both)
    for _ in range(150):
        simulation.tick()
    assert "promote" not in simulation.actions()


def test_rollback_from_a_broken_champion_goes_to_the_standby_that_answers(start: Start) -> None:
    simulation = broken(start, standby=variant("rules", 9009))
    assert answer(simulation, True) == ["rules"]
    simulation.controller.eject("digits", "digits-2", 5)
    status = simulation.status()
    assert (status["champion"], status["phase"]) == ("rules", "rolled_back")
    assert "digits-1, the champion, is broken" in status["because"]
    assert "so rules answers users" in simulation.audit()[-1]["because"]
    route = simulation.route
    assert (route.split.champion, route.standby) == ("rules", None)
    simulation.restart()
    assert simulation.route.split.champion == "rules"


def test_without_anybody_healthy_a_rollback_holds_and_says_so(start: Start) -> None:
    simulation = broken(start)
    simulation.controller.eject("digits", "digits-2", 5)
    status = simulation.status()
    assert (status["phase"], status["held_by"]) == ("canary", "policy")
    assert "no standby or previous champion" in status["hold_reason"]
    simulation.controller.eject("digits", "digits-2", 5)
    assert simulation.actions().count("hold") == 1


def test_rollback_waits_for_a_candidate_and_goes_as_soon_as_it_answers(start: Start) -> None:
    simulation = in_canary(
        start, declared(standby=variant("rules", 9009)), models=dict(NO_FIX), functional_ok=True
    )
    simulation.functional_ok = False
    for _ in range(60):
        simulation.tick()
    status = simulation.status()
    assert (status["phase"], status["held_by"]) == ("canary", "policy")
    assert status["landings"] == {"rules": "not healthy: asked"}
    simulation.functional_ok = True
    simulation.run("rolled_back")
    assert simulation.status()["champion"] == "rules"


def test_candidates_are_asked_again_and_again_and_an_old_answer_does_not_count(
    start: Start,
) -> None:
    simulation = broken(start, standby=variant("rules", 9009))
    assert answer(simulation, True) == ["rules"]
    assert answer(simulation, True) == []
    simulation.clock.advance(ASK_EVERY_S)
    assert [task.challenger.name for task in simulation.controller.pending_gates()] == ["rules"]
    simulation.clock.advance(BELIEVE_S)
    simulation.controller.eject("digits", "digits-2", 5)
    assert simulation.status()["held_by"] == "policy"


def test_previous_champion_comes_before_the_standby(start: Start) -> None:
    route = declared(standby=variant("rules", 9009), challengers=(variant("digits-2", 9002),))
    simulation = start(intent=intent(route), models=dict(FIX) | {"digits-3": FINE})
    simulation.run("promoted")
    route = replace(
        route,
        challengers=(variant("digits-2", 9002), variant("digits-3", 9003)),
    )
    simulation.models = {"digits-1": FINE, "digits-2": DEAD, "digits-3": FINE}
    simulation.controller.adopt(intent(route, digest="d2"), "file")
    simulation.run("canary")
    simulation.functional_ok = False
    for _ in range(6):
        simulation.tick()
    simulation.clock.advance(ASK_EVERY_S)
    assert answer(simulation, True) == ["digits-1", "rules"]
    simulation.controller.eject("digits", "digits-3", 5)
    assert simulation.status()["champion"] == "digits-1"


def test_a_person_is_refused_what_the_controller_may_not_do_but_for_break_glass(
    start: Start,
) -> None:
    simulation = broken(start)
    with pytest.raises(ActRefused, match=r"is broken .* no standby"):
        simulation.controller.act("digits", Act.ROLLBACK, "ana", "back")
    assert simulation.audit()[-1]["action"] == "refuse"
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "back", break_glass=True)
    assert simulation.status()["champion"] == "digits-1"
    assert simulation.audit()[-1]["because"].startswith("break-glass: back; digits-1")


def test_fix_that_was_promoted_is_not_rolled_back_to_what_it_replaced(start: Start) -> None:
    simulation = in_canary(start, declared(), models=FIX)
    simulation.run("promoted")
    with pytest.raises(ActRefused, match="digits-1 was broken when digits-2 took its place"):
        simulation.controller.act("digits", Act.ROLLBACK, "ana", "back")


def test_fix_that_breaks_in_its_watch_is_taken_back_if_there_is_somewhere_to_go(
    start: Start,
) -> None:
    simulation = in_canary(start, declared(standby=variant("rules", 9009)), models=dict(FIX))
    simulation.run("watch")
    simulation.models["digits-2"] = DEAD
    simulation.run("rolled_back")
    assert simulation.status()["champion"] == "rules"


def test_champion_that_recovers_is_compared_with_again(start: Start) -> None:
    simulation = broken(start)
    simulation.models["digits-1"] = FINE
    for _ in range(40):
        simulation.tick()
    assert not simulation.status()["health"]["champion"]["is_broken"]
    simulation.controller.eject("digits", "digits-2", 5)
    assert simulation.status()["champion"] == "digits-1"
    assert simulation.phase == "rolled_back"


def test_file_that_drops_the_fix_gives_the_users_back_and_says_to_whom(start: Start) -> None:
    simulation = broken(start)
    simulation.controller.adopt(intent(declared(challengers=()), digest="d2"), "file")
    assert simulation.status()["champion"] == "digits-1"
    record = next(r for r in simulation.audit() if r["action"] == "rollback")
    assert (
        "no longer declares it; the champion, which has the users again, is broken"
        in (record["because"])
    )
