"""One measurement: start a peer, warm it up, load it, count what it cost and what it did."""

import contextlib
import functools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests import cpu
from loadtests.launch import Launched, fetch, free_port
from loadtests.load import LoadResult, run_load
from loadtests.peers import Peer, Site, staff
from loadtests.report import Turn
from loadtests.upstream import COUNT_PATH
from loadtests.work import Mode, Work

WARM_UP_S = 1
SETTLE_S = 0.3
"""After the load, so that copies and observations put off are paid for too. Chosen."""
FEWEST_COPIES = 0.99
"""A mirror that copies less has not done the work."""
HALF = (0.4, 0.6)
"""Where the challenger's share of a split must lie: 1,024 users hashed, six standard errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to measure."""

    seconds: int
    work: Work
    proxy_core: int
    load_core: int


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
    """Run both stand-ins on the load generator's core."""
    ports = {"champion": free_port(), "challenger": free_port()}
    with contextlib.ExitStack() as stack:
        for variant, port in ports.items():
            command = [sys.executable, "-m", "loadtests.upstream", "--port", str(port)]
            command += ["--variant", variant, "--answer-bytes", str(plan.work.answer_bytes)]
            log = directory / f"{variant}.log"
            upstream = stack.enter_context(Launched(command, core=plan.load_core, log=log))
            upstream.wait_ready(functools.partial(_is_up, port))
        yield Upstreams(champion_port=ports["champion"], challenger_port=ports["challenger"])


def _is_up(port: int) -> bool:
    return fetch(port)[0] == 200


@contextlib.contextmanager
def running_peer(
    peer: Peer, program: str, upstreams: Upstreams, plan: Plan
) -> Iterator[tuple[Site, Launched]]:
    """Run one peer on the proxy's core, in a fresh directory, until it does its work."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        site = Site(
            directory=Path(directory),
            port=free_port(),
            champion_port=upstreams.champion_port,
            challenger_port=upstreams.challenger_port,
            admin_port=free_port(),
        )
        command = peer.command(program, site)
        log = site.directory / "peer.log"
        with Launched(command, core=plan.proxy_core, log=log) as launched:
            launched.wait_ready(functools.partial(peer.is_ready, site))
            yield site, launched


def measure(peer: Peer, program: str, upstreams: Upstreams, plan: Plan) -> Turn:
    """Take one peer through warm-up and load.

    Raises StartFailed or LoadFailed if there is nothing to measure, ProcessLookupError if one of
    the peer's processes ended under the load.
    """
    with running_peer(peer, program, upstreams, plan) as (site, launched):
        _load(site, plan, WARM_UP_S)
        time.sleep(SETTLE_S)
        processes = staff(peer, launched.pid)
        served = upstreams.served()
        data_plane, control = cpu.cpu_time(processes.data_plane), cpu.cpu_time(processes.control)
        result = _load(site, plan, plan.seconds)
        time.sleep(SETTLE_S)
        data_plane = cpu.cpu_time(processes.data_plane) - data_plane
        control = cpu.cpu_time(processes.control) - control
        served = upstreams.served() - served
        rss_bytes = cpu.resident_bytes(processes.data_plane)
    per_request = 1e6 / max(result.requests, 1)
    return Turn(
        cpu_us_per_request=data_plane.total_s * per_request,
        control_cpu_us_per_request=control.total_s * per_request,
        requests=result.requests,
        requests_per_s=result.requests_per_s,
        p50_ms=result.p50_ms,
        p99_ms=result.p99_ms,
        rss_mb=rss_bytes / 1e6,
        busy=data_plane.total_s / result.seconds,
        challenger_share=served.challenger / max(result.requests, 1),
        faults=find_faults(peer.mode, result, served),
    )


def _load(site: Site, plan: Plan, seconds: int) -> LoadResult:
    return run_load(
        site.port,
        work=plan.work,
        seconds=seconds,
        core=plan.load_core,
        directory=site.directory,
    )


def find_faults(mode: Mode, result: LoadResult, served: Served) -> tuple[str, ...]:
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
    if mode is Mode.SPLIT and not HALF[0] <= share <= HALF[1]:
        faults.append(f"the challenger served {share:.0%} instead of half")
    if mode is Mode.MIRROR and share < FEWEST_COPIES:
        faults.append(f"only {share:.1%} of the requests were copied")
    return tuple(faults)
