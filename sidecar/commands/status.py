"""``understudy status``: what a running sidecar does, and what it waits for."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sidecar.adminport import AdminRefused, AdminUnreachable, get
from sidecar.exitcode import ExitCode
from sidecar.terminal import console

WATCH_EVERY_S = 2.0

_STYLE = {"passed": "green", "undecided": "yellow", "tripped": "red", "unknown": "magenta"}


def status(admin: str, *, as_json: bool, watch: bool) -> int:
    """Show the status of the sidecar at ``admin``; return the exit code."""
    out = console()
    try:
        if as_json:
            _each(lambda: _write_json(get(admin, "/v1/status")), watch=watch)
        elif watch:
            with Live(console=out, auto_refresh=False) as live:
                _each(lambda: live.update(page(get(admin, "/v1/status")), refresh=True), watch=True)
        else:
            out.print(page(get(admin, "/v1/status")))
    except KeyboardInterrupt:
        return ExitCode.DONE
    except AdminUnreachable as exc:
        sys.stderr.write(f"{exc}\n")
        return ExitCode.SILENT
    except AdminRefused as exc:
        sys.stderr.write(f"{exc}\n")
        return ExitCode.FAILED
    return ExitCode.DONE


def _each(show: Callable[[], None], *, watch: bool) -> None:
    show()
    while watch:
        time.sleep(WATCH_EVERY_S)
        show()


def _write_json(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def page(answer: dict[str, Any]) -> RenderableType:
    """Return the status as tables. Text from the sidecar is never read as markup."""
    parts: list[RenderableType] = [_head(answer)]
    if answer.get("stale_s") is not None:
        text = f"the controller does not answer: this is {duration_text(answer['stale_s'])} old"
        parts.append(Text(text, style="red"))
    if answer.get("store_error"):
        text = f"nothing can be made durable, so nothing is promoted: {answer['store_error']}"
        parts.append(Text(text, style="red"))
    if answer.get("config_error"):
        parts.append(Text(f"routing file refused: {answer['config_error']}", style="red"))
    for route in answer.get("routes", []):
        parts += [Text(), *_route(route)]
    return Group(*parts)


def _head(answer: dict[str, Any]) -> Text:
    routers = answer.get("routers", [])
    digest = str(answer.get("config_digest", ""))[:12]
    return Text(
        f"understudy {answer.get('version')} at {answer.get('at')}: table "
        f"{answer.get('table_version')}, routing file {digest}, {len(routers)} routers"
    )


def _route(route: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(headline(route), style="bold")]
    if route.get("held_by"):
        parts.append(Text(f"held by {route['held_by']}", style="yellow"))
    if route.get("phase") == "rolled_back" and route.get("because"):
        parts.append(Text(f"  because: {route['because']}"))
    standby = route.get("standby") or {}
    if standby.get("requests"):
        parts.append(Text(_standby(standby), style="yellow"))
    if progress := route.get("gate_progress"):
        parts.append(Text(f"golden rows: {progress['rows_done']} of {progress['rows']}"))
    parts += [Text(line, style="yellow") for line in unsound_lines(route)]
    if route.get("checks"):
        parts.append(checks_table(route["checks"]))
        parts += [Text(f"  {reading.get('because', '')}") for reading in route["checks"]]
        if any(reading.get("role") == "proxy" for reading in route["checks"]):
            parts.append(Text("  a proxy may warn, hold and roll back; it never promotes"))
    if maturing := route.get("maturing"):
        parts.append(Text(maturing_line(maturing)))
    parts += [Text(f"missing: {item}") for item in route.get("missing") or []]
    if route.get("missing"):
        parts.append(Text(f"why, and until when: understudy explain {route.get('name')}"))
    if route.get("expected_seconds") is not None:
        parts.append(Text(f"decision expected in {duration_text(route['expected_seconds'])}"))
    return parts


def _standby(standby: dict[str, Any]) -> str:
    line = f"standby {standby.get('name')} was given {standby['requests']} requests"
    resting = standby.get("routers_resting_the_champion")
    return f"{line}; the champion rests in {resting} routers" if resting else line


def unsound_lines(route: dict[str, Any]) -> list[str]:
    """Return a line for each thing that is wrong beside the challenger: a broken champion with
    those who could take its place, and each stage of a chain."""
    lines = []
    health = (route.get("health") or {}).get("champion") or {}
    if health.get("is_broken"):
        failed = f"{health['failed']} of {health['n']} answers failed"
        lines.append(f"the champion is broken: {failed}, limit {percent(health['limit'])}")
        landings = route.get("landings") or {}
        lines += [f"  {name} in its place: {told}" for name, told in landings.items()]
    for stage in route.get("chain") or []:
        told = f"{stage['state']} ({stage['check']}: {stage['because']})"
        lines.append(f"chain: {stage['route']}: {told}")
    return lines


def maturing_line(maturing: dict[str, Any]) -> str:
    """Return one line on observations by what became of them and their labels."""
    line = f"labels: {maturing['judged']} judged, {maturing['missing']} of them without one"
    if maturing.get("needless"):
        line += f", {maturing['needless']} that needed none"
    line += f"; {maturing['waiting']} wait"
    if maturing.get("oldest_s") is not None:
        line += f", the oldest for {duration_text(maturing['oldest_s'])}"
    if maturing.get("looked_at"):
        line += f"; {maturing['labelled']} of the oldest {maturing['looked_at']} have theirs"
    return line


def headline(route: dict[str, Any]) -> str:
    """Return one line on who answers a route and where its rollout stands."""
    line = f"{route.get('name')}: champion {route.get('champion') or '(none yet)'}"
    if not route.get("challenger"):
        return f"{line}, no challenger"
    line += f", challenger {route['challenger']} in {route.get('phase')}"
    if route.get("phase") == "canary" and route.get("steps"):
        line += f" step {int(route.get('step') or 0) + 1} of {route['steps']}"
    line += f", serves {percent(route.get('share'))}"
    if route.get("mirror_share"):
        line += f", sees a copy of {percent(route['mirror_share'])}"
    if glass := route.get("break_glass"):
        left = duration_text(float(glass.get("left_s") or 0.0))
        line += f"; BREAK-GLASS by {glass.get('who')}, {left} left"
    return line


def checks_table(checks: list[dict[str, Any]]) -> Table:
    """Return the readings of an experiment as a table."""
    heads = ("check", "role", "from", "state", "odds", "of harm", "effect", "interval", "n")
    table = Table(*heads, box=None)
    for reading in checks:
        state = str(reading.get("state"))
        table.add_row(
            Text(str(reading.get("check"))),
            Text(str(reading.get("role"))),
            Text(_source(reading)),
            Text(state, style=_STYLE.get(state, "")),
            Text(_number(reading.get("odds"))),
            Text(_number(reading.get("odds_harm"))),
            Text(_number(reading.get("effect"))),
            Text(f"{_number(reading.get('low'))} .. {_number(reading.get('high'))}"),
            Text(str(reading.get("n", "-"))),
        )
    return table


def _source(reading: dict[str, Any]) -> str:
    """Return what a check reads: labels, answers as they come, or neither."""
    if reading.get("role") == "integrity":
        return "-"
    return "labels" if reading.get("needs_labels") else "answers"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float)) else "-"


def percent(share: Any) -> str:
    """Return a fraction as a percentage, ``-`` for none."""
    return f"{share * 100:g}%" if isinstance(share, (int, float)) else "-"


def duration_text(seconds: float) -> str:
    """Return a duration in its largest sensible unit.

    >>> duration_text(42.0), duration_text(7200)
    ('42 s', '2 h')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and unit != "min"):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
