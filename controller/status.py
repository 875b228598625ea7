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
from controller.bar import bars
from controller.ladder import ladder_json
from controller.missing import Standing, asked_of, missing_of, unmet
from controller.policy import RouteIntent
from controller.rollout import Phase, Rollout, stage_for
from controller.store import RouteState
from evaluator.evidence import CheckState, Evidence, Reading, Role

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
        "ladder": ladder_json(policy, rollout),
        "in_step_s": round(rollout.in_step_s, 1) if rollout else 0.0,
        "share": challenger_share(state),
        "mirror_share": mirror_share(state),
        "held_by": rollout.held_by if rollout else None,
        "hold_reason": rollout.hold_reason if rollout else state.hold_reason,
        "because": rollout.because if rollout else "",
        "since": iso(round(rollout.entered_at_s * 1e9)) if rollout else None,
        "began": iso(round(rollout.began_at_s * 1e9)) if rollout else None,
        "experiment": rollout.experiment if rollout else None,
        "missing": list(missing_of(view.standing)),
        "gate": gate_json(rollout.phase if rollout else None, view.standing.gate).get("gate"),
        "approval": _approval(view.standing),
        "webhooks": [check_json(check) for check in view.standing.outside.checks],
        "break_glass": _glass(rollout),
        "cool_down_s": round(state.cooling_s, 1),
        "expected_seconds": expected_s(view),
        "checks": [reading_json(r) for r in evidence.readings] if evidence else [],
        "bars": bars(policy),
        "required": [_required(view, reading) for reading in view.standing.required],
        "last_observation": _iso_s(evidence.last_observation_s) if evidence else None,
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
    if view.evidence.at_s <= rollout.began_at_s:
        return None
    slowest = declared_s
    for reading in view.evidence.readings:
        if reading.role not in (Role.OBJECTIVE, Role.GUARDRAIL):
            continue
        if reading.state is CheckState.UNKNOWN:
            return None
        if reading.state is CheckState.UNDECIDED:
            rest_s = check_expected_s(view, reading)
            if rest_s is None:
                return None
            slowest = max(slowest, rest_s)
    return round(slowest, 1) if math.isfinite(slowest) else None


def check_expected_s(view: RouteView, reading: Reading) -> float | None:
    """Return in how many seconds an open check may decide at the present rate; None if unknown."""
    rollout = view.state.rollout
    if rollout is None or not rollout.is_running or view.evidence is None:
        return None
    elapsed_s = view.evidence.at_s - rollout.began_at_s
    if reading.state is not CheckState.UNDECIDED or reading.n_expected is None:
        return None
    if reading.n <= 0 or elapsed_s <= 0:
        return None
    return round(max(0.0, (reading.n_expected - reading.n) * elapsed_s / reading.n), 1)


def _required(view: RouteView, reading: Reading) -> dict[str, Any]:
    """Return one thing that the stage asks for, with when it may be there."""
    rollout = view.state.rollout
    expected = check_expected_s(view, reading)
    if reading.state is CheckState.UNDECIDED and reading.role is Role.INTEGRITY and rollout:
        expected = _fact_expected_s(view, rollout, reading)
    return {
        "check": reading.check,
        "role": reading.role.value,
        "state": reading.state.value,
        "because": reading.because,
        "n": reading.n,
        "n_expected": reading.n_expected,
        "expected_seconds": expected,
    }


def _fact_expected_s(view: RouteView, rollout: Rollout, reading: Reading) -> float | None:
    """Return when a count or a time of the present step is full, seconds from now."""
    if reading.check == "time":
        stage = stage_for(view.state.policy or view.route, rollout.phase)
        least_s = stage.watch_s if rollout.phase is Phase.WATCH else stage.for_at_least_s
        return round(max(0.0, least_s - rollout.in_step_s), 1)
    if reading.n_expected is None or reading.n <= 0 or rollout.in_step_s <= 0:
        return None
    return round((reading.n_expected - reading.n) * rollout.in_step_s / reading.n, 1)


def _iso_s(at_s: float | None) -> str | None:
    return None if at_s is None else iso(round(at_s * 1e9))


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
