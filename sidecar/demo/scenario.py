"""What each scenario is, when it is over, and whether it ended as it should. Pure."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CRASH_SHARE = 0.25
"""The challenger of the crash scenario starts to fail once it answers this share of the units."""
ROLLBACK_WITHIN_S = 1.0
"""How soon a crashing challenger must be out, counted from its first failure."""
FAULTS = {"errors": 3, "hang": 2, "then": "exit"}
"""With the demo's traffic all three happen within a fraction of a second."""


class Scenario(enum.Enum):
    """What the challenger is like."""

    BETTER = "better"  # it earns the champion's place
    WORSE = "worse"  # it must not get there
    CRASH = "crash"  # it is better, and falls over half way
    GATES = "gates"  # it is better, and passes every gate from its registration on


class Outcome(enum.Enum):
    """How the rollout ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    HELD = "held"  # no decision before the demo's deadline


EXPECTED = {
    Scenario.BETTER: Outcome.PROMOTED,
    Scenario.WORSE: Outcome.ROLLED_BACK,
    Scenario.CRASH: Outcome.ROLLED_BACK,
    Scenario.GATES: Outcome.PROMOTED,
}

Json = Mapping[str, Any]
"""A JSON object from the admin port."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One run of the demo, with the keys that ``--json`` writes."""

    scenario: Scenario
    outcome: Outcome
    champion_before: str
    champion_after: str
    requests: int
    failed_requests: int
    labels: Mapping[str, int]
    """By the sidecar's state: accepted, duplicate, unknown, ..."""
    seconds_to_decision: float | None
    """From the first request to the promotion or the rollback; None when there was neither."""
    decision: Json | None
    """The audit record of the promotion or the rollback."""
    audit_verified: bool
    seconds_to_rollback: float | None = None
    """crash: from the challenger's first failure until the sidecar says that it is out."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """crash: how often the challenger failed, by kind; not written to JSON."""
    gates: Sequence[Json] = ()
    """gates: the audit records of the way to the decision, oldest first; not written to JSON."""
    last_failure: str = ""
    """What the client saw when a request failed last; not written to JSON."""

    def as_json(self) -> dict[str, object]:
        """Return the object that ``--json`` writes; only *crash* has seconds_to_rollback."""
        fields: dict[str, object] = {
            "scenario": self.scenario.value,
            "outcome": self.outcome.value,
            "champion_before": self.champion_before,
            "champion_after": self.champion_after,
            "requests": self.requests,
            "failed_requests": self.failed_requests,
            "labels": dict(self.labels),
            "seconds_to_decision": self.seconds_to_decision,
            "decision": self.decision,
            "audit_verified": self.audit_verified,
        }
        if self.scenario is Scenario.CRASH:
            fields["seconds_to_rollback"] = self.seconds_to_rollback
        return fields


def phase_of(route: Json, challenger: str) -> str:
    """Return where ``challenger`` stands: how its rollout ended, else the present phase."""
    for entry in route.get("history") or []:
        if entry["challenger"] == challenger and entry["phase"] in ("promoted", "rolled_back"):
            return str(entry["phase"])
    return str(route.get("phase") or "waiting")


def outcome_of(phase: str) -> Outcome | None:
    """Return the outcome if ``phase`` is the end of a rollout, else None."""
    ends = {"promoted": Outcome.PROMOTED, "rolled_back": Outcome.ROLLED_BACK}
    return ends.get(phase)


def is_decided(phase: str) -> bool:
    """Whether the challenger was promoted (then it is watched) or taken back."""
    return phase in ("watch", "promoted", "rolled_back")


def may_crash(route: Json, phase: str) -> bool:
    """Whether the challenger has enough of the traffic for its crash to be felt."""
    return phase == "canary" and float(route.get("share") or 0.0) >= CRASH_SHARE


def decision_in(records: Sequence[Json], challenger: str) -> Json | None:
    """Return the newest promotion or rollback of ``challenger`` (newest records first)."""
    for record in records:
        if record["action"] in ("promote", "rollback") and record["challenger"] == challenger:
            return record
    return None


def complaints(summary: Summary) -> list[str]:
    """Return what is not as it should be after the scenario; empty means success."""
    wanted = EXPECTED[summary.scenario]
    found = []
    if summary.outcome is not wanted:
        found.append(f"the outcome is {summary.outcome.value}, it should be {wanted.value}")
    if summary.failed_requests:
        failed = f"{summary.failed_requests} of {summary.requests} requests failed"
        found.append(f"{failed}, the last one with {summary.last_failure!r}")
    if not summary.requests:
        found.append("no request was answered")
    if summary.decision is None:
        found.append("the audit log has no decision")
    if not summary.audit_verified:
        found.append("the audit log does not verify")
    return found + _champion_complaints(summary) + _crash_complaints(summary)


def _champion_complaints(summary: Summary) -> list[str]:
    is_new = summary.champion_after != summary.champion_before
    if is_new == (summary.outcome is Outcome.PROMOTED):
        return []
    return [f"after {summary.outcome.value} the champion is {summary.champion_after}"]


def _crash_complaints(summary: Summary) -> list[str]:
    if summary.scenario is not Scenario.CRASH:
        return []
    absent = [kind for kind, count in summary.failures.items() if not count]
    found = [f"the challenger was to fail by {kind}, and did not" for kind in absent]
    if summary.seconds_to_rollback is None:
        found.append("the challenger was not rolled back after a crash")
    elif summary.seconds_to_rollback > ROLLBACK_WITHIN_S:
        took = f"the rollback took {summary.seconds_to_rollback:.2f} s"
        found.append(f"{took}, it may take {ROLLBACK_WITHIN_S:.0f} s")
    return found
