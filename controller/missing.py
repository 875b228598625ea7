"""What a rollout still waits for, one sentence each: checks, then webhooks, then people. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from controller.gates.confirm import Confirmation
from controller.gates.report import GateReport
from controller.judge import missing
from controller.policy import RouteIntent
from controller.rollout import (
    BEFORE_TRAFFIC,
    Phase,
    Rollout,
    approvals_needed,
    stage_for,
    way_forward,
)
from controller.store import RouteState
from evaluator.evidence import Reading


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a route's rollout stands, as far as it matters for what is missing."""

    state: RouteState
    policy: RouteIntent
    """What the rollout is judged by."""
    required: Sequence[Reading] = ()
    """What the present stage asks for."""
    proven: Sequence[Reading] = ()
    """What is proven of the challenger: that it is what was registered."""
    gate: GateReport | None = None
    """What the gate of the present stage found last; None before it did, and where it has none."""
    outside: Confirmation = field(default_factory=Confirmation)
    """What webhooks have said of leaving the stage."""
    sponsors: Collection[str] = ()
    """Who registered the challenger or asked for it, and so does not approve it."""

    @property
    def rollout(self) -> Rollout | None:
        """Return the rollout that may still move; None without one."""
        rollout = self.state.rollout
        return rollout if rollout is not None and rollout.is_running else None


@dataclass(frozen=True, slots=True)
class Asked:
    """The approvals of a stage."""

    needed: int
    """Different people; 0: none."""
    is_now: bool
    """Whether the move that they would approve is the next one."""


def asked_of(standing: Standing) -> Asked:
    """Return how many people must approve leaving the present stage."""
    rollout = standing.rollout
    if rollout is None or rollout.phase in (Phase.QUEUED, Phase.COLD_START):
        return Asked(0, is_now=False)
    event = way_forward(standing.policy, rollout)
    needed = stage_for(standing.policy, rollout.phase).approvals
    return Asked(needed, is_now=approvals_needed(standing.policy, rollout, event) > 0)


def missing_of(standing: Standing) -> tuple[str, ...]:
    """Return everything that is missing; nothing when nothing is awaited."""
    rollout, state = standing.rollout, standing.state
    if rollout is None:
        if not state.is_proven:
            return ("no version has been proven, and there is none left to try: declare one",)
        return (state.hold_reason,) if state.hold_reason else ()
    return (
        *_forced(rollout),
        *unmet(standing),
        *standing.outside.waiting,
        *_unapproved(standing, rollout),
    )


def unmet(standing: Standing) -> tuple[str, ...]:
    """Return what is missing of the checks, and a hold: approvals are given when none of it is."""
    rollout = standing.rollout
    if rollout is None:
        return ()
    held = (f"held by {rollout.held_by}: {rollout.hold_reason}",) if rollout.held_by else ()
    if rollout.phase is Phase.QUEUED:
        return held
    if rollout.phase in BEFORE_TRAFFIC:
        return (*held, *_unpassed(rollout, standing.gate), *missing(standing.proven))
    if not standing.required:
        return (*held, "no check has reported", *missing(standing.proven))
    return (*held, *missing(standing.required), *missing(standing.proven))


def _forced(rollout: Rollout) -> tuple[str, ...]:
    glass = rollout.glass
    if glass is None:
        return ()
    left_s = glass.left_s(rollout.in_step_s)
    because = f"break-glass by {glass.who} ({glass.reason}): back to {rollout.champion}"
    return (f"{because} in {left_s:.0f} s, unless its checks have passed or it is renewed",)


def _unpassed(rollout: Rollout, report: GateReport | None) -> tuple[str, ...]:
    """Return what the gate of the present stage still asks for, each check by its name."""
    if report is None:
        return (f"{rollout.phase.value}: {rollout.because}",)
    if report.passed:
        return ()
    failed = [f"{c.name}: {c.because}" for c in report.checks if not c.passed] or [report.because]
    return tuple(f"{rollout.phase.value}: {one}" for one in failed)


def _unapproved(standing: Standing, rollout: Rollout) -> tuple[str, ...]:
    asked, given = asked_of(standing), rollout.approvals
    if len(given) >= asked.needed:
        return ()
    told = f"approval: {len(given)} of {asked.needed}"
    if given:
        told += f" ({', '.join(approval.who for approval in given)})"
    if not asked.is_now:
        return (f"{told}, asked for at the last step",)
    return (f"{told}, asked for when the checks have passed" if unmet(standing) else told,)
