"""SARIF 2.1.0: what a static analysis says it found. Pure.

Numbers in comments are sections of the OASIS standard. A run that says it failed, or that it did
not look, has found nothing out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.gates import severity
from controller.gates.finding import clipped
from controller.gates.severity import Severity

SCORE = "security-severity"
"""A rule's property with a score from 0 to 10: GitHub's convention, which most scanners follow."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result that is a finding, and that nobody has suppressed."""

    rule: str
    tool: str
    severity: Severity
    where: str


@dataclass(frozen=True, slots=True)
class Log:
    """One file."""

    results: tuple[Result, ...]
    tools: tuple[str, ...]
    faults: tuple[str, ...]
    """Why the runs are not whole."""
    digests: frozenset[str]
    """SHA-256 of the files that the runs name as theirs."""
    written_at: str | None
    """The latest end of a run; None when none says it."""


def is_sarif(document: Any) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get("runs"), list)


def parse(document: Mapping[str, Any]) -> Log:
    """Return what a log says; ValueError when it is not of the form."""
    if document.get("version") != "2.1.0":
        raise ValueError(f"SARIF {clipped(str(document.get('version')), 20)}, not 2.1.0")
    results: list[Result] = []
    faults: list[str] = []
    digests: set[str] = set()
    stamps: list[str] = []
    tools: list[str] = []
    for run in document["runs"]:
        if not isinstance(run, Mapping):
            raise ValueError("a run is not an object")
        tool = _tool(run)
        tools.append(tool)
        faults += _faults(run, tool)
        digests |= _digests(run)
        stamps += _stamps(run)
        results += _results(run, tool)
    if not tools:
        faults.append("it has no run")
    return Log(
        tuple(results),
        tuple(tools),
        tuple(faults),
        frozenset(digests),
        max(stamps, default=None),
    )


def _tool(run: Mapping[str, Any]) -> str:
    name = _mapping(_mapping(run.get("tool")).get("driver")).get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("a run does not say which tool it is of")  # 3.19.8: required
    return clipped(name, 80)


def _faults(run: Mapping[str, Any], tool: str) -> list[str]:
    faults = []
    if not isinstance(run.get("results"), list):
        faults.append(f"{tool} has no results: it did not look")  # 3.14.23
    for invocation in _mappings(run.get("invocations")):
        if invocation.get("executionSuccessful") is False:
            faults.append(f"{tool} says that it failed")  # 3.20.14
        errors = [
            note
            for note in _mappings(invocation.get("toolExecutionNotifications"))
            if note.get("level") == "error"
        ]
        if errors:
            text = _mapping(errors[0].get("message")).get("text")
            faults.append(f"{tool} reports an error of its own: {clipped(str(text), 120)}")
    return faults


def _digests(run: Mapping[str, Any]) -> set[str]:
    """Return the hashes of the run's artifacts (3.24.11)."""
    found = set()
    for artifact in _mappings(run.get("artifacts")):
        for name, value in _mapping(artifact.get("hashes")).items():
            if name.lower() in ("sha-256", "sha256") and isinstance(value, str):
                found.add(value.lower())
    return found


def _stamps(run: Mapping[str, Any]) -> list[str]:
    return [
        stamp
        for invocation in _mappings(run.get("invocations"))
        for stamp in (invocation.get("endTimeUtc"),)
        if isinstance(stamp, str)
    ]


def _results(run: Mapping[str, Any], tool: str) -> list[Result]:
    rules = _rules(run)
    found = []
    for result in _mappings(run.get("results")):
        if result.get("kind", "fail") != "fail":  # 3.27.9: pass, open, review, ... are no failures
            continue
        if result.get("baselineState") == "absent" or _is_suppressed(result):
            continue
        rule = _rule(run, rules, result)
        name = str(result.get("ruleId") or rule.get("id") or "a result without a rule")
        found.append(Result(clipped(name, 80), tool, _severity(result, rule), _where(result)))
    return found


def _rules(run: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    tool = _mapping(run.get("tool"))
    parts = (_mapping(tool.get("driver")), *_mappings(tool.get("extensions")))
    return {
        rule["id"]: rule
        for part in parts
        for rule in _mappings(part.get("rules"))
        if isinstance(rule.get("id"), str)
    }


def _rule(
    run: Mapping[str, Any], rules: Mapping[str, Mapping[str, Any]], result: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the rule of a result: by its name, else by its place (3.27.5, 3.27.6)."""
    if (name := result.get("ruleId")) in rules:
        return rules[str(name)]
    index = result.get("ruleIndex")
    listed = _mapping(_mapping(run.get("tool")).get("driver")).get("rules")
    if type(index) is int and isinstance(listed, list) and 0 <= index < len(listed):
        return _mapping(listed[index])
    return {}


def _severity(result: Mapping[str, Any], rule: Mapping[str, Any]) -> Severity:
    """Return the score where there is one, else the level: a warning without any (3.27.10)."""
    for bag in (_mapping(result.get("properties")), _mapping(rule.get("properties"))):
        scored = severity.of_vector(str(bag[SCORE])) if SCORE in bag else None
        if scored is not None:
            return scored
    level = result.get("level") or _mapping(rule.get("defaultConfiguration")).get("level")
    return severity.of_word(level or "warning") or (
        Severity.NONE if level == "none" else Severity.MEDIUM
    )


def _is_suppressed(result: Mapping[str, Any]) -> bool:
    """Whether somebody has accepted it; under review or rejected does not count (3.35.3)."""
    suppressions = _mappings(result.get("suppressions"))
    return bool(suppressions) and all(
        one.get("status", "accepted") == "accepted" for one in suppressions
    )


def _where(result: Mapping[str, Any]) -> str:
    for location in _mappings(result.get("locations")):
        physical = _mapping(location.get("physicalLocation"))
        uri = _mapping(physical.get("artifactLocation")).get("uri")
        if isinstance(uri, str):
            return clipped(uri, 120)
    return ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
