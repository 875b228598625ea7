"""What one part of the security gate found, in a form that crosses a process. Pure.

Three ways out: shown to be in order, shown not to be, or not to be decided. The last one is never
success: the gate holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.gates.report import GateCheck, GateReport
from evaluator.evidence import CheckState

SHOWN = 20
"""Items that a sentence or a list of numbers names; the counts are whole. Chosen: a report goes
into the audit record, and a hostile artifact must not decide how long that is."""
TEXT = 300
"""Characters of any text that comes from somebody else's file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One part's result. UNDECIDED: more rows would decide; UNKNOWN: missing, old or broken."""

    name: str
    state: CheckState
    because: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready."""


def to_json(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "state": finding.state.value,
        "because": finding.because,
        "numbers": dict(finding.numbers),
    }


def from_json(value: Any) -> Finding:
    """Read what ``to_json`` wrote; ValueError when it is anything else."""
    match value:
        case {
            "name": str(name),
            "state": str(state),
            "because": str(why),
            "numbers": dict(numbers),
        }:
            return Finding(name, CheckState(state), why, numbers)
    raise ValueError("not a finding")


def clipped(text: str, length: int = TEXT) -> str:
    """Return somebody else's text in one line of printable characters, cut at ``length``."""
    plain = "".join(c if c.isprintable() else "?" for c in text[: length + 1])
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def listed(items: Sequence[str], shown: int = 3) -> str:
    """Return the first items in words: ``a, b, c and 4 more``."""
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} more" if rest > 0 else "")


def report_of(challenger: str, findings: Sequence[Finding]) -> GateReport:
    """Return the gate's report: refused when anything tripped, held when anything is open.

    No finding at all is no success either.
    """
    checks = tuple(
        GateCheck(
            one.name,
            one.state is CheckState.PASSED,
            one.because,
            {"verdict": one.state.value} | dict(one.numbers),
        )
        for one in findings
    )
    tripped = [one for one in findings if one.state is CheckState.TRIPPED]
    undecided = [
        one for one in findings if one.state not in (CheckState.PASSED, CheckState.TRIPPED)
    ]
    for one in (*tripped, *undecided):
        because = f"{one.name}: {one.because}"
        return GateReport(challenger, False, because, checks, is_transient=not tripped)
    if not findings:
        return GateReport(challenger, False, "the security stage asks nothing", is_transient=True)
    names = ", ".join(one.name for one in findings)
    return GateReport(challenger, True, f"in order: {names}", checks)
