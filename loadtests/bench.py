"""``make bench``: every peer in turn, the same work, processor time per request.

``python -m loadtests.bench [--rounds N] [--seconds S] [--only NAMES] [--json FILE]``
Exit code 1 when a row is invalid or a peer failed. README.md says how to read the figures.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadtests.launch import StartFailed
from loadtests.load import LoadFailed
from loadtests.peers import (
    INSTALL,
    Peer,
    aiohttp_peer,
    envoy_peer,
    haproxy_peer,
    nginx_peer,
    relay_peer,
)
from loadtests.report import Row, Turn, show, summarise, to_json
from loadtests.router_alone import router_peer
from loadtests.turn import Plan, measure, running_upstreams
from loadtests.understudy import understudy_peer
from loadtests.work import PREDICT, Mode

ROUNDS = 5
SECONDS = 4


def all_peers() -> list[Peer]:
    """Return every peer, in the order of their turns."""
    both = (Mode.SPLIT, Mode.MIRROR)
    return [
        *(understudy_peer(mode) for mode in both),
        *(envoy_peer(mode) for mode in both),
        *(nginx_peer(mode) for mode in both),
        haproxy_peer(),
        *(aiohttp_peer(mode) for mode in both),
        relay_peer(),
    ]


def choose_peers(only: str | None) -> list[Peer]:
    """Return the peers that ``only`` names (a name or its beginning, by comma); all for None.

    The router alone is measured only when it is named. ValueError for a name that is nobody's.
    """
    if only is None:
        return all_peers()
    peers = [*all_peers(), router_peer(Mode.SPLIT), router_peer(Mode.MIRROR)]
    wanted = [name.strip() for name in only.split(",")]
    for name in wanted:
        if not any(peer.name.startswith(name) for peer in peers):
            known = ", ".join(peer.name for peer in peers)
            raise ValueError(f"no peer is called {name!r}; known: {known}")
    return [peer for peer in peers if peer.name.startswith(tuple(wanted))]


def find_programs(peers: Sequence[Peer], console: Console) -> dict[str, str]:
    """Return each installed peer's program by name; warn of the others."""
    programs = {}
    for peer in peers:
        program = peer.find()
        if program is None:
            console.print(f"[yellow]left out[/] {peer.name}: not installed, run {INSTALL}")
        else:
            programs[peer.name] = program
    return programs


def choose_cores() -> tuple[int, int]:
    """Return the proxy's core and the load's; the same one twice if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[min(1, len(cores) - 1)]


def run(
    peers: Sequence[Peer], plan: Plan, *, rounds: int, console: Console
) -> tuple[list[Row], int]:
    """Measure all installed peers, ``rounds`` times in turn; return their rows.

    A peer that cannot be started or loaded, in any round, gets no row, is said loudly, and counts
    in the second number returned.
    """
    programs = find_programs(peers, console)
    turns: dict[str, list[Turn]] = {name: [] for name in programs}
    n_installed = len(programs)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        with running_upstreams(plan, Path(directory)) as upstreams:
            for number in range(1, rounds + 1):
                for peer in peers:
                    if peer.name not in programs:
                        continue
                    try:
                        turn = measure(peer, programs[peer.name], upstreams, plan)
                    except (StartFailed, LoadFailed, ProcessLookupError) as exc:
                        console.print(f"[bold red]FAILED[/] {peer.name}: {exc}", highlight=False)
                        del programs[peer.name]
                        continue
                    turns[peer.name].append(turn)
                    cost = f"{turn.cpu_us_per_request:8.1f} us/request"
                    console.print(f"round {number}  {peer.name:18}{cost}", highlight=False)
    rows = [summarise(name + plan.work.suffix, turns[name]) for name in programs]
    return rows, n_installed - len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="loadtests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of load per turn")
    parser.add_argument("--only", metavar="NAMES", help="names or their beginnings, by comma")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), metavar="FILE")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    try:
        peers = choose_peers(options.only)
    except ValueError as exc:
        parser.error(str(exc))
    # Without this, SIGTERM would end us alone and leave the peer and the upstreams running.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(bench(peers, options.rounds, options.seconds, options.json))


def bench(peers: Sequence[Peer], rounds: int, seconds: int, json_file: Path) -> int:
    """Measure, print the table, write the JSON; return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    proxy_core, load_core = choose_cores()
    if proxy_core == load_core:
        console.print("[yellow]one core only: proxy and load share it, latencies mean little[/]")
    if shutil.which("wrk") is None:
        console.print(f"[yellow]wrk is not installed, run {INSTALL}; using our own generator[/]")
    plan = Plan(seconds=seconds, work=PREDICT, proxy_core=proxy_core, load_core=load_core)
    rows, n_failed = run(peers, plan, rounds=rounds, console=console)
    show(rounds, rows, console)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(to_json(rounds, rows), indent=2) + "\n")
    console.print(f"written to {json_file}", highlight=False)
    return 0 if rows and not n_failed and all(row.is_valid for row in rows) else 1


if __name__ == "__main__":
    main()
