"""What is proven of the challengers that run: their files, their signature, and what they say.

A proof is made elsewhere (``sidecar/prover.py``) and kept here, in memory: after a restart it is
made again. Whatever is missing or old is no proof, and holds; another digest or version than the
registered one stops the rollout. One thread; made and used by the Controller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.lineage import ModelVersion
from controller.policy import RegistrySpec, ReportsSpec, RouteIntent
from controller.rollout import Phase, Rollout
from evaluator.evidence import CheckState, Reading, Role
from router.table import Match, Variant

ARTIFACT = "artifact"
IDENTITY = "identity"
CHECKS = (ARTIFACT, IDENTITY)

EVERY_S = 60.0
"""How often a variant is asked what it runs while it has traffic."""
AGAIN_S = 10.0
"""After no proof: files that cannot be read, a variant that does not say what it runs."""
STALE_S = 180.0
"""An identity that was shown longer ago is shown no more: three questions in a row had no answer.
"""
PROMOTION_S = 300.0
"""Files that were read longer ago are read again before a promotion."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    state: CheckState
    """PASSED, TRIPPED (it is something else) or UNKNOWN (it could not be told)."""
    because: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready: what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofTask:
    """What is to be looked at now, for one rollout."""

    route: str
    experiment: str
    phase: Phase
    variant: Variant
    match: Match
    model: ModelVersion
    keys: str = ""
    """Path of the trusted keys; empty: signatures are not asked for."""
    reports: ReportsSpec | None = None
    wants: tuple[str, ...] = CHECKS
    """Which of CHECKS."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of a task."""

    task: ProofTask
    findings: Mapping[str, Finding]


@dataclass(frozen=True, slots=True)
class _Known:
    """The last finding of a check."""

    finding: Finding
    phase: Phase
    at_s: float
    """Monotonic clock."""


@dataclass(slots=True)
class _Journey:
    """What is known of one rollout."""

    experiment: str
    known: dict[str, _Known] = field(default_factory=dict)
    is_promoting: bool = False
    """Whether everything else asks for a promotion: the files are to be read once more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the routing file says that a challenger is, and what is registered of it."""

    ref: str | None
    """NAME:VERSION; None: the variant names no version."""
    model: ModelVersion | None
    """None: it is not registered."""
    registry: RegistrySpec
    reports: ReportsSpec | None

    @property
    def fault(self) -> str:
        """Say why the challenger cannot be taken for a registered version; empty if it can."""
        if self.ref is None:
            return "names no registered version (`model: NAME:VERSION`), and the file requires one"
        return f"is {self.ref}, which is not registered" if self.model is None else ""


class Proofs:
    """What is proven of each route's present challenger."""

    def __init__(self) -> None:
        self._journeys: dict[str, _Journey] = {}

    def task(
        self, route: RouteIntent, rollout: Rollout, variant: Variant, claim: Claim, *, now_s: float
    ) -> ProofTask | None:
        """Return what is to be looked at now; None while everything is known."""
        if claim.model is None:
            return None
        journey = self._journey(route.name, rollout)
        wants = tuple(
            check
            for check in asked_of(claim)
            if self._is_due(journey, check, rollout.phase, now_s=now_s)
        )
        if not wants:
            return None
        return ProofTask(
            route=route.name,
            experiment=rollout.experiment,
            phase=rollout.phase,
            variant=variant,
            match=route.match,
            model=claim.model,
            keys=claim.registry.keys,
            reports=claim.reports,
            wants=wants,
        )

    def take(self, proof: Proof, rollout: Rollout | None, *, now_s: float) -> None:
        """Take in what was found; news of a rollout that is over is ignored.

        A mismatch stays: files that are put back do not undo that they were others.
        """
        if rollout is None or rollout.experiment != proof.task.experiment:
            return
        journey = self._journey(proof.task.route, rollout)
        for check, finding in proof.findings.items():
            known = journey.known.get(check)
            if known is None or known.finding.state is not CheckState.TRIPPED:
                journey.known[check] = _Known(finding, proof.task.phase, now_s)

    def readings(
        self, route: str, rollout: Rollout, claim: Claim, *, now_s: float
    ) -> tuple[Reading, ...]:
        """Return what is proven now as readings of the present stage; none if nothing is asked."""
        if claim.ref is None and not claim.registry.required:
            return ()
        if claim.fault:
            because = f"{rollout.challenger!r} {claim.fault}"
            return (_reading("registered", Finding(CheckState.UNKNOWN, because)),)
        journey = self._journey(route, rollout)
        return tuple(
            _reading(check, self._finding(journey, check, rollout.phase, now_s=now_s))
            for check in asked_of(claim)
        )

    def may_promote(self, route: str, rollout: Rollout, claim: Claim, *, now_s: float) -> bool:
        """Whether the files were read just now; if not, they are to be read before a promotion."""
        if claim.model is None or ARTIFACT not in asked_of(claim):
            return not claim.registry.required
        journey = self._journey(route, rollout)
        known = journey.known.get(ARTIFACT)
        is_fresh = known is not None and now_s - known.at_s <= PROMOTION_S
        journey.is_promoting = not is_fresh
        return is_fresh

    def _journey(self, route: str, rollout: Rollout) -> _Journey:
        journey = self._journeys.get(route)
        if journey is None or journey.experiment != rollout.experiment:
            journey = self._journeys[route] = _Journey(rollout.experiment)
        return journey

    def _is_due(self, journey: _Journey, check: str, phase: Phase, *, now_s: float) -> bool:
        known = journey.known.get(check)
        if known is None:
            return True
        if known.finding.state is CheckState.TRIPPED:
            return False
        if known.finding.state is not CheckState.PASSED:
            return now_s - known.at_s >= AGAIN_S
        if known.phase is not phase:
            return True
        if check == IDENTITY:
            return now_s - known.at_s >= EVERY_S
        return journey.is_promoting and now_s - known.at_s > PROMOTION_S

    def _finding(self, journey: _Journey, check: str, phase: Phase, *, now_s: float) -> Finding:
        known = journey.known.get(check)
        if known is None:
            return Finding(CheckState.UNKNOWN, "not looked at yet")
        if known.finding.state is not CheckState.PASSED:
            return known.finding
        age_s = now_s - known.at_s
        if known.phase is not phase:
            return replace(
                known.finding, state=CheckState.UNKNOWN, because=f"not yet in {phase.value}"
            )
        if check == IDENTITY and age_s > STALE_S:
            because = f"what runs was asked {age_s:.0f} s ago, at most {STALE_S:.0f} s"
            return replace(known.finding, state=CheckState.UNKNOWN, because=because)
        return known.finding


def asked_of(claim: Claim) -> tuple[str, ...]:
    """Return which checks a claim is to pass."""
    return (ARTIFACT,) if claim.reports is None else CHECKS


def worst(readings: tuple[Reading, ...]) -> Reading | None:
    """Return the reading that speaks loudest against going on; None if none does."""
    for state in (CheckState.TRIPPED, CheckState.UNKNOWN):
        for reading in readings:
            if reading.state is state:
                return reading
    return None


def _reading(check: str, finding: Finding) -> Reading:
    return Reading(check, check, Role.INTEGRITY, finding.state, finding.because)
