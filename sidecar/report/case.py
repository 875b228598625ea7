"""What a report says, gathered from the status and the audit before anything is drawn. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sidecar.commands.explain import sentences
from sidecar.report.plots import Interval, Odds, Share

STATES = ("passed", "undecided", "tripped", "unknown")
OUTCOMES = {
    "promoted": "promoted",
    "watch": "promoted, and watched",
    "rolled_back": "rolled back",
}


class NoCase(Exception):
    """There is nothing to report; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One record of the audit, as the timeline shows it."""

    sequence: int
    at: str
    who: str
    action: str
    move: str
    """From which phase to which; empty for what moves nothing."""
    share: float
    table: str
    because: str
    hash: str
    readings: tuple[dict[str, Any], ...]
    """The evidence that it rests on."""


@dataclass(frozen=True, slots=True)
class Case:
    """All that a report says."""

    route: str
    challenger: str
    champion: str
    outcome: str
    at: str
    """The moment of the status."""
    version: str
    """Of Understudy."""
    facts: tuple[tuple[str, str], ...]
    """Names and values of the table on top."""
    sentences: tuple[str, ...]
    """As ``understudy explain`` says; empty for a challenger that is no longer there."""
    checks: tuple[dict[str, Any], ...]
    """The present readings, or those of the last record that has any."""
    checks_at: str
    steps: tuple[Step, ...]

    @property
    def intervals(self) -> list[Interval]:
        return [
            Interval(_name(c), _state(c), float(c["effect"]), c.get("low"), c.get("high"))
            for c in self.checks
            if c.get("effect") is not None
        ]

    @property
    def odds(self) -> list[Odds]:
        return [
            Odds(_name(c), _state(c), float(c.get("odds") or 0.0), 1 / float(c.get("alpha") or 1))
            for c in self.checks
            if c.get("role") in ("objective", "guardrail")
        ]

    @property
    def shares(self) -> list[Share]:
        return [
            Share(seconds(step.at), step.share, f"{step.at} {step.action} {step.move}".strip())
            for step in self.steps
        ]


def build(
    name: str,
    status: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    verification: Mapping[str, Any],
    challenger: str | None = None,
) -> Case:
    """Return the case of ``challenger`` on route ``name``, or of the latest that it has; NoCase."""
    route: Mapping[str, Any] = next(
        (one for one in status.get("routes", ()) if one.get("name") == name), {}
    )
    of_route = [record for record in records if record.get("route") == name]
    if not route and not of_route:
        names = ", ".join(str(one.get("name")) for one in status.get("routes", ())) or "none yet"
        raise NoCase(f"there is no route {name!r}; the routes are: {names}")
    challengers = [str(r["challenger"]) for r in of_route if r.get("challenger")]
    present = route.get("challenger")
    wanted = challenger or present or (challengers[-1] if challengers else None)
    if wanted is None:
        raise NoCase(f"route {name!r} never had a challenger: there is no case to report")
    if wanted not in challengers and wanted != present:
        known = ", ".join(sorted(set(challengers))) or "none"
        raise NoCase(f"route {name!r} never had a challenger {wanted!r}; it had: {known}")
    steps = tuple(_step(record) for record in of_route if record.get("challenger") == wanted)
    is_present = wanted == present
    checks, checks_at = _checks(route if is_present else {}, steps, str(status.get("at", "")))
    last: Mapping[str, Any] = next(
        (r for r in reversed(of_route) if r.get("challenger") == wanted), {}
    )
    phase = route.get("phase") if is_present else last.get("phase_to")
    return Case(
        route=name,
        challenger=wanted,
        champion=str(route.get("champion", "-")),
        outcome=OUTCOMES.get(str(phase), f"under way: {phase}"),
        at=str(status.get("at", "")),
        version=str(status.get("version", "")),
        facts=_facts(status, route, last, verification, of_route),
        sentences=tuple(sentences(dict(route), str(status.get("at", "")))) if is_present else (),
        checks=checks,
        checks_at=checks_at,
        steps=steps,
    )


def seconds(at: str) -> float:
    """Return a moment (RFC 3339) in seconds since the epoch; 0 for what is none."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()


def _facts(
    status: Mapping[str, Any],
    route: Mapping[str, Any],
    last: Mapping[str, Any],
    verification: Mapping[str, Any],
    of_route: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, str], ...]:
    artifacts = [str(r["artifact"]) for r in of_route if r.get("artifact")]
    is_whole = verification.get("verified") is True
    chain = "whole" if is_whole else f"BROKEN: {verification.get('because', 'see the audit')}"
    return (
        ("Champion now", str(route.get("champion", "-"))),
        ("Artifact of the challenger", artifacts[-1] if artifacts else "not registered"),
        ("Experiment", str(route.get("experiment") or "-")),
        ("Serves now", f"{float(route.get('share') or 0.0):.2%} of the units"),
        ("Routing table", str(status.get("table_version", "-"))),
        ("Routing file in force (SHA-256)", str(status.get("config_digest") or "-")),
        ("Routing file at the last record", str(last.get("config_digest") or "-")),
        ("Audit chain", f"{chain}, {verification.get('records', 0)} records"),
        ("Audit head", str(verification.get("head", "-"))),
    )


def _checks(
    route: Mapping[str, Any], steps: Sequence[Step], at: str
) -> tuple[tuple[dict[str, Any], ...], str]:
    if route.get("checks"):
        return tuple(route["checks"]), at
    for step in reversed(steps):
        if step.readings:
            return step.readings, step.at
    return (), at


def _step(record: Mapping[str, Any]) -> Step:
    old, new = record.get("phase_from"), record.get("phase_to")
    evidence = record.get("evidence") or {}
    return Step(
        sequence=int(record.get("sequence", 0)),
        at=str(record.get("at", "")),
        who=str(record.get("who", "")),
        action=str(record.get("action", "")),
        move=f"{old or '-'} to {new}" if new and new != old else "",
        share=float(record.get("share_to") or 0.0),
        table=f"{record.get('table_from', '-')} to {record.get('table_to', '-')}",
        because=str(record.get("because", "")),
        hash=str(record.get("hash", "")),
        readings=tuple(dict(reading) for reading in evidence.get("readings", ())),
    )


def _name(check: Mapping[str, Any]) -> str:
    return str(check.get("check"))


def _state(check: Mapping[str, Any]) -> str:
    state = str(check.get("state"))
    return state if state in STATES else "unknown"
