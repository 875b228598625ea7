"""What a person may ask for: with a name, a reason, and a record of both."""

import enum
from dataclasses import dataclass, replace

import structlog

from controller.adoption import names_of
from controller.consent import DEFAULT_GLASS_S, MAX_GLASS_S, Approval, Glass, refusal
from controller.landing import Landing
from controller.missing import Standing, asked_of, missing_of, unmet
from controller.mover import Mover
from controller.rollout import TRANSITIONS, Event, Phase, Rollout, hold, resume
from controller.store import RouteState, StoreError
from evaluator.evidence import Evidence

log = structlog.get_logger(__name__)


class Act(enum.Enum):
    """What may be asked."""

    HOLD = "hold"
    RESUME = "resume"
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    APPROVE = "approve"


class ActRefused(Exception):
    """A person asked for what may not be had now; nothing was changed. The message says why."""

    status_hint = 409


class UnknownRoute(ActRefused):
    """There is no route of that name."""

    status_hint = 404


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks, and with what words."""

    act: Act
    who: str
    reason: str
    break_glass: bool = False
    glass_s: float | None = None
    """How long a promotion around the gates may last; None: the default."""


def perform(
    mover: Mover,
    standing: Standing,
    evidence: Evidence | None,
    asked: Asked,
    landing: Landing | None = None,
) -> None:
    """Do what is asked and record it; ActRefused when it may not be, StoreError when it cannot be.

    ``standing`` and ``evidence`` are those of the route now, ``landing`` says where a rollback
    goes; None: there is no rollout.
    """
    if not asked.who.strip() or not asked.reason.strip():
        raise ActRefused("an act needs a name and a reason")
    state = standing.state
    match asked.act:
        case Act.HOLD:
            _hold(mover, state, asked)
        case Act.RESUME:
            _resume(mover, state, asked)
        case Act.ROLLBACK:
            _order_back(mover, state, evidence, asked, landing)
        case Act.PROMOTE:
            _promote(mover, standing, evidence, asked)
        case Act.APPROVE:
            _approve(mover, standing, evidence, asked)


def _hold(mover: Mover, state: RouteState, asked: Asked) -> None:
    rollout = state.rollout
    if rollout is None or not rollout.is_running:
        raise ActRefused(f"route {state.name!r} has no rollout to hold")
    held = replace(state, rollout=hold(rollout, by=asked.who, reason=asked.reason))
    mover.annotate(held, who=asked.who, action="hold", because=asked.reason)


def _resume(mover: Mover, state: RouteState, asked: Asked) -> None:
    rollout = state.rollout
    is_held = rollout is not None and rollout.held_by is not None
    if not is_held and not state.hold_reason:
        raise ActRefused(f"route {state.name!r} is not held")
    free = replace(state, rollout=resume(rollout) if rollout else None, hold_reason="")
    mover.annotate(free, who=asked.who, action="resume", because=asked.reason)


def _order_back(
    mover: Mover,
    state: RouteState,
    evidence: Evidence | None,
    asked: Asked,
    landing: Landing | None,
) -> None:
    rollout = state.rollout
    if rollout is None or Event.ORDERED not in TRANSITIONS[rollout.phase]:
        raise ActRefused(f"{state.champion!r} answers everybody: there is nothing to roll back")
    if rollout.is_first and rollout.phase is Phase.PROMOTED:
        raise ActRefused(f"{state.champion!r} is the first champion: there is nobody before it")
    if not rollout.is_first and rollout.champion not in names_of(mover.serving()[state.name]):
        raise ActRefused(f"{rollout.champion!r} is no longer in the routing file: declare it first")
    if landing is None:
        raise AssertionError("there is a rollout, so there is somewhere to go back to, or nobody")
    if landing.champion is None and not asked.break_glass:
        because = (
            f'{landing.because}; a named person may go back all the same with "break_glass": true'
        )
        _record_refusal(mover, state, asked.who, f"{asked.reason} (refused: {because})", ())
        raise ActRefused(because)
    told = f"{asked.reason}; {landing.because}" if landing.because else asked.reason
    mover.move(
        state.name,
        Event.ORDERED,
        who=asked.who,
        because=told if landing.champion is not None else f"break-glass: {told}",
        evidence=evidence,
        land_on=landing.champion,
    )


def _promote(mover: Mover, standing: Standing, evidence: Evidence | None, asked: Asked) -> None:
    """Refuse, unless the glass is broken: then promote for a time, or renew what was forced."""
    state, rollout = standing.state, standing.state.rollout
    is_forced = rollout is not None and rollout.glass is not None
    event = Event.INSTALLED if rollout is not None and rollout.is_first else Event.FORCED
    if rollout is None or not (is_forced or event in TRANSITIONS[rollout.phase]):
        raise ActRefused(f"route {state.name!r} has no challenger to promote")
    lacking = missing_of(standing)
    if not asked.break_glass:
        because = (
            f"{rollout.challenger!r} is promoted when its checks have passed, not by hand. "
            f"Missing: {'; '.join(lacking) or 'nothing, it is about to move'}. "
            'A named person may go around that with "break_glass": true, for a time, and on the '
            "record for ever"
        )
        _record_refusal(mover, state, asked.who, f"{asked.reason} (refused: {because})", lacking)
        raise ActRefused(because)
    if rollout.is_first:  # for good: there is nobody to go back to when a time would end
        _install(mover, state, evidence, asked, lacking)
        return
    for_s = DEFAULT_GLASS_S if asked.glass_s is None else asked.glass_s
    if not 0.0 < for_s <= MAX_GLASS_S:
        raise ActRefused(f"break-glass lasts at most 24h, and is then renewed; got {for_s:g} s")
    because = f"break-glass for {for_s:.0f} s: {asked.reason}"
    if is_forced:
        _renew(mover, state, rollout, asked, for_s, because, lacking)
        return
    mover.move(
        state.name,
        Event.FORCED,
        who=asked.who,
        because=because,
        evidence=evidence,
        glass=_glass(mover, asked, until_s=for_s),
        missing=lacking,
    )


def _install(
    mover: Mover,
    state: RouteState,
    evidence: Evidence | None,
    asked: Asked,
    lacking: tuple[str, ...],
) -> None:
    mover.move(
        state.name,
        Event.INSTALLED,
        who=asked.who,
        because=f"break-glass: {asked.reason}",
        evidence=evidence,
        missing=lacking,
    )


def _renew(
    mover: Mover,
    state: RouteState,
    rollout: Rollout,
    asked: Asked,
    for_s: float,
    because: str,
    lacking: tuple[str, ...],
) -> None:
    glass = _glass(mover, asked, until_s=rollout.in_step_s + for_s)
    renewed = replace(state, rollout=replace(rollout, glass=glass))
    mover.annotate(renewed, who=asked.who, action="renew", because=because, missing=lacking)


def _glass(mover: Mover, asked: Asked, *, until_s: float) -> Glass:
    return Glass(who=asked.who, reason=asked.reason, at_s=mover.wall_s(), until_s=until_s)


def _approve(mover: Mover, standing: Standing, evidence: Evidence | None, asked: Asked) -> None:
    """Add one person's approval of leaving the present stage, if it is asked for now."""
    state, rollout = standing.state, standing.rollout
    needed = asked_of(standing)
    if rollout is None or not needed.needed:
        raise ActRefused(f"route {state.name!r} waits for nobody's approval")
    if not needed.is_now or (lacking := unmet(standing)):
        why = "the last step" if not needed.is_now else "; ".join(lacking)
        raise ActRefused(f"an approval is of what the checks have shown. Missing: {why}")
    if because := refusal(asked.who, rollout.approvals, standing.sponsors):
        raise ActRefused(because)
    if len(rollout.approvals) >= needed.needed:
        raise ActRefused(f"{rollout.challenger!r} is approved already")
    given = Approval(who=asked.who.strip(), reason=asked.reason, at_s=mover.wall_s())
    approved = replace(state, rollout=replace(rollout, approvals=(*rollout.approvals, given)))
    mover.annotate(
        approved, who=asked.who, action="approve", because=asked.reason, evidence=evidence
    )


def _record_refusal(
    mover: Mover, state: RouteState, who: str, because: str, lacking: tuple[str, ...]
) -> None:
    try:
        mover.annotate(state, who=who, action="refuse", because=because, missing=lacking)
    except StoreError as exc:
        log.error("refusal_not_recorded", error=str(exc))
