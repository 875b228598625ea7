"""``understudy check``: what the routing file says, or every error in it."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.policy import RouteIntent, StageSpec
from router.table import BUCKETS
from sidecar.problem import ConfigError
from sidecar.routefile import Loaded, load_routefile

REFUSED = 2
END_HINT = (
    "end the file with a line `...`, YAML's document end mark: then a reload never takes a half "
    "written file for a whole one"
)


def check(file: Path, *, as_json: bool) -> int:
    """Check ``file`` and say so; return the exit code."""
    try:
        loaded = load_routefile(file)
    except ConfigError as exc:
        _refuse(exc, as_json=as_json)
        return REFUSED
    if as_json:
        sys.stdout.write(json.dumps(summary(loaded)) + "\n")
    else:
        sys.stdout.write(f"ok: {file} (sha256 {loaded.digest[:12]})\n")
        Console(file=sys.stdout).print(_table(loaded))
        sys.stdout.writelines(f"hint: {hint}\n" for hint in hints(loaded))
    return 0


def summary(loaded: Loaded) -> dict[str, Any]:
    """Return what ``--json`` writes for a sound file."""
    settings = loaded.settings
    return {
        "ok": True,
        "digest": loaded.digest,
        "listen": f"{settings.listen_host}:{settings.listen_port}",
        "admin": f"{settings.admin_host}:{settings.admin_port}",
        "state": str(settings.state),
        "routes": [_route(route) for route in loaded.intent.routes],
        "hints": hints(loaded),
    }


def hints(loaded: Loaded) -> list[str]:
    """Return what could be better in a sound file; empty if nothing."""
    return [] if loaded.is_marked else [END_HINT]


def _route(route: RouteIntent) -> dict[str, Any]:
    return {
        "name": route.name,
        "match": match_text(route),
        "champion": route.champion.name if route.cold_start is None else None,
        "challengers": [
            *([route.champion.name] if route.cold_start is not None else []),
            *(challenger.name for challenger in route.challengers),
        ],
        "stages": [stage_text(stage) for stage in route.stages],
        "metrics": {metric.name: metric.role.value for metric in route.metrics},
    }


def match_text(route: RouteIntent) -> str:
    """Return a match on one line: path, then host and header if they are declared."""
    match = route.match
    text = match.path
    if match.host is not None:
        text += f" host={match.host}"
    if match.header is not None:
        text += f" {match.header[0]}={match.header[1]}"
    return text


def stage_text(stage: StageSpec) -> str:
    """Return a stage with its shares.

    >>> from controller.policy import StageKind
    >>> stage_text(StageSpec(kind=StageKind.CANARY, shares_buckets=(500, 2500)))
    'canary 5% 25%'
    """
    buckets = stage.shares_buckets or ((stage.mirror_buckets,) if stage.mirror_buckets else ())
    return " ".join([stage.kind.value, *(f"{share * 100 / BUCKETS:g}%" for share in buckets)])


def _table(loaded: Loaded) -> Table:
    table = Table(box=None)
    for heading in ("route", "match", "champion", "challengers", "stages"):
        table.add_column(heading, overflow="fold")
    for route in loaded.intent.routes:
        shown = _route(route)
        table.add_row(
            *(escape(shown[key] or "(none yet)") for key in ("name", "match", "champion")),
            escape(", ".join(shown["challengers"]) or "-"),
            " > ".join(shown["stages"]) or "-",
        )
    return table


def _refuse(error: ConfigError, *, as_json: bool) -> None:
    if not as_json:
        n = len(error.problems)
        sys.stderr.write(f"{error}\n{n} error{'s' if n > 1 else ''} in {error.file}\n")
        return
    errors = [
        {
            "file": error.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "found": problem.found,
            "expected": problem.expected,
        }
        for problem in error.problems
    ]
    sys.stdout.write(json.dumps({"ok": False, "errors": errors}) + "\n")
