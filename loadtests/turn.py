"""One measurement: start a peer, warm it up, load it, count what it cost and what it did."""

import contextlib
import dataclasses
import functools
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests import cpu
from loadtests.cores import Cores, pin, pin_each
from loadtests.idle import holding, workers_share
from loadtests.launch import Launched, fetch, free_port
from loadtests.load import LoadResult, run_load
from loadtests.peers import Peer, Site, Staff, staff
from loadtests.report import Turn
from loadtests.upstream import COUNT_PATH
from loadtests.work import PATH, Mode, Shape, Work

WARM_UP_S = 1
SETTLE_S = 0.3
"""After the load, so that copies and observations put off are paid for too. Chosen."""
FEWEST_COPIES = 0.99
"""A mirror that copies less has not done the work."""
COUNTERS_S = 1.1
"""Until a router's counters have reached the admin port: they are sent each second."""
STANDARD_ERRORS = 6.0
"""How far from one half the challenger's share of a split may lie, by the number of users..."""
FARTHEST = 0.1
"""...and, however many they are, so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to measure."""

    seconds: int
    work: Work
    cores: Cores
    rate_per_s: float = 0.0
    """Of paced work; the same for every peer."""
    path: str = PATH
    """What is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Predictions that the two upstreams have answered."""

    champion: int
    challenger: int

    def __sub__(self, other: "Served") -> "Served":
        return Served(
            champion=self.champion - other.champion,
            challenger=self.challenger - other.challenger,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """The two model servers' stand-ins, by port."""

    champion_port: int
    challenger_port: int

    def served(self) -> Served:
        """Ask both how many predictions they have answered since they started."""
        return Served(champion=_count(self.champion_port), challenger=_count(self.challenger_port))


def _count(port: int) -> int:
    _, body = fetch(port, path=COUNT_PATH.decode())
    count: int = json.loads(body)["predictions"]
    return count


@contextlib.contextmanager
def running_upstreams(plan: Plan, directory: Path) -> Iterator[Upstreams]:
    """Run both stand-ins on the load generator's cores."""
    ports = {"champion": free_port(), "challenger": free_port()}
    with contextlib.ExitStack() as stack:
        for variant, port in ports.items():
            command = [*_upstream_command(plan.work), "--port", str(port), "--variant", variant]
            log = directory / f"{variant}.log"
            upstream = stack.enter_context(Launched(command, cores=plan.cores.load, log=log))
            upstream.wait_ready(functools.partial(_is_up, port))
        yield Upstreams(champion_port=ports["champion"], challenger_port=ports["challenger"])


def _upstream_command(work: Work) -> list[str]:
    if work.shape is Shape.STREAM:
        return [sys.executable, "-m", "loadtests.stream_upstream"]
    size = str(work.answer_bytes)
    return [sys.executable, "-m", "loadtests.upstream", "--answer-bytes", size]


def _is_up(port: int) -> bool:
    return fetch(port)[0] == 200


@contextlib.contextmanager
def running_peer(
    peer: Peer, program: str, upstreams: Upstreams, plan: Plan
) -> Iterator[tuple[Site, Launched]]:
    """Run one peer on the proxy's cores, in a fresh directory, until it does its work."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        site = Site(
            directory=Path(directory),
            port=free_port(),
            champion_port=upstreams.champion_port,
            challenger_port=upstreams.challenger_port,
            admin_port=free_port(),
            workers=plan.work.workers,
            is_stream=plan.work.shape is Shape.STREAM,
        )
        command = peer.command(program, site)
        log = site.directory / "peer.log"
        with Launched(command, cores=plan.cores.proxy, log=log) as launched:
            launched.wait_ready(functools.partial(peer.is_ready, site))
            yield site, launched


def place(staffed: Staff, cores: Cores) -> None:
    """Move a peer's processes to their cores, now that it is known which is which."""
    pin_each(staffed.data_plane, cores.proxy)
    pin(staffed.control, cores.control)


def measure(peer: Peer, program: str, upstreams: Upstreams, plan: Plan) -> Turn:
    """Take one peer through its work.

    Raises StartFailed or LoadFailed if there is nothing to measure, ProcessLookupError if one of
    the peer's processes ended under the load.
    """
    with running_peer(peer, program, upstreams, plan) as (site, launched):
        processes = staff(peer, launched.pid)
        place(processes, plan.cores)
        if plan.work.shape is Shape.IDLE:
            return measure_idle(peer.port(site), processes, plan)
        figures = {}
        if plan.work.workers > 1 and len(processes.data_plane) > 1:
            with holding(peer.port(site), plan.work.connections):
                figures["busiest_worker_share"] = workers_share(processes.data_plane, site.port)
        load(peer, site, plan, WARM_UP_S)
        time.sleep(SETTLE_S)
        dropped = peer.dropped(site) if peer.dropped is not None else 0.0
        turn = account(peer, site, processes, upstreams, plan)
        if peer.dropped is not None:
            time.sleep(COUNTERS_S)
            dropped = peer.dropped(site) - dropped
            figures["observations_dropped_share"] = dropped / max(turn.requests, 1)
    return dataclasses.replace(turn, figures={**figures, **turn.figures})


def account(peer: Peer, site: Site, processes: Staff, upstreams: Upstreams, plan: Plan) -> Turn:
    """Load a running, warm peer; return what that cost and what came of it."""
    served = upstreams.served()
    data_plane_s, control_s = cpu.busy_s(processes.data_plane), cpu.busy_s(processes.control)
    result = load(peer, site, plan, plan.seconds)
    time.sleep(SETTLE_S)
    data_plane_s = cpu.busy_s(processes.data_plane) - data_plane_s
    control_s = cpu.busy_s(processes.control) - control_s
    served = upstreams.served() - served
    per_request = 1e6 / max(result.requests, 1)
    return Turn(
        cpu_us_per_request=data_plane_s * per_request,
        control_cpu_us_per_request=control_s * per_request,
        requests=result.requests,
        requests_per_s=result.requests_per_s,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        rss_mb=cpu.resident_bytes(processes.data_plane) / 1e6,
        busy=data_plane_s / result.seconds / plan.work.workers,
        challenger_share=served.challenger / max(result.requests, 1),
        figures=result.figures,
        faults=find_faults(peer.mode, plan.work, result, served),
    )


def measure_idle(port: int, processes: Staff, plan: Plan) -> Turn:
    """Let every connection ask once, keep them all open, and look at the memory."""
    n = plan.work.connections
    empty_bytes = cpu.resident_bytes(processes.data_plane)
    with holding(port, n) as held:
        time.sleep(SETTLE_S)
        rss_bytes = cpu.resident_bytes(processes.data_plane)
        n_open = held.n_open()
    faults = () if n_open == n else (f"only {n_open} of {n} connections stayed open",)
    return Turn(
        cpu_us_per_request=0.0,
        control_cpu_us_per_request=0.0,
        requests=held.n_answered,
        requests_per_s=0.0,
        p50_ms=0.0,
        p99_ms=0.0,
        rss_mb=rss_bytes / 1e6,
        busy=0.0,
        challenger_share=0.0,
        figures={
            "rss_empty_mb": empty_bytes / 1e6,
            "kb_per_connection": (rss_bytes - empty_bytes) / n / 1e3,
        },
        faults=faults,
    )


def load(peer: Peer, site: Site, plan: Plan, seconds: int) -> LoadResult:
    """Send the plan's work to a running peer."""
    return run_load(
        peer.port(site),
        work=plan.work,
        seconds=seconds,
        cores=plan.cores.load,
        directory=site.directory,
        rate_per_s=plan.rate_per_s,
        path=plan.path,
    )


def find_faults(mode: Mode, work: Work, result: LoadResult, served: Served) -> tuple[str, ...]:
    """Say why a measurement does not count; empty when it does. Pure.

    wrk sees no status between 201 and 399; but the upstreams answer 200 only, so as many
    predictions served as answers received means that each answer was theirs.
    """
    faults = []
    if result.requests == 0:
        faults.append("no request was answered")
    if result.bad_statuses:
        faults.append(f"{result.bad_statuses} of {result.requests} answers were not 200")
    if result.broken:
        faults.append(f"{result.broken} connections were refused, cut or timed out")
    theirs = served.champion + (served.challenger if mode is Mode.SPLIT else 0)
    if theirs < result.requests:
        faults.append(f"{result.requests} answers, only {theirs} of them from an upstream")
    share = served.challenger / max(result.requests, 1)
    users = max(min(work.users, result.requests), 1)
    if mode is Mode.SPLIT and abs(share - 0.5) > max(
        FARTHEST, STANDARD_ERRORS * 0.5 / math.sqrt(users)
    ):
        faults.append(f"the challenger served {share:.0%} instead of half")
    if mode is Mode.MIRROR and share < FEWEST_COPIES:
        faults.append(f"only {share:.1%} of the requests were copied")
    return tuple(faults)
