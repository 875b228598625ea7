"""Evidence and transitions written as people and programs read them: JSON-ready, finite. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.audit import Entry, iso
from controller.consent import Approval
from controller.gates.report import GateCheck, GateReport
from controller.plan import shares
from controller.rollout import Phase, Rollout
from controller.store import RouteState
from evaluator.evidence import Evidence, Reading
from router.table import BUCKETS

ACTIONS = {
    Phase.FUNCTIONAL: "start",
    Phase.COLD_START: "advance",
    Phase.PERFORMANCE: "advance",
    Phase.SECURITY: "advance",
    Phase.SHADOW: "advance",
    Phase.CANARY: "advance",
    Phase.WATCH: "promote",
    Phase.PROMOTED: "finish",
    Phase.ROLLED_BACK: "rollback",
}
"""What the audit calls entering a phase."""

MAX_ODDS = 1e9
"""Odds are cut here: nobody needs more, and JSON has no infinity."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an act rests on."""

    evidence: Evidence | None = None
    report: GateReport | None = None
    """What the gate of the stage that is left found."""
    missing: tuple[str, ...] = ()
    """What was not there, and was gone around."""


NO_GROUNDS = Grounds()


def action_of(before: Rollout, phase: Phase) -> str:
    """Return what the audit calls going to ``phase``: a first version is promoted at once."""
    if before.is_first and phase is Phase.PROMOTED:
        return ACTIONS[Phase.WATCH]
    return ACTIONS[phase]


def challenger_share(state: RouteState) -> float:
    """Return the challenger's share of the route's units, 0..1."""
    if state.rollout is None or state.policy is None:
        return 0.0
    if state.rollout.phase in (Phase.PROMOTED, Phase.COLD_START):
        return 1.0
    return shares(state.policy, state.rollout).challenger_buckets / BUCKETS


def mirror_share(state: RouteState) -> float:
    """Return the share of the route's units whose requests are copied, 0..1."""
    if state.rollout is None or state.policy is None:
        return 0.0
    return shares(state.policy, state.rollout).mirror_buckets / BUCKETS


def evidence_json(evidence: Evidence | None) -> dict[str, Any]:
    """Return the readings and counts that an act rests on; empty without evidence."""
    if evidence is None:
        return {}
    return {
        "at_s": evidence.at_s,
        "counts": dict(evidence.counts),
        "readings": [reading_json(reading) for reading in evidence.readings],
        **({"health": health_json(evidence)} if evidence.champion_health is not None else {}),
    }


def _grounds_json(rollout: Rollout | None, grounds: Grounds) -> dict[str, Any]:
    """Return what an act of ``rollout``, as it stood before, rests on."""
    found = evidence_json(grounds.evidence)
    found |= gate_json(rollout.phase if rollout else None, grounds.report)
    if rollout is not None and rollout.approvals:
        found["approvals"] = [approval_json(approval) for approval in rollout.approvals]
    if grounds.missing:
        found["missing"] = list(grounds.missing)
    return found


def approval_json(approval: Approval) -> dict[str, Any]:
    """Return who approved, why and when."""
    at = iso(round(approval.at_s * 1e9))
    return {"who": approval.who, "reason": approval.reason, "at": at}


def gate_json(phase: Phase | None, report: GateReport | None) -> dict[str, Any]:
    """Return what the gate of ``phase`` found, under the one key ``gate``; empty without one."""
    if phase is None or report is None:
        return {}
    return {"gate": {"stage": phase.value} | report_json(report)}


def report_json(report: GateReport) -> dict[str, Any]:
    """Return a gate's report as JSON-ready values; numbers that are not finite become null."""
    return {
        "passed": report.passed,
        "because": report.because,
        "checks": [check_json(check) for check in report.checks],
    }


def check_json(check: GateCheck) -> dict[str, Any]:
    """Return one check of a gate as JSON-ready values."""
    return {
        "name": check.name,
        "passed": check.passed,
        "because": check.because,
        "numbers": {name: _plain(value) for name, value in check.numbers.items()},
    }


def _plain(value: Any) -> Any:
    """Return ``value`` with null for what JSON does not have, however deep it is."""
    match value:
        case float():
            return finite(value)
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    return value


def health_json(evidence: Evidence | None) -> dict[str, Any]:
    """Return how both variants stand to the service limit; empty where none is declared."""
    if evidence is None:
        return {}
    found = {"champion": evidence.champion_health, "challenger": evidence.challenger_health}
    return {
        name: {
            "is_broken": health.is_broken,
            "failed": health.failed,
            "n": health.n,
            "limit": health.limit,
            "odds_sound": odds_of(health.sound_log_e),
        }
        for name, health in found.items()
        if health is not None
    }


def reading_json(reading: Reading) -> dict[str, Any]:
    """Return one reading as JSON-ready values; what is not finite becomes null."""
    return {
        "check": reading.check,
        "kind": reading.kind,
        "role": reading.role.value,
        "state": reading.state.value,
        "because": reading.because,
        "log_e": finite(reading.log_e),
        "log_e_harm": finite(reading.log_e_harm),
        "log_e_futile": finite(reading.log_e_futile),
        "odds": odds_of(reading.log_e),
        "odds_harm": odds_of(reading.log_e_harm),
        "progress": progress(reading),
        "alpha": reading.alpha,
        "effect": finite(reading.effect),
        "low": finite(reading.low),
        "high": finite(reading.high),
        "n": reading.n,
        "n_expected": reading.n_expected,
        "needs_labels": reading.needs_labels,
    }


def progress(reading: Reading) -> float:
    """Return how far the evidence is on its way to passing, 0..1, on the scale of its logarithm."""
    needed = -math.log(reading.alpha)
    return min(1.0, max(0.0, reading.log_e / needed)) if reading.log_e == reading.log_e else 0.0


def odds_of(log_e: float) -> float:
    """Return the e-value itself, at most MAX_ODDS; 0 when it is not a number."""
    return 0.0 if math.isnan(log_e) else min(MAX_ODDS, math.exp(min(log_e, 700.0)))


def finite(number: float | None) -> float | None:
    """Return ``number``; None when it is an infinity or not a number."""
    return number if number is not None and math.isfinite(number) else None


def entry_of(
    before: RouteState,
    now: RouteState,
    *,
    at_ns: int,
    who: str,
    action: str,
    because: str,
    config_digest: str,
    tables: tuple[int, int],
    grounds: Grounds = NO_GROUNDS,
) -> Entry:
    """Return the audit's account of a route going from ``before`` to ``now``.

    ``tables`` are the versions of the routing table before and after.
    """
    old, new = _rollouts(before, now)
    return Entry(
        at_ns=at_ns,
        who=who,
        route=now.name,
        action=action,
        because=because,
        config_digest=config_digest,
        challenger=new.challenger if new else None,
        phase_from=old.phase.value if old else None,
        phase_to=new.phase.value if new else None,
        share_from=challenger_share(before),
        share_to=challenger_share(now),
        table_from=tables[0],
        table_to=tables[1],
        evidence=_grounds_json(old, grounds),
    )


def _rollouts(before: RouteState, now: RouteState) -> tuple[Rollout | None, Rollout | None]:
    return before.rollout or now.rollout, now.rollout or before.rollout
