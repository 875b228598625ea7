from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.controller import IntentRefused
from router.table import BUCKETS
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    PRODUCTION,
    SHADOW,
    intent,
    route_intent,
)
from tests.controller.simulation import BETTER, WORSE, Model, Simulation

Start = Callable[..., Simulation]


def test_a_route_without_challengers_is_served_by_its_champion(start):
    simulation = start(intent=intent(route_intent(challengers=(), stages=())))
    simulation.tick()
    assert simulation.is_champion_only
    assert (simulation.phase, simulation.actions()) == (None, ["adopt"])


def test_the_same_file_again_changes_nothing(start):
    simulation = start()
    simulation.run("canary")
    before = (len(simulation.audit()), len(simulation.tables), simulation.status()["experiment"])
    for _ in range(1000):
        simulation.controller.adopt(simulation.intent, "file")
    after = (len(simulation.audit()), len(simulation.tables), simulation.status()["experiment"])
    assert after == before


def test_a_running_rollout_survives_a_changed_file(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    experiment = simulation.status()["experiment"]
    steeper = (FUNCTIONAL, SHADOW, replace(CANARY, shares_buckets=(9000,)), PRODUCTION)
    simulation.controller.adopt(intent(route_intent(stages=steeper), digest="d2"), "ana")
    status = simulation.status()
    assert (status["phase"], status["experiment"]) == ("canary", experiment)
    assert status["share"] == CANARY.shares_buckets[status["step"]] / BUCKETS
    assert simulation.audit()[-1]["action"] == "reload"
    assert simulation.audit()[-1]["who"] == "ana"
    simulation.run("promoted")
    assert 9000 not in [t.routes[0].split.challenger_buckets for t in simulation.tables]


def test_a_new_address_reaches_the_routers_at_once(start):
    simulation = start()
    simulation.run("shadow")
    route = route_intent()
    moved = replace(route, champion=type(route.champion)(name="digits-1", host="::1", port=7))
    simulation.controller.adopt(intent(moved, digest="d2"), "file")
    assert simulation.route.variant("digits-1").port == 7
    assert simulation.phase == "shadow"


def test_a_challenger_that_left_the_file_is_rolled_back_first(start):
    simulation = start()
    simulation.run("canary")
    later = intent(route_intent(challengers=("digits-3",)), digest="d2")
    simulation.models["digits-3"] = Model()
    simulation.controller.adopt(later, "file")
    assert simulation.is_champion_only
    assert simulation.actions()[-2:] == ["rollback", "reload"]
    simulation.tick()
    assert simulation.status()["challenger"] == "digits-3"


def test_a_name_that_left_the_file_and_came_back_gets_another_try(start):
    simulation = start(models=WORSE)
    simulation.run("rolled_back")
    experiment = simulation.status()["experiment"]
    simulation.controller.adopt(intent(route_intent(challengers=()), digest="d2"), "file")
    simulation.controller.adopt(intent(digest="d3"), "file")
    simulation.run("shadow")
    assert simulation.status()["experiment"] != experiment


def test_a_removed_route_stops(start):
    simulation = start()
    simulation.run("canary")
    other = intent(route_intent(name="other", path="/other"), digest="d2")
    simulation.controller.adopt(other, "file")
    assert [route.name for route in simulation.published.routes] == ["other"]
    assert simulation.actions()[-3:] == ["rollback", "adopt", "reload"]
    simulation.controller.step()


def test_an_added_route_leaves_the_others_alone(start):
    simulation = start()
    simulation.run("canary")
    both = intent(
        route_intent(name="other", path="/other", challengers=()), route_intent(), digest="d2"
    )
    simulation.controller.adopt(both, "file")
    assert [route["phase"] for route in simulation.controller.status()["routes"]] == [
        None,
        "canary",
    ]


@pytest.mark.parametrize("phase", ["shadow", "watch", "rolled_back"])
def test_a_file_cannot_make_a_challenger_champion(start, phase):
    simulation = start(models=WORSE if phase == "rolled_back" else BETTER)
    simulation.run(phase)
    before = (simulation.published, simulation.phase)
    around = intent(route_intent(champion="digits-2", challengers=()), digest="d2")
    for _ in range(2):
        with pytest.raises(IntentRefused, match="break_glass"):
            simulation.controller.adopt(around, "eve")
    assert (simulation.published, simulation.phase) == before
    assert simulation.controller.status()["config_digest"] == "d1"
    refusals = [r for r in simulation.audit() if r["action"] == "refuse"]
    assert [r["who"] for r in refusals] == ["eve"]


def test_a_promoted_champion_may_be_written_into_the_file(start):
    simulation = start(models=BETTER | {"digits-3": Model(0.1)})
    simulation.run("promoted")
    tidy = intent(route_intent(champion="digits-2", challengers=("digits-3",)), digest="d2")
    simulation.controller.adopt(tidy, "file")
    simulation.run("shadow")
    assert simulation.route.split.champion == "digits-2"
    assert simulation.status()["challenger"] == "digits-3"


def test_an_old_file_keeps_the_promoted_champion(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    simulation.restart()
    simulation.tick()
    assert simulation.route.split.champion == "digits-2"
    assert simulation.phase == "promoted"


def test_a_file_without_the_effective_champion_is_refused(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    without = intent(route_intent(challengers=("digits-3",)), digest="d2")
    with pytest.raises(IntentRefused, match="champion: digits-2"):
        simulation.controller.adopt(without, "file")


def test_a_file_with_two_routes_for_the_same_requests_is_refused(start):
    simulation = start()
    twins = intent(route_intent(), route_intent(name="other"), digest="d2")
    with pytest.raises(IntentRefused, match="same requests"):
        simulation.controller.adopt(twins, "file")
