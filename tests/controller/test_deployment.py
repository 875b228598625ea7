from dataclasses import replace

import pytest

from controller.deployment import (
    Deployment,
    aliases_of,
    deployments,
    resolve,
    stage_of,
)
from controller.rollout import Phase, Rollout
from controller.store import Finished, RouteState

LINKS = {("fraud", "fraud-6"): "fraud:6", ("fraud", "fraud-7"): "fraud:7"}
IDLE = RouteState(name="fraud", declared_champion="fraud-6", champion="fraud-6")


def at(phase: Phase, **changes: object) -> RouteState:
    rollout = Rollout(challenger="fraud-7", champion="fraud-6", experiment="e", phase=phase)
    return replace(IDLE, rollout=rollout, **changes)


def standing(state: RouteState) -> list[tuple[str, str | None]]:
    """Stage and alias of fraud:6, then of fraud:7."""
    return [(one.stage, one.alias) for one in deployments({"fraud": state}, LINKS)]


@pytest.mark.parametrize(
    ("state", "six", "seven"),
    [
        (IDLE, ("production", "champion"), ("registered", None)),
        (at(Phase.QUEUED), ("production", "champion"), ("registered", "challenger")),
        (at(Phase.FUNCTIONAL), ("production", "champion"), ("functional", "challenger")),
        (at(Phase.SHADOW), ("production", "champion"), ("shadow", "challenger")),
        (at(Phase.CANARY), ("production", "champion"), ("canary", "challenger")),
        (at(Phase.WATCH), ("archived", None), ("production", "champion")),
        (
            at(Phase.PROMOTED, champion="fraud-7", previous_champion="fraud-6"),
            ("archived", None),
            ("production", "champion"),
        ),
        (at(Phase.ROLLED_BACK), ("production", "champion"), ("rolled back", None)),
    ],
)
def test_stage_and_alias_are_those_of_the_rollout(
    state: RouteState, six: tuple[str, str | None], seven: tuple[str, str | None]
) -> None:
    assert standing(state) == [six, seven]


def test_history_speaks_when_the_rollout_is_another_ones() -> None:
    ended = [
        Finished("fraud-7", "rolled_back", 1.0, "slow"),
        Finished("fraud-6", "promoted", 2, ""),
    ]
    state = replace(IDLE, champion="fraud-8", history=tuple(ended))
    assert standing(state) == [("archived", None), ("rolled back", None)]
    assert standing(replace(state, history=(), tried=("fraud-7",)))[1] == ("archived", None)


def test_route_that_is_gone_leaves_archived_versions() -> None:
    assert [one.stage for one in deployments({}, LINKS)] == ["archived", "archived"]


def test_every_phase_has_a_stage_that_the_documents_name() -> None:
    named = {
        *("registered", "functional", "performance", "security", "shadow", "canary"),
        *("cold start", "production", "archived", "rolled back"),
    }
    for phase in Phase:
        assert standing(at(phase))[1][0] in named, phase


def deployment(route: str, model: str, stage: str, alias: str | None = None) -> Deployment:
    return Deployment(route, "v", model, stage, alias)


def test_version_on_several_routes_stands_where_it_is_furthest() -> None:
    here, there = deployment("a", "m:1", "rolled back"), deployment("b", "m:1", "shadow", "x")
    assert stage_of([here, there]) == "shadow"
    assert stage_of([here]) == "rolled back" and stage_of([]) == "registered"
    assert aliases_of([here, there]) == {"x": ["b"]}


def test_alias_names_one_version_or_none() -> None:
    found = [
        deployment("a", "fraud:7", "production", "champion"),
        deployment("b", "rank:1", "production", "champion"),
        deployment("c", "fraud:8", "shadow", "challenger"),
    ]
    assert resolve("fraud@champion", found) == "fraud:7"
    assert resolve("fraud@challenger", found) == "fraud:8"
    assert resolve("fraud:9", found) == "fraud:9"
    assert resolve("rank@challenger", found) is None
    found.append(deployment("d", "fraud:6", "production", "champion"))
    assert resolve("fraud@champion", found) is None


def test_a_first_version_that_serves_everybody_is_further_than_a_canary() -> None:
    both = [deployment("a", "fraud:7", "canary"), deployment("b", "fraud:7", "cold start")]
    assert stage_of(both) == "cold start"
