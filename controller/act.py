"""What a person may ask for: with a name, a reason, and a record of both."""

import enum
from dataclasses import replace

import structlog

from controller.adoption import names_of
from controller.intake import Intake
from controller.landing import Landings
from controller.mover import Mover
from controller.rollout import TRANSITIONS, Event, Phase, hold, resume
from controller.store import RouteState, StoreError

log = structlog.get_logger(__name__)


class Act(enum.Enum):
    """What may be asked."""

    HOLD = "hold"
    RESUME = "resume"
    ROLLBACK = "rollback"
    PROMOTE = "promote"


class ActRefused(Exception):
    """A person asked for what may not be had now; nothing was changed. The message says why."""

    status_hint = 409


class UnknownRoute(ActRefused):
    """There is no route of that name."""

    status_hint = 404


def perform(
    mover: Mover,
    intake: Intake,
    landings: Landings,
    route: str,
    act: Act,
    *,
    who: str,
    reason: str,
    break_glass: bool,
) -> None:
    """Do ``act`` and record it; ActRefused when it may not be, StoreError when it cannot be."""
    state = mover.states.get(route)
    if state is None:
        raise UnknownRoute(f"there is no route {route!r}")
    if not who.strip() or not reason.strip():
        raise ActRefused("an act needs a name and a reason")
    match act:
        case Act.HOLD:
            _hold(mover, state, who, reason)
        case Act.RESUME:
            _resume(mover, state, who, reason)
        case Act.ROLLBACK:
            _order_back(mover, intake, landings, state, who, reason, break_glass=break_glass)
        case Act.PROMOTE:
            _force(mover, intake, state, who, reason, break_glass=break_glass)


def _hold(mover: Mover, state: RouteState, who: str, reason: str) -> None:
    rollout = state.rollout
    if rollout is None or not rollout.is_running:
        raise ActRefused(f"route {state.name!r} has no rollout to hold")
    held = replace(state, rollout=hold(rollout, by=who, reason=reason))
    mover.annotate(held, who=who, action="hold", because=reason)


def _resume(mover: Mover, state: RouteState, who: str, reason: str) -> None:
    rollout = state.rollout
    is_held = rollout is not None and rollout.held_by is not None
    if not is_held and not state.hold_reason:
        raise ActRefused(f"route {state.name!r} is not held")
    free = replace(state, rollout=resume(rollout) if rollout else None, hold_reason="")
    mover.annotate(free, who=who, action="resume", because=reason)


def _order_back(
    mover: Mover,
    intake: Intake,
    landings: Landings,
    state: RouteState,
    who: str,
    reason: str,
    *,
    break_glass: bool,
) -> None:
    rollout = state.rollout
    if rollout is None or Event.ORDERED not in TRANSITIONS[rollout.phase]:
        raise ActRefused(f"{state.champion!r} answers everybody: there is nothing to roll back")
    if rollout.is_first and rollout.phase is Phase.PROMOTED:
        raise ActRefused(f"{state.champion!r} is the first champion: there is nobody before it")
    if not rollout.is_first and rollout.champion not in names_of(mover.serving()[state.name]):
        raise ActRefused(f"{rollout.champion!r} is no longer in the routing file: declare it first")
    evidence = intake.evidence(state.name, now_s=mover.wall_s())
    landing = landings.choose(state, rollout, evidence)
    if landing.champion is None and not break_glass:
        because = (
            f'{landing.because}; a named person may go back all the same with "break_glass": true'
        )
        _record_refusal(mover, state, who, f"{reason} (refused: {because})")
        raise ActRefused(because)
    told = f"{reason}; {landing.because}" if landing.because else reason
    mover.move(
        state.name,
        Event.ORDERED,
        who=who,
        because=told if landing.champion is not None else f"break-glass: {told}",
        evidence=evidence,
        land_on=landing.champion,
    )


def _force(
    mover: Mover, intake: Intake, state: RouteState, who: str, reason: str, *, break_glass: bool
) -> None:
    rollout = state.rollout
    event = Event.INSTALLED if rollout is not None and rollout.is_first else Event.FORCED
    if rollout is None or event not in TRANSITIONS[rollout.phase]:
        raise ActRefused(f"route {state.name!r} has no challenger to promote")
    if not break_glass:
        because = (
            f"{rollout.challenger!r} is promoted when its checks have passed, not by hand; "
            'a named person may go around them with "break_glass": true, on the record for ever'
        )
        _record_refusal(mover, state, who, f"{reason} (refused: {because})")
        raise ActRefused(because)
    evidence = intake.evidence(state.name, now_s=mover.wall_s())
    because = f"break-glass: {reason}"
    mover.move(state.name, event, who=who, because=because, evidence=evidence)


def _record_refusal(mover: Mover, state: RouteState, who: str, because: str) -> None:
    try:
        mover.annotate(state, who=who, action="refuse", because=because)
    except StoreError as exc:
        log.error("refusal_not_recorded", error=str(exc))
