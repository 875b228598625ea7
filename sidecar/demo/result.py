"""The words at the end: the decision with its numbers, and whether all went well. Pure."""

import math
from collections.abc import Iterator

from sidecar.demo.progress import odds_words
from sidecar.demo.scenario import Json, Outcome, Scenario, Summary

OUTCOMES = {
    Outcome.PROMOTED: "promoted: the challenger is the champion now",
    Outcome.ROLLED_BACK: "rolled back: the champion has all the traffic",
    Outcome.HELD: "held: no decision before the deadline",
}


def result_lines(summary: Summary, complaints: list[str]) -> Iterator[str]:
    """Yield the lines that close a demo."""
    yield f"outcome      {OUTCOMES[summary.outcome]}"
    yield f"champion     {summary.champion_before} before, {summary.champion_after} after"
    yield f"requests     {summary.requests:,}, of which {summary.failed_requests} failed"
    yield f"labels       {_counts(summary)}"
    if summary.seconds_to_decision is not None:
        yield f"decided in   {summary.seconds_to_decision:.1f} s of traffic"
    if summary.scenario is Scenario.CRASH and summary.seconds_to_rollback is not None:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.failures.items())
        yield f"out within   {summary.seconds_to_rollback:.2f} s of its first failure ({kinds})"
    for record in summary.gates:
        yield f"gate         {record['phase_from']} passed: {record['because']}"
        yield from _checks(record)
    if summary.decision is not None:
        yield from decision_lines(summary.decision)
    yield f"audit log    {'verified' if summary.audit_verified else 'DOES NOT VERIFY'}"
    for complaint in complaints:
        yield f"NOT AS IT SHOULD BE: {complaint}"


def decision_lines(record: Json) -> Iterator[str]:
    """Yield the decision of one audit record, with the numbers that allowed it."""
    yield f"decision     {record['action']} of {record['challenger']}: {record['because']}"
    for reading in (record.get("evidence") or {}).get("readings") or []:
        yield f"  {reading['check']:<11}{_numbers(reading)}"


def _checks(record: Json) -> Iterator[str]:
    """Yield what a gate before traffic looked at."""
    gate = (record.get("evidence") or {}).get("gate") or {}
    for check in gate.get("checks") or []:
        yield f"  {check['name']:<24}{check['because']}"


def _numbers(reading: Json) -> str:
    words = [str(reading["state"]), *_effect(reading)]
    if reading["state"] == "tripped":
        words.append(f"odds of harm {odds_words(math.exp(min(reading['log_e_harm'], 50.0)))}")
    elif reading.get("odds") is not None:
        words.append(f"odds {odds_words(reading['odds'])}")
    if reading.get("n"):
        words.append(f"{reading['n']:,} observations")
    return ", ".join(words)


def _effect(reading: Json) -> Iterator[str]:
    effect, low, high = (reading.get(key) for key in ("effect", "low", "high"))
    if effect is not None:
        yield f"effect {effect:+.4f}"
    if low is not None and high is not None:
        yield f"between {low:+.4f} and {high:+.4f}"


def _counts(summary: Summary) -> str:
    counted = [f"{count:,} {state}" for state, count in summary.labels.items() if count]
    return ", ".join(counted) or "none"
