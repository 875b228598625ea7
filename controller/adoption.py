"""May this routing file be adopted, and what becomes of what is under way? Pure.

The file is intent, the effective champion is state. A file may not put a model into production
around its gates; everything else in it is taken over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.policy import Intent, RouteIntent, StageKind
from controller.rollout import Phase
from controller.store import RouteState


class IntentRefused(Exception):
    """The file asks for what it may not have; nothing was changed. The message says what to do."""

    status_hint = 409

    def __init__(self, because: str, *, route: str | None = None) -> None:
        super().__init__(because)
        self.route = route
        """The route that it is about; None when it is about the file as a whole."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What adopting a file does."""

    states: tuple[RouteState, ...]
    """Of every route in the file, in its order."""
    new: tuple[str, ...]
    """Routes that were not there."""
    withdrawn: tuple[str, ...]
    """Routes whose running challenger must be rolled back first."""
    removed: tuple[str, ...]
    """Routes that end."""


def reconcile(
    intent: Intent,
    states: Mapping[str, RouteState],
    *,
    serving: Mapping[str, str],
    hold_reason: str,
) -> Adoption:
    """Return what adopting ``intent`` does; IntentRefused if it may not be.

    ``serving`` names the champion of routes that routers are known to serve although their state
    is lost, and ``hold_reason`` why (empty: nothing was lost). Such a route keeps its champion and
    starts nothing until a person resumes it.
    """
    kept = []
    for route in intent.routes:
        _check_stages(route)
        state = states.get(route.name)
        if state is None:
            kept.append(_new_state(route, serving.get(route.name), hold_reason))
        else:
            _check_champion(route, state)
            kept.append(_carried_over(route, state))
    declared = {route.name for route in intent.routes}
    return Adoption(
        states=tuple(kept),
        new=tuple(state.name for state in kept if state.name not in states),
        withdrawn=tuple(_withdrawn(intent, states)),
        removed=tuple(name for name in states if name not in declared),
    )


def names_of(route: RouteIntent) -> tuple[str, ...]:
    """Return the names of the variants that the file declares, the champion first."""
    return (route.champion.name, *(challenger.name for challenger in route.challengers))


def may_answer(route: RouteIntent) -> tuple[str, ...]:
    """Return the names of those who may answer users: a broken champion's may be the standby's."""
    return (*names_of(route), *(() if route.standby is None else (route.standby.name,)))


def next_challenger(route: RouteIntent, state: RouteState) -> str | None:
    """Return whose turn it is; None when every challenger had its journey."""
    if not state.is_proven:  # whoever has not been tried may be the first version
        return next((name for name in names_of(route) if name not in state.tried), None)
    for challenger in route.challengers:
        if challenger.name != state.champion and challenger.name not in state.tried:
            return challenger.name
    return None


def _check_stages(route: RouteIntent) -> None:
    if not route.has_experiment:
        return
    canary = [stage for stage in route.stages if stage.kind is StageKind.CANARY]
    if any(not stage.shares_buckets for stage in canary):
        raise IntentRefused(
            f"route {route.name!r}: its canary stage has no shares", route=route.name
        )
    if not canary and all(stage.kind is not StageKind.SHADOW for stage in route.stages):
        raise IntentRefused(
            f"route {route.name!r} has challengers and neither a shadow nor a canary stage: "
            "there would be no evidence to judge them by",
            route=route.name,
        )


def _check_champion(route: RouteIntent, state: RouteState) -> None:
    declared = route.champion.name
    if not state.is_proven:
        if route.cold_start is not None:
            return  # nobody is champion, so the file may say who is to be the first
        raise IntentRefused(
            f"route {route.name!r}: the file makes {declared!r} champion, but nothing has shown "
            "that it may be: the route began without one. Leave `cold_start` in the file until "
            "its checks have passed, or have a named person put it there with "
            'POST /v1/routes/NAME/promote with "break_glass": true',
            route=route.name,
        )
    if declared not in (state.champion, state.declared_champion):
        raise IntentRefused(
            f"route {route.name!r}: the file makes {declared!r} champion, but {state.champion!r} "
            f"answers its users and nothing has shown that {declared!r} may. "
            f"Declare {declared!r} under challengers, or have a named person put it there with "
            'POST /v1/routes/NAME/promote with "break_glass": true',
            route=route.name,
        )
    if state.champion not in may_answer(route):
        raise IntentRefused(
            f"route {route.name!r}: {state.champion!r} answers its users and the file no longer "
            f"declares it. Write `champion: {state.champion}`, or roll it back first",
            route=route.name,
        )


def _new_state(route: RouteIntent, serving: str | None, hold_reason: str) -> RouteState:
    champion = serving if serving in may_answer(route) else None
    return RouteState(
        name=route.name,
        declared_champion=route.champion.name,
        champion=champion or route.champion.name,
        is_proven=route.cold_start is None or champion is not None,
        hold_reason=hold_reason,
    )


def _carried_over(route: RouteIntent, state: RouteState) -> RouteState:
    """A name that left the file is forgotten: to declare it again is to ask for another try."""
    names = names_of(route)
    previous, rollout = state.previous_champion, state.rollout
    if rollout is not None and rollout.phase is Phase.QUEUED:
        if rollout.held_by is None or rollout.challenger not in names:
            rollout = None  # nothing has begun: whose turn it is is for the new file to say
    is_left = not state.is_proven and state.champion not in names
    return replace(
        state,
        rollout=rollout,
        champion=route.champion.name if is_left else state.champion,
        declared_champion=route.champion.name,
        tried=tuple(name for name in state.tried if name in names),
        previous_champion=previous if previous in names else None,
    )


def _withdrawn(intent: Intent, states: Mapping[str, RouteState]) -> list[str]:
    declared = {route.name: names_of(route) for route in intent.routes}
    return [
        state.name
        for state in states.values()
        if state.rollout is not None
        and state.rollout.is_running
        and state.rollout.phase is not Phase.QUEUED
        and state.rollout.challenger not in declared.get(state.name, ())
    ]
