"""A recorded decision, judged again: from its record, and from the stored evidence. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.basis import Basis, NoBasis, basis_of, digest_of
from controller.judge import Action, expired, futile, is_mended, judge, overdue, required
from controller.policy import OnTimeout, RouteIntent
from controller.rollout import (
    Event,
    Rollout,
    approvals_needed,
    way_forward,
    webhooks_asked,
)
from controller.trial import experiment_plan
from evaluator.evaluator import Evaluator
from evaluator.evidence import Evidence

BY_EVIDENCE = frozenset(
    {Event.CLEARED_FOR_CANARY, Event.STEP_PASSED, Event.PROVEN, Event.WATCH_PASSED}
    | {Event.HARMED, Event.FUTILE, Event.EXPIRED, Event.TIMED_OUT}
)
"""Moves that the evidence, the policy and what people approved decide. Others are a person's, a
router's, a gate's, or a change of the file; the evidence beside them is what was known then."""


class Outcome(enum.Enum):
    """What judging again came to."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudged:
    """One decision, judged again."""

    sequence: int
    outcome: Outcome
    recorded: str
    """The event of the record; empty if it has none."""
    judged: str
    """The event that the readings of the record lead to; empty for none: hold."""
    because: str
    """Why, in the words of the verdict that was reached again, or why it was not."""
    from_evidence: Outcome
    """The same for readings that were computed anew from the stored evidence."""
    evidence_because: str


def weigh(
    policy: RouteIntent,
    rollout: Rollout,
    evidence: Evidence,
    *,
    now_s: float,
    cooling_s: float = 0.0,
    is_confirmed: bool = True,
) -> tuple[Event | None, str]:
    """Return the move that is asked for and why; None: hold. As ``Reviewer`` does.

    ``is_confirmed``: whether the webhooks that the stage asks had all said that it may be left.
    """
    verdict = judge(required(policy, rollout, evidence, now_s=now_s, cooling_s=cooling_s))
    if verdict.action is Action.ROLLBACK:
        return Event.HARMED, verdict.because
    if because := expired(policy, rollout, evidence):
        return Event.EXPIRED, because
    if is_mended(policy, rollout, evidence):
        return None, "every check that was gone around has passed since"
    if verdict.action is Action.PROMOTE and rollout.held_by is None:
        event = way_forward(policy, rollout)
        if is_confirmed and len(rollout.approvals) >= approvals_needed(policy, rollout, event):
            return event, verdict.because
    elif because := futile(policy, rollout, evidence) or "":
        return Event.FUTILE, because
    if overdue(policy, rollout) is OnTimeout.ROLLBACK:
        return Event.TIMED_OUT, f"{rollout.phase.value} lasted longer than the file allows"
    return None, verdict.because


def rejudge(record: Mapping[str, Any], snapshot: bytes | None = None) -> Rejudged:
    """Judge the decision of an audit record again; ``snapshot`` is what was kept for it."""
    try:
        basis = basis_of(record)
    except NoBasis as error:
        return _not_judged(record, "", str(error))
    event, because = _weighed(basis, basis.evidence)
    if basis.event not in BY_EVIDENCE:
        told = f"{record['who']} did this; the evidence said {_word(event)}: {because}"
        return _not_judged(record, basis.event.value, told)
    from_evidence, evidence_because = _from_evidence(basis, snapshot)
    is_same = event is basis.event and because == record["because"]
    return Rejudged(
        sequence=record["sequence"],
        outcome=Outcome.SAME if is_same else Outcome.DIFFERENT,
        recorded=basis.event.value,
        judged="" if event is None else event.value,
        because=because,
        from_evidence=from_evidence,
        evidence_because=evidence_because,
    )


def _weighed(basis: Basis, evidence: Evidence) -> tuple[Event | None, str]:
    policy, rollout = basis.policy, basis.rollout
    waits = basis.event is Event.TIMED_OUT and bool(
        webhooks_asked(policy, rollout, way_forward(policy, rollout))
    )
    return weigh(
        policy,
        rollout,
        evidence,
        now_s=evidence.at_s,
        cooling_s=basis.cooling_s,
        is_confirmed=not waits,
    )


def _from_evidence(basis: Basis, snapshot: bytes | None) -> tuple[Outcome, str]:
    if snapshot is None:
        return Outcome.NOT_JUDGED, "no evidence is stored for it"
    if digest_of(snapshot) != basis.snapshot:
        return Outcome.DIFFERENT, "the stored evidence is not what the record has the digest of"
    try:
        evaluator = Evaluator.restore(experiment_plan(basis.policy, basis.rollout), snapshot)
    except ValueError as error:
        return Outcome.NOT_JUDGED, f"the stored evidence is of another version: {error}"
    evidence = evaluator.evidence(basis.evidence.at_s)
    if evidence != basis.evidence:
        return Outcome.DIFFERENT, f"the stored evidence reads otherwise: {_first(basis, evidence)}"
    event, because = _weighed(basis, evidence)
    return (Outcome.SAME if event is basis.event else Outcome.DIFFERENT), because


def _first(basis: Basis, evidence: Evidence) -> str:
    """Return the first reading that differs, by its name."""
    pairs = zip(basis.evidence.readings, evidence.readings, strict=False)
    return next((old.check for old, new in pairs if old != new), "counts")


def _not_judged(record: Mapping[str, Any], recorded: str, because: str) -> Rejudged:
    return Rejudged(
        sequence=record["sequence"],
        outcome=Outcome.NOT_JUDGED,
        recorded=recorded,
        judged="",
        because=because,
        from_evidence=Outcome.NOT_JUDGED,
        evidence_because=because,
    )


def _word(event: Event | None) -> str:
    return "hold" if event is None else event.value
