"""The table "cost as the work grows": what a request costs as one thing after the other is more.

``python -m loadtests.growth [--seconds S] [--window S] [--json FILE]``; `make bench` ends with it.
Each dimension grows alone, from its first line; a cost that grows with it is seen by the factor.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from loadtests import cpu
from loadtests.cores import choose_cores
from loadtests.grid import Grid
from loadtests.launch import StartFailed
from loadtests.load import LoadFailed
from loadtests.peers import Peer, staff
from loadtests.router_alone import LONG_PATH, Crowd, router_peer
from loadtests.turn import (
    SETTLE_S,
    WARM_UP_S,
    Plan,
    Upstreams,
    account,
    load,
    place,
    running_peer,
    running_upstreams,
)
from loadtests.understudy import understudy_peer
from loadtests.work import PATH, PREDICT, Mode
from router.matcher import Matcher
from router.parser import parse_request
from router.table import Match

SECONDS = 2
"""Of load for each line."""
WINDOW_S = 10
WINDOWS = 3
"""How often WINDOW_S of load follow each other for the lines of time."""
REST_S = 1.0
"""How long the peer is watched with nothing to do."""
FINDS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One line: one thing at one size."""

    dimension: str
    size: int
    cpu_us_per_request: float
    """Of the router. For the matcher alone: of one look-up, in this process, interpreted."""
    requests_per_s: float = 0.0
    rss_mb: float = 0.0
    rest_cpu_ms_per_s: float = 0.0
    """What the router computes in a second without requests."""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line to measure."""

    dimension: str
    size: int
    peer: Peer
    connections: int = 32
    path: str = PATH


def all_cases() -> list[Case]:
    """Return what is measured under load, each dimension from small to large."""
    split = Mode.SPLIT
    cases = [
        Case(dimension="connections", size=size, peer=router_peer(split), connections=size)
        for size in (1, 32, 256, 1000)
    ]
    for dimension, crowd in CROWDS.items():
        path = LONG_PATH if crowd is Crowd.PREFIXES else PATH
        cases += [
            Case(
                dimension=dimension,
                size=size,
                peer=router_peer(split, crowd, size - 1),
                path=path,
            )
            for size in (1, 100, 1000)
        ]
    cases += [
        Case(dimension="challengers in the file", size=size, peer=understudy_peer(split, size))
        for size in (1, 4, 16)
    ]
    return cases


CROWDS = {
    "routes, exact paths": Crowd.PATHS,
    "routes, prefixes of different lengths": Crowd.PREFIXES,
    "routes on one path, by host": Crowd.HOSTS,
}


def grow(
    seconds: int, window_s: int, console: Console, cases: Sequence[Case] | None = None
) -> list[Point]:
    """Measure all lines; one that cannot be measured is said, and left out."""
    points: list[Point] = []
    plan = Plan(seconds=seconds, work=PREDICT, cores=choose_cores(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="growth-") as directory:
        with running_upstreams(plan, Path(directory)) as upstreams:
            for case in all_cases() if cases is None else cases:
                with _said(case.dimension, console):
                    points.append(_tell(measure(case, upstreams, plan), console))
            if window_s:
                with _said("time", console):
                    for point in measure_time(upstreams, plan, window_s):
                        points.append(_tell(point, console))
    return points + [measure_matcher(size) for size in (1, 100, 1000, 10_000)]


@contextlib.contextmanager
def _said(dimension: str, console: Console) -> Iterator[None]:
    try:
        yield
    except (StartFailed, LoadFailed, OSError) as exc:
        console.print(f"[bold red]FAILED[/] {dimension}: {exc}", highlight=False)


def _tell(point: Point, console: Console) -> Point:
    said = f"growth   {point.dimension:38}{point.size:7}{point.cpu_us_per_request:8.1f} us"
    console.print(said, highlight=False)
    return point


def measure(case: Case, upstreams: Upstreams, plan: Plan) -> Point:
    """Start the case's peer afresh, load it, and watch it rest."""
    work = dataclasses.replace(plan.work, connections=case.connections)
    plan = dataclasses.replace(plan, work=work, path=case.path)
    program = case.peer.find()
    if program is None:
        raise StartFailed(f"{case.peer.name} is not installed")
    with running_peer(case.peer, program, upstreams, plan) as (site, launched):
        processes = staff(case.peer, launched.pid)
        place(processes, plan.cores)
        load(case.peer, site, plan, WARM_UP_S)
        time.sleep(SETTLE_S)
        turn = account(case.peer, site, processes, upstreams, plan)
        before_s = cpu.busy_s(processes.data_plane)
        time.sleep(REST_S)
        rest_s = cpu.busy_s(processes.data_plane) - before_s
    return Point(
        dimension=case.dimension,
        size=case.size,
        cpu_us_per_request=turn.cpu_us_per_request,
        requests_per_s=turn.requests_per_s,
        rss_mb=turn.rss_mb,
        rest_cpu_ms_per_s=rest_s / REST_S * 1e3,
        faults=turn.faults,
    )


def measure_time(
    upstreams: Upstreams, plan: Plan, window_s: int, windows: int = WINDOWS
) -> Iterator[Point]:
    """Load one Understudy for ``windows`` times ``window_s``; yield a line for each window."""
    peer = understudy_peer(Mode.SPLIT)
    plan = dataclasses.replace(plan, seconds=window_s)
    program = peer.find()
    if program is None:
        raise StartFailed("understudy is not installed")
    with running_peer(peer, program, upstreams, plan) as (site, launched):
        processes = staff(peer, launched.pid)
        place(processes, plan.cores)
        load(peer, site, plan, WARM_UP_S)
        time.sleep(SETTLE_S)
        for number in range(1, windows + 1):
            turn = account(peer, site, processes, upstreams, plan)
            yield Point(
                dimension="seconds under load",
                size=number * window_s,
                cpu_us_per_request=turn.cpu_us_per_request,
                requests_per_s=turn.requests_per_s,
                rss_mb=turn.rss_mb,
                faults=turn.faults,
            )


class Claim(Struct, frozen=True):
    """What a route is to the matcher."""

    match: Match


def measure_matcher(size: int) -> Point:
    """Time look-ups among ``size`` prefixes of some 250 lengths, for a path that none but one fits.

    The one that fits is the shortest, so that all the others might have.
    """
    claims = [Claim(Match(path="/v1/*"))]
    for number in range(size - 1):
        claims.append(Claim(Match(path=f"/v1/models/{number:06}{'x' * (number % 251)}/*")))
    find = Matcher(claims).find
    path = b"/v1/models/zzzzzz" + b"x" * 300
    head = parse_request(b"POST %b HTTP/1.1\r\nhost: a.example\r\n\r\n" % path)
    assert find(head) is claims[0]
    began = time.perf_counter()
    for _ in range(FINDS):
        find(head)
    each_us = (time.perf_counter() - began) / FINDS * 1e6
    return Point(dimension="matcher alone, prefixes", size=size, cpu_us_per_request=each_us)


def to_json(points: Sequence[Point]) -> list[dict[str, object]]:
    """Return the lines for the JSON."""
    return [
        {
            "dimension": point.dimension,
            "size": point.size,
            "cpu_us_per_request": round(point.cpu_us_per_request, 3),
            "requests_per_s": round(point.requests_per_s, 1),
            "rss_mb": round(point.rss_mb, 1),
            "rest_cpu_ms_per_s": round(point.rest_cpu_ms_per_s, 2),
            "valid": not point.faults,
            "faults": list(point.faults),
        }
        for point in points
    ]


def growth_grid(points: Sequence[Point]) -> Grid:
    """Return the table; each line against the first of its dimension. Pure."""
    first: dict[str, Point] = {}
    rows = []
    for point in points:
        base = first.setdefault(point.dimension, point)
        factor = point.cpu_us_per_request / (base.cpu_us_per_request or 1.0)
        rows.append(
            (
                point.dimension if not point.faults else f"{point.dimension} INVALID",
                f"{point.size:,}",
                f"{point.cpu_us_per_request:.1f}",
                f"{factor:.2f}",
                f"{point.requests_per_s:,.0f}" if point.requests_per_s else "",
                f"{point.rss_mb:.1f}" if point.rss_mb else "",
                f"{point.rest_cpu_ms_per_s:.1f}" if point.rest_cpu_ms_per_s else "",
            )
        )
    return Grid(
        title="Cost as the work grows",
        columns=(
            *("what grows", "to", "CPU us/req", "factor", "req/s", "RSS MB"),
            "at rest, ms/s",
        ),
        rows=tuple(rows),
        red=frozenset(f"{point.dimension} INVALID" for point in points if point.faults),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="loadtests.growth", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of load for each line")
    parser.add_argument("--window", type=int, default=WINDOW_S, help="of the lines of time, s")
    parser.add_argument("--json", type=Path, default=Path("build/growth.json"), metavar="FILE")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    console = Console(width=None if sys.stdout.isatty() else 160)
    points = grow(options.seconds, options.window, console)
    grid = growth_grid(points)
    console.print(grid.to_rich())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"growth": to_json(points)}, indent=2) + "\n")
    options.json.with_suffix(".md").write_text(grid.to_markdown())
    sys.exit(0 if points and not any(point.faults for point in points) else 1)


if __name__ == "__main__":
    main()
