"""``understudy explain ROUTE``: why not yet? One sentence for each thing that is missing."""

import json
import math
import sys
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from rich.text import Text

from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.commands.status import duration_text, headline
from sidecar.exitcode import ExitCode
from sidecar.terminal import console

ROLES = {
    "objective": "the challenger must be shown to be better",
    "guardrail": "the challenger must be shown not to be worse than the margin",
    "proxy": "it may hold or take back; it never promotes",
    "integrity": "the evidence itself must be sound and enough",
}

APPROVAL = "approval: "
"""How a missing approval begins (``controller.missing``)."""


def explain(route: str, admin: str, *, as_json: bool) -> int:
    """Write why ``route`` is where it is; return the exit code."""
    try:
        status = get(admin, "/v1/status")
        found = next((one for one in status.get("routes", ()) if one["name"] == route), None)
        if found is None:
            found = get(admin, f"/v1/routes/{quote(route, safe='')}")  # words the refusal
    except AdminUnreachable as error:
        return _fail(error, ExitCode.SILENT)
    except AdminRefused as error:
        return _fail(error, ExitCode.FAILED)
    at = str(status.get("at", ""))
    if as_json:
        said = {"route": route, "at": at, "sentences": sentences(found, at)}
        sys.stdout.write(json.dumps(said) + "\n")
        return ExitCode.DONE
    out = console()
    for number, line in enumerate(sentences(found, at)):
        text = Text(line if number == 0 else f"  {line}", style="bold" if number == 0 else "")
        out.print(text, soft_wrap=True)
    return ExitCode.DONE


def sentences(route: dict[str, Any], at: str) -> list[str]:
    """Return where the rollout stands, then each thing that is missing. Pure.

    ``at`` is the moment of the status (RFC 3339), from which dates are counted.
    """
    since = f" since {_day(route['since'])}" if route.get("since") else ""
    said = [f"{headline(route)}{since}."]
    if route.get("held_by"):
        reason = route.get("hold_reason") or "no reason is recorded"
        said.append(
            f"held by {route['held_by']}: {reason}. `understudy resume {route.get('name')}` "
            "lets it go on."
        )
    open_ones = [item for item in route.get("required") or () if item.get("state") != "passed"]
    readings = {reading.get("check"): reading for reading in route.get("checks") or ()}
    said += [_sentence(item, readings.get(item.get("check")), at) for item in open_ones]
    told = {f"{item.get('check')}:" for item in open_ones}
    for line in route.get("missing") or ():
        if _is_for_people(line):
            said.append(f"{line}. `understudy approve {route.get('name')}` gives one.")
        elif line.split(" ")[0] not in told and not line.startswith("held by "):
            said.append(f"{line}.")
    return [*said, _end(route, at, open_ones=said[1:])]


def _sentence(item: dict[str, Any], reading: dict[str, Any] | None, at: str) -> str:
    """Return one check that the stage asks for and has not: its numbers, and until when.

    ``reading`` is the check's evidence; None for what is no statistic: so many pairs, so long.
    """
    role, state = str(item.get("role")), str(item.get("state"))
    words = [f"{item.get('check')} ({role}) is {state}: {item.get('because')}."]
    if reading is not None and role in ("objective", "guardrail"):
        words.append(f"{ROLES[role].capitalize()}.")
        words.append(_odds(reading))
        if reading.get("effect") is not None:
            words.append(_effect(reading))
    n, least = item.get("n"), item.get("n_expected")
    is_statistic = role in ("objective", "guardrail")
    if is_statistic and n is not None and least is not None and state == "undecided":
        words.append(f"{n:,} observations of about {least:,}.")
    if item.get("expected_seconds") is not None:
        words.append(f"Expected {_when(at, item['expected_seconds'])}.")
    elif state == "unknown":
        words.append("No date: it holds until the evidence is there.")
    elif state == "undecided":
        words.append("No date yet: there is no rate to tell it from.")
    return " ".join(words)


def _odds(reading: dict[str, Any]) -> str:
    alpha = float(reading.get("alpha") or 0.05)
    odds, progress = float(reading.get("odds") or 0.0), float(reading.get("progress") or 0.0)
    return (
        f"Odds against its null are {odds:.3g}:1 and must reach {1 / alpha:.3g}:1 "
        f"(alpha {alpha:.3g}), {math.floor(100 * progress)}% of the way."
    )


def _effect(reading: dict[str, Any]) -> str:
    low, high = reading.get("low"), reading.get("high")
    ends = " .. ".join("?" if end is None else f"{end:+.3g}" for end in (low, high))
    return f"Effect {reading['effect']:+.3g}, interval {ends}."


def _is_for_people(line: str) -> bool:
    """Tell whether an approval is all that ``line`` waits for: nobody can give one before."""
    return line.startswith(APPROVAL) and "asked for" not in line


def _end(route: dict[str, Any], at: str, *, open_ones: list[str]) -> str:
    if not route.get("challenger"):
        return "Nothing is under way: add a challenger to the route in the routing file."
    phase = route.get("phase")
    if phase == "promoted":
        return f"Nothing is missing: it is the champion. {route.get('because') or ''}".strip()
    if phase == "rolled_back":
        return f"It has no traffic and will not come back by itself: {route.get('because')}"
    if route.get("break_glass"):
        return "It is in production around its gates: its checks decide whether it stays."
    if open_ones and all(_is_for_people(line) for line in open_ones):
        return "It waits for people alone: everything else of this stage is there."
    if route.get("expected_seconds") is not None:
        return f"The decision to promote is expected {_when(at, route['expected_seconds'])}."
    if phase in ("functional", "performance", "security"):
        return (
            "It meets no traffic before that. Its gate is asked again, with growing pauses, until "
            "it passes or the stage's `at_most` is over."
        )
    if open_ones:
        return "When it will be decided cannot be told yet: a check has no evidence or no rate."
    return "Nothing is missing in this stage: the next step is taken within a second."


def _when(at: str, seconds: float) -> str:
    """Return a duration and, where the moment of the status is known, the date.

    >>> _when("2026-11-23T07:00:00Z", 7200)
    'in 2 h, on 2026-11-23 09:00 UTC'
    """
    words = f"in {duration_text(seconds)}"
    try:
        then = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return words
    return f"{words}, on {then:%Y-%m-%d %H:%M} UTC"


def _day(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return at


def _fail(error: Exception, code: ExitCode) -> int:
    sys.stderr.write(f"{error}\n")
    return code
