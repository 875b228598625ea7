"""``understudy gate``: the gates of a route against its servers, from a shell or a CI pipeline."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from controller.account import report_json
from controller.gates import functional, performance, security
from controller.gates.golden import GoldenError
from controller.gates.performance import is_undecided
from controller.gates.report import GateReport
from controller.gates.scanmemory import ScanMemory
from controller.gates.task import GateTask
from controller.policy import RouteIntent, StageKind, StageSpec
from sidecar.exitcode import ExitCode
from sidecar.problem import ConfigError
from sidecar.routefile import load_routefile

GATES = {
    "functional": StageKind.FUNCTIONAL,
    "performance": StageKind.PERFORMANCE,
    "security": StageKind.SECURITY,
}

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says."""

    file: Path
    route: str
    challenger: str | None
    only: tuple[str, ...]
    as_json: bool


class _Wrong(Exception):
    """What was asked for is not in the file; the message says what there is."""


def gate(asked: Asked) -> int:
    """Run the gates in order until one is not passed; return the exit code."""
    try:
        tasks = _tasks(asked)
    except ConfigError as exc:
        sys.stderr.write(f"{exc}\n")
        return ExitCode.USAGE
    except _Wrong as exc:
        sys.stderr.write(f"understudy gate: {exc}\n")
        return ExitCode.USAGE
    reports: list[tuple[GateTask, GateReport]] = []
    for task in tasks:
        with _bar(task, is_shown=not asked.as_json) as tell:
            report = asyncio.run(_run(task, tell))
        reports.append((task, report))
        if not asked.as_json:
            _show(task, report)
        if not report.passed:
            break
    if asked.as_json:
        sys.stdout.write(json.dumps(_summary(asked.route, reports)) + "\n")
    return _exit_code([report for _, report in reports])


def _tasks(asked: Asked) -> list[GateTask]:
    wanted = {name: GATES.get(name) for name in asked.only or GATES}
    if None in wanted.values():
        raise _Wrong(f"--only must be one of {', '.join(GATES)}")
    routes = load_routefile(asked.file).intent.routes
    route = next((one for one in routes if one.name == asked.route), None)
    if route is None:
        raise _Wrong(f"no route {asked.route!r}; there are {', '.join(r.name for r in routes)}")
    stages = [stage for stage in route.stages if stage.kind in wanted.values()]
    if not stages:
        raise _Wrong(f"route {route.name!r} declares none of the stages {', '.join(wanted)}")
    return [_task(route, stage, asked.challenger) for stage in stages]


def _task(route: RouteIntent, stage: StageSpec, name: str | None) -> GateTask:
    challengers = [one for one in route.challengers if name in (None, one.name)]
    if not challengers:
        there = ", ".join(one.name for one in route.challengers) or "none"
        raise _Wrong(f"no challenger {name or ''} in route {route.name!r}; there are {there}")
    return GateTask(
        route=route,
        stage=stage,
        experiment="",
        challenger=challengers[0],
        champion=route.champion,
    )


async def _run(task: GateTask, tell: Tell) -> GateReport:
    """Run one gate, once: what a sidecar would ask again is not passed here."""
    try:
        async with asyncio.timeout(task.stage.at_most_s):
            return await _ask(task, tell)
    except TimeoutError:
        because = f"it took longer than at_most, {task.stage.at_most_s:g} s"
        return GateReport(task.challenger.name, False, because)


async def _ask(task: GateTask, tell: Tell) -> GateReport:
    if task.kind is StageKind.FUNCTIONAL:
        return await functional.run(functional.task_of(task))
    if task.kind is StageKind.SECURITY:
        return await security.run(await security.task_of(task, ScanMemory()))
    try:
        asked = await asyncio.to_thread(performance.task_of, task)
    except GoldenError as error:
        return GateReport(task.challenger.name, False, str(error))
    return await performance.run(asked, tell)


@contextmanager
def _bar(task: GateTask, *, is_shown: bool) -> Iterator[Tell]:
    """Show how far the golden rows are, on standard error, and only to people."""
    if not is_shown or task.kind is not StageKind.PERFORMANCE:
        yield lambda done, of: None
        return
    columns = (
        TextColumn("golden rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        line = bar.add_task("golden rows", total=None)
        yield lambda done, of: bar.update(line, completed=done, total=of)


def _show(task: GateTask, report: GateReport) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    word, style = _word(report)
    console.print(Text(f"{task.kind.value} of {report.challenger}: {word}", style=style))
    for check in report.checks:
        mark = "ok  " if check.passed else f"{check.numbers.get('verdict', 'failed')}: "
        console.print(Text(f"  {mark}{check.name}: {check.because}"))
    if not report.passed:
        console.print(Text(f"  {report.because}", style=style))


def _word(report: GateReport) -> tuple[str, str]:
    if report.passed:
        return "passed", "green"
    return ("undecided", "yellow") if is_undecided(report) else ("failed", "red")


def _summary(route: str, reports: Sequence[tuple[GateTask, GateReport]]) -> dict[str, Any]:
    return {
        "route": route,
        "passed": all(report.passed for _, report in reports),
        "gates": [
            {"gate": task.kind.value, "challenger": report.challenger, "verdict": _word(report)[0]}
            | report_json(report)
            for task, report in reports
        ],
    }


def _exit_code(reports: Sequence[GateReport]) -> int:
    last = reports[-1]
    if last.passed:
        return ExitCode.DONE
    return ExitCode.UNDECIDED if is_undecided(last) else ExitCode.FAILED
