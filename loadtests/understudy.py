"""Understudy as a peer: ``understudy run`` on a file of its own, in the state that a mode asks for.

``understudy_peer`` is the one place that knows how the sidecar is started and asked; the peer
that starts a router worker alone is in router_alone.py.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.launch import fetch
from loadtests.peers import Peer, Site, answers, write
from loadtests.work import Mode

ROUTE = "bench"
ROUTER = "-m router.worker"
"""What the command line of a router process holds."""
DROPPED = "understudy_observations_dropped_total{"
WANTED = {
    Mode.SPLIT: {"phase": "canary", "share": 0.5},
    Mode.MIRROR: {"phase": "shadow", "mirror_share": 1.0},
}
"""What the route's status says once the rollout stands where the measurement needs it."""


def understudy_peer(mode: Mode, challengers: int = 1) -> Peer:
    """Understudy with everything on; challengers after the first one wait for their turn."""

    def command(program: str, site: Site) -> list[str]:
        path = Path(write(f"understudy-{mode.value}.yaml", site))
        path.write_text(add_challengers(path.read_text(), challengers - 1))
        return [program, "run", str(path)]

    return Peer(
        name=f"understudy-{mode.value}",
        mode=mode,
        find=_find,
        command=command,
        is_data_plane=is_router,
        is_ready=_is_in_phase(WANTED[mode]),
        dropped=dropped_observations,
    )


def add_challengers(text: str, n: int) -> str:
    """Return the routing file with ``n`` more challengers, at the address of the first. Pure."""
    lines = text.splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if "name: bench-2" in line)
    more = [lines[at].replace("bench-2", f"bench-{3 + number}") for number in range(n)]
    return "".join([*lines[: at + 1], *more, *lines[at + 1 :]])


def dropped_observations(site: Site) -> float:
    """Ask the admin port how many observations the routers have dropped. OSError if it is away."""
    return read_dropped(fetch(site.admin_port, path="/metrics")[1].decode())


def read_dropped(metrics: str) -> float:
    """Sum the counter over its labels, in Prometheus' text. Pure."""
    lines = [line for line in metrics.splitlines() if line.startswith(DROPPED)]
    return sum(float(line.split()[-1]) for line in lines)


def is_router(command_line: str) -> bool:
    """Whether a process is a router: the data plane."""
    return ROUTER in command_line


def _find() -> str | None:
    """Return the program of the environment that we run in."""
    return shutil.which("understudy", path=str(Path(sys.executable).parent))


def _is_in_phase(wanted: dict[str, object]) -> Callable[[Site], bool]:
    def is_ready(site: Site) -> bool:
        status, body = fetch(site.admin_port, path="/v1/status")
        if status != 200 or not is_in_force(json.loads(body), wanted, site.workers):
            return False
        return answers(site)

    return is_ready


def is_in_force(status: dict[str, Any], wanted: dict[str, object], workers: int) -> bool:
    """Whether the route stands as wanted *and* every router works by that table. Pure.

    At first the status is nearly empty; and the controller may be a second ahead of a router that
    has not found its socket yet.
    """
    routes = [route for route in status.get("routes", []) if route["name"] == ROUTE]
    versions = [router["table_version"] for router in status.get("routers", [])]
    is_applied = versions == [status.get("table_version")] * workers
    return is_applied and any(
        all(route[key] == value for key, value in wanted.items()) for route in routes
    )
