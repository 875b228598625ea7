"""What is true now, for people and programs: JSON-ready, made of values only. Pure."""

import math
from dataclasses import dataclass, field
from typing import Any

from controller.account import (
    approval_json,
    challenger_share,
    check_json,
    gate_json,
    health_json,
    mirror_share,
    reading_json,
)
from controller.audit import iso
from controller.missing import Standing, asked_of, missing_of, unmet
from controller.policy import RouteIntent
from controller.rollout import Phase, Rollout, stage_for
from controller.store import RouteState
from evaluator.evidence import CheckState, Evidence, Role

COUNTS = (
    "pairs",
    "exposures_champion",
    "exposures_challenger",
    "judged",
    "unlabelled",
    "unreadable",
    "lost",
    "fallbacks",
)


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits to be judged."""

    waiting: int
    oldest_at_ns: int | None
    """Wall clock of the oldest request; None if none waits."""
    looked_at: int
    """How many of the oldest were looked at for a label."""
    labelled: int
    """How many of these have one."""


@dataclass(frozen=True, slots=True)
class RouteView:
    """All that the status of one route is made of."""

    route: RouteIntent
    standing: Standing
    evidence: Evidence | None
    """None without an experiment."""
    labels: dict[str, int]
    pending: Pending | None = None
    """None without an experiment."""
    chain: list[dict[str, Any]] = field(default_factory=list)
    """Each route that judges the rollout, its own first; empty where it feeds none."""
    landings: dict[str, str] = field(default_factory=dict)
    """Who could answer in a broken champion's place, and what they said when they were asked."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Labels that came with an exposure token, by what became of them."""

    @property
    def state(self) -> RouteState:
        """Return the state that it is the view of."""
        return self.standing.state


def render_route(view: RouteView) -> dict[str, Any]:
    """Return the status of one route."""
    state, rollout = view.state, view.state.rollout
    policy = state.policy or view.route
    is_canary = rollout is not None and rollout.phase is Phase.CANARY
    evidence = view.evidence
    counts = evidence.counts if evidence is not None else {}
    return {
        "name": state.name,
        "champion": state.champion if state.is_proven else None,
        "challenger": rollout.challenger if rollout else None,
        "phase": rollout.phase.value if rollout else None,
        "step": rollout.step if rollout else 0,
        "steps": len(stage_for(policy, Phase.CANARY).shares_buckets) if is_canary else 0,
        "share": challenger_share(state),
        "mirror_share": mirror_share(state),
        "held_by": rollout.held_by if rollout else None,
        "hold_reason": rollout.hold_reason if rollout else state.hold_reason,
        "because": rollout.because if rollout else "",
        "since": iso(round(rollout.entered_at_s * 1e9)) if rollout else None,
        "experiment": rollout.experiment if rollout else None,
        "missing": list(missing_of(view.standing)),
        "gate": gate_json(rollout.phase if rollout else None, view.standing.gate).get("gate"),
        "approval": _approval(view.standing),
        "webhooks": [check_json(check) for check in view.standing.outside.checks],
        "break_glass": _glass(rollout),
        "cool_down_s": round(state.cooling_s, 1),
        "expected_seconds": expected_s(view),
        "checks": [reading_json(r) for r in evidence.readings] if evidence else [],
        "counts": {name: counts.get(name, 0) for name in COUNTS} | counts,
        "health": health_json(evidence),
        "landings": view.landings,
        "chain": view.chain,
        "labels": view.labels,
        "maturing": _maturing(view),
        "tokens": view.tokens,
        "history": [
            {
                "challenger": past.challenger,
                "phase": past.phase,
                "at": iso(round(past.at_s * 1e9)),
                "because": past.because,
            }
            for past in reversed(state.history)
        ],
    }


def _approval(standing: Standing) -> dict[str, Any] | None:
    """Return who has approved leaving the present stage; None where nobody must."""
    asked, rollout = asked_of(standing), standing.rollout
    if rollout is None or not asked.needed:
        return None
    return {
        "needed": asked.needed,
        "given": [approval_json(approval) for approval in rollout.approvals],
        "is_open": asked.is_now and not unmet(standing),
    }


def _glass(rollout: Rollout | None) -> dict[str, Any] | None:
    """Return who has promoted the challenger around the gates, and for how long; None if nobody."""
    if rollout is None or rollout.glass is None:
        return None
    glass = rollout.glass
    return {
        "who": glass.who,
        "reason": glass.reason,
        "at": iso(round(glass.at_s * 1e9)),
        "left_s": round(glass.left_s(rollout.in_step_s), 1),
    }


def _maturing(view: RouteView) -> dict[str, Any] | None:
    """Return where the evidence from labels stands, by the state of observations."""
    pending, evidence = view.pending, view.evidence
    if pending is None or evidence is None:
        return None
    oldest_ns = pending.oldest_at_ns
    return {
        "waiting": pending.waiting,
        "oldest_s": None if oldest_ns is None else round(evidence.at_s - oldest_ns / 1e9, 1),
        "looked_at": pending.looked_at,
        "labelled": pending.labelled,
        "judged": evidence.counts.get("judged", 0),
        "missing": evidence.counts.get("unlabelled", 0),
        "needless": evidence.counts.get("needless", 0),
    }


def expected_s(view: RouteView) -> float | None:
    """Return in how many seconds the promotion may be decided at the present rate; None if unknown.

    The slowest of the checks that are still open, and never less than the time that the stages ask
    for: a check of ``n_expected`` observations that has seen ``n`` of them since the rollout began
    is as far from its end. While watching: the rest of the watch.
    """
    rollout = view.state.rollout
    if rollout is None or not rollout.is_running or view.evidence is None:
        return None
    declared_s = _declared_rest_s(view.state.policy or view.route, rollout)
    if rollout.phase is Phase.WATCH:
        return round(declared_s, 1)
    elapsed_s = view.evidence.at_s - rollout.began_at_s
    if elapsed_s <= 0:
        return None
    slowest = declared_s
    for reading in view.evidence.readings:
        if reading.role not in (Role.OBJECTIVE, Role.GUARDRAIL):
            continue
        if reading.state is CheckState.UNKNOWN:
            return None
        if reading.state is CheckState.UNDECIDED:
            if reading.n_expected is None or reading.n <= 0:
                return None
            slowest = max(slowest, (reading.n_expected - reading.n) * elapsed_s / reading.n)
    return round(slowest, 1) if math.isfinite(slowest) else None


def _declared_rest_s(policy: RouteIntent, rollout: Rollout) -> float:
    """The time that the present step and those after it must last in any case."""
    canary = stage_for(policy, Phase.CANARY)
    steps = len(canary.shares_buckets)
    match rollout.phase:
        case Phase.SHADOW:
            present = stage_for(policy, Phase.SHADOW).for_at_least_s
        case Phase.CANARY:
            present, steps = canary.for_at_least_s, steps - rollout.step - 1
        case Phase.WATCH:
            present, steps = stage_for(policy, Phase.WATCH).watch_s, 0
        case _:
            present = 0.0
    return max(0.0, present - rollout.in_step_s) + max(0, steps) * canary.for_at_least_s
