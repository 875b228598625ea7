"""Where a model version stands, told from the rollouts of the variants that run it. Pure.

A version has no stage of its own that somebody could set: it is where its variants are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.rollout import Phase, Rollout
from controller.store import RouteState

CHAMPION = "champion"
CHALLENGER = "challenger"
ALIASES = (CHAMPION, CHALLENGER)

REGISTERED = "registered"
PRODUCTION = "production"
COLD_START = "cold start"
ARCHIVED = "archived"
ROLLED_BACK = "rolled back"

_PHASES = {
    Phase.QUEUED: REGISTERED,
    Phase.COLD_START: COLD_START,
    Phase.WATCH: PRODUCTION,
    Phase.PROMOTED: PRODUCTION,
    Phase.ROLLED_BACK: ROLLED_BACK,
}
"""Stages of phases that are called otherwise; a phase of a gate or of traffic is its own stage."""

_RANK = (PRODUCTION, COLD_START, "canary", "shadow", "security", "performance", "functional")
"""Of a version that runs on several routes the furthest stage is told."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version on one route."""

    route: str
    variant: str
    model: str
    """NAME:VERSION."""
    stage: str
    """registered, functional, performance, security, shadow, canary, cold start, production,
    archived or rolled back."""
    alias: str | None
    """champion, challenger, or None."""


def deployments(
    states: Mapping[str, RouteState], links: Mapping[tuple[str, str], str]
) -> list[Deployment]:
    """Return where each version stands on each route.

    ``links`` is NAME:VERSION by route and variant, of all routing files so far.
    """
    found = []
    for (route, variant), model in sorted(links.items()):
        state = states.get(route)
        stage, alias = (ARCHIVED, None) if state is None else _standing(state, variant)
        found.append(Deployment(route, variant, model, stage, alias))
    return found


def stage_of(found: Iterable[Deployment]) -> str:
    """Return the one stage of a version: the furthest of its deployments, else the last word."""
    stages = {one.stage for one in found}
    for stage in (*_RANK, ARCHIVED, ROLLED_BACK):
        if stage in stages:
            return stage
    return REGISTERED


def aliases_of(found: Iterable[Deployment]) -> dict[str, list[str]]:
    """Return the routes of each alias that a version has."""
    aliases: dict[str, list[str]] = {}
    for one in found:
        if one.alias is not None:
            aliases.setdefault(one.alias, []).append(one.route)
    return aliases


def resolve(text: str, found: Iterable[Deployment]) -> str | None:
    """Return NAME:VERSION of ``NAME@champion``; None if no version, or more than one, has it.

    Anything without ``@`` is returned as it is.
    """
    name, at, alias = text.partition("@")
    if not at:
        return text
    models = {one.model for one in found if one.alias == alias}
    matching = {model for model in models if model.partition(":")[0] == name}
    return matching.pop() if len(matching) == 1 else None


def _standing(state: RouteState, variant: str) -> tuple[str, str | None]:
    rollout = state.rollout
    if rollout is not None and rollout.challenger == variant and _is_current(rollout, state):
        is_champion = rollout.phase in (Phase.WATCH, Phase.PROMOTED)
        alias = CHAMPION if is_champion else CHALLENGER if rollout.is_running else None
        return _PHASES.get(rollout.phase, rollout.phase.value), alias
    if variant == state.champion:
        is_replaced = rollout is not None and rollout.phase is Phase.WATCH
        return (ARCHIVED, None) if is_replaced else (PRODUCTION, CHAMPION)
    if variant == state.previous_champion:
        return ARCHIVED, None
    for ending in reversed(state.history):
        if ending.challenger == variant:
            return (ROLLED_BACK if ending.phase == Phase.ROLLED_BACK.value else ARCHIVED), None
    return (ARCHIVED if variant in state.tried else REGISTERED), None


def _is_current(rollout: Rollout, state: RouteState) -> bool:
    """Whether the rollout still says it: not once its promotion is history itself."""
    return rollout.phase is not Phase.PROMOTED or state.champion == rollout.challenger
