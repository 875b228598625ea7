"""``understudy replay``: a recording, evaluated again offline, with its own policy or another."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from controller.account import reading_json
from controller.policy import RouteIntent
from controller.record import Line, LineError, lines_of
from controller.recorder import segments
from controller.replay import Replan, Replay, Replayed, with_policy
from sidecar.commands.status import checks_table
from sidecar.problem import ConfigError
from sidecar.routefile import load_routefile

FAILED = 1
REFUSED = 2


def replay(
    recordings: Sequence[Path], *, routing: Path | None, route: str | None, as_json: bool
) -> int:
    """Evaluate ``recordings`` (files or folders, oldest first) again; return the exit code."""
    try:
        found = Replay(_replan(routing, route))
    except (ConfigError, ValueError) as exc:
        sys.stderr.write(f"{exc}\n")
        return REFUSED
    try:
        for file in files_of(recordings):
            found.feed(_lines(file))
        found.finish()
    except (OSError, LineError) as exc:
        sys.stderr.write(f"{exc}\n")
        return FAILED
    if not found.experiments:
        sys.stderr.write("no experiment is in it" + (f" on route {route!r}\n" if route else "\n"))
        return FAILED
    if as_json:
        sys.stdout.write(json.dumps(summary(found)) + "\n")
    else:
        _show(summary(found))
    return 0


def files_of(recordings: Sequence[Path]) -> list[Path]:
    """Return the files to read: those of a folder are its segments, oldest first."""
    files: list[Path] = []
    for path in recordings:
        if path.is_dir():
            found = segments(path)
            if not found:
                raise LineError(f"{path} holds no recording")
            files += found
        else:
            files.append(path)
    return files


def summary(found: Replay) -> dict[str, Any]:
    """Return what ``--json`` writes."""
    return {
        "lines": found.n_lines,
        "lost": found.n_lost,
        "has_gap": found.has_gap,
        "experiments": [_experiment(one) for one in found.experiments.values()],
    }


def _experiment(one: Replayed) -> dict[str, Any]:
    evidence = one.evaluator.evidence(one.at_ns / 1e9)
    return {
        "experiment": one.plan.experiment,
        "route": one.plan.route,
        "champion": one.plan.champion,
        "challenger": one.plan.challenger,
        "as_recorded": one.is_as_recorded,
        "whole": one.is_whole,
        "waiting": len(one.waiting),
        "counts": evidence.counts,
        "checks": [reading_json(reading) for reading in evidence.readings],
    }


def _lines(file: Path) -> Iterator[Line]:
    with file.open("rb") as raw:
        try:
            yield from lines_of(raw)
        except LineError as exc:
            raise LineError(f"{file}, {exc}") from exc


def _replan(routing: Path | None, route: str | None) -> Replan:
    if routing is None:
        return lambda plan: plan if route in (None, plan.route) else None
    policies = {one.name: one for one in load_routefile(routing).intent.routes}
    if route is not None:
        return with_policy(_named(policies, route, routing), route)
    return lambda plan: (
        with_policy(policies[plan.route], plan.route)(plan) if plan.route in policies else None
    )


def _named(policies: dict[str, RouteIntent], route: str, routing: Path) -> RouteIntent:
    if route not in policies:
        raise ValueError(f"--route: {routing} has {', '.join(policies)}, not {route!r}")
    return policies[route]


def _show(found: dict[str, Any]) -> None:
    console = Console(file=sys.stdout)
    for one in found["experiments"]:
        console.print(
            Text(
                f"{one['experiment']} on {one['route']}: champion {one['champion']}, "
                f"challenger {one['challenger']}",
                style="bold",
            )
        )
        if not one["whole"]:
            console.print(Text("its beginning is not in the recording: evidence starts later"))
        console.print(checks_table(one["checks"]))
        for reading in one["checks"]:
            console.print(Text(f"  {reading['because']}"))
    if found["has_gap"]:
        console.print(Text(f"lines are missing ({found['lost']} are known to be)", style="yellow"))
