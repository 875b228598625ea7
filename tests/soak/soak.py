"""One soak: faults in turn, each between two quiet spells, under a steady load."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from router.tasks import spawn
from tests.soak.clients import Clients
from tests.soak.faults import FAULTS, Site
from tests.soak.report import Sample, Summary, is_complete
from tests.soak.sidecar import SoakSidecar

QUIET = "quiet"
CALIBRATION_S = 3.0
SHARE_OF_CAPACITY = 0.5
SAMPLE_EVERY_S = 0.5
ACCOUNTED_S = 30.0
"""How long the last copies and observations may take to be accounted for."""
IDLE_S = 15.0
"""How long kept connections may stand once nobody asks; to variants it is 4 s."""
LABELS_AT_ONCE = 200

Say = Callable[[str], None]


@dataclass
class Options:
    """What a soak is asked to do."""

    minutes: float = 30.0
    rate: float = 0.0
    """Requests a second; 0: half of what the router can do on this machine."""
    phase_s: float = 8.0
    quiet_s: float = 4.0
    seed: int = 1
    cycles: int = 0
    """How often each fault comes; 0: until the time is over."""
    faults: list[str] = field(default_factory=lambda: list(FAULTS))


class Watch:
    """Samples the router process, and posts labels, until stopped."""

    def __init__(self, sidecar: SoakSidecar, clients: Clients) -> None:
        self.samples: list[Sample] = []
        self.n_labels = 0
        self.n_labels_refused = 0
        self._sidecar = sidecar
        self._clients = clients
        self._pid = sidecar.pid("router 0")
        self._began_s = time.monotonic()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            self.samples.append(self._sample())
            await self._label()

    def _sample(self) -> Sample:
        status = Path(f"/proc/{self._pid}/status").read_text()
        (line,) = (one for one in status.splitlines() if one.startswith("VmRSS"))
        at_s = time.monotonic() - self._began_s
        rss_mib = int(line.split()[1]) / 1024
        return Sample(at_s, self._clients.phase, rss_mib, n_descriptors(self._pid))

    async def _label(self) -> None:
        """Post labels for what was answered; what is not acknowledged is posted again."""
        ids = self._clients.findings.request_ids
        batch, ids[:] = ids[:LABELS_AT_ONCE], ids[LABELS_AT_ONCE:]
        if not batch:
            return
        body = json.dumps([{"request_id": one, "label": 1} for one in batch]).encode()
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(None, self._sidecar.post_labels, body):
            self.n_labels += len(batch)
        else:
            self.n_labels_refused += 1
            ids[:0] = batch


def n_descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


async def soak(sidecar: SoakSidecar, options: Options, say: Say) -> Summary:
    """Run it; return what came of it."""
    router = sidecar.pid("router 0")
    n_before = n_descriptors(router)
    challenger = sidecar.processes["challenger"].pid
    clients = Clients(sidecar.port, options.rate, options.seed)
    control = sidecar.control_ports["challenger"]
    site = Site(sidecar, control, challenger, lambda: clients.rate)
    if not clients.rate:
        capacity = await clients.capacity(CALIBRATION_S)
        clients.rate = capacity * SHARE_OF_CAPACITY
        say(f"capacity {capacity:.0f}/s beside its clients and models, rate {clients.rate:.0f}/s")
    watch = Watch(sidecar, clients)
    watching = spawn(watch.run(), name="soak-watch")
    asking = spawn(clients.run(), name="soak-clients")
    began_s = time.monotonic()
    try:
        await _play(site, clients, watch, options, say)
    finally:
        clients.stop()
        await asking
        watching.cancel()
        await asyncio.wait([watching])
    if not watching.cancelled() and watching.exception() is not None:
        clients.findings.fail("watch", repr(watching.exception()))
    accounts = await _accounts(sidecar)
    n_after = await _settled_descriptors(router, n_before)
    return Summary(
        seconds=time.monotonic() - began_s,
        rate=clients.rate,
        findings=clients.findings,
        samples=watch.samples,
        accounts=accounts,
        n_labels=watch.n_labels,
        n_labels_refused=watch.n_labels_refused,
        n_descriptors=(n_before, n_after),
    )


async def _play(site: Site, clients: Clients, watch: Watch, options: Options, say: Say) -> None:
    ends_s = time.monotonic() + options.minutes * 60
    cycle = 0
    while time.monotonic() < ends_s and (not options.cycles or cycle < options.cycles):
        cycle += 1
        for name in options.faults:
            clients.phase = QUIET
            await asyncio.sleep(options.quiet_s)
            if time.monotonic() >= ends_s:
                return
            clients.phase = name
            try:
                await FAULTS[name](site, options.phase_s)
            except (OSError, AssertionError) as error:
                clients.findings.fail(name, f"the fault itself failed: {error!r:.200}")
            # What the fault left under way is not quiet yet.
            clients.phase = f"after {name}"
            await asyncio.sleep(options.quiet_s / 2)
        sample = watch.samples[-1]
        say(
            f"cycle {cycle}: {clients.findings.answered} answered, "
            f"{clients.findings.n_failed} failed, router {sample.rss_mib:.0f} MiB, "
            f"{sample.n_descriptors} descriptors"
        )
    clients.phase = QUIET


async def _settled_descriptors(pid: int, n_before: int) -> int:
    """Return how many are open once idle connections have ended, or the time for it is over."""
    ends_s = time.monotonic() + IDLE_S
    while (n_open := n_descriptors(pid)) > n_before and time.monotonic() < ends_s:
        await asyncio.sleep(0.5)
    return n_open


async def _accounts(sidecar: SoakSidecar) -> dict[str, float]:
    """Return the counts that must add up, once they do or the time is over."""
    loop = asyncio.get_running_loop()
    ends_s = time.monotonic() + ACCOUNTED_S
    while True:
        metrics = await loop.run_in_executor(None, sidecar.metrics)
        status, content = await loop.run_in_executor(None, sidecar.get, "/v1/status")
        found = accounts_of(metrics, content if status == 200 else {})
        if is_complete(found):
            return found
        if time.monotonic() > ends_s:
            return found
        await asyncio.sleep(0.5)


def accounts_of(metrics: dict[str, float], status: dict[str, object]) -> dict[str, float]:
    """Return how often the champion served, copies were made and lost, pairs were joined. Pure."""

    def total(name: str, having: str = "") -> float:
        return sum(n for key, n in metrics.items() if key.startswith(name + "{") and having in key)

    found = {
        "served": total("understudy_requests_total", 'role="champion"'),
        "copied": total("understudy_mirror_requests_total"),
        # A copy whose answer did not come in time was made, and is an error of the challenger's.
        "lost": total("understudy_mirror_dropped_total")
        - total("understudy_mirror_dropped_total", 'reason="deadline"'),
        "observations dropped": total("understudy_observations_dropped_total"),
    }
    for key, n in metrics.items():
        if key.startswith("understudy_mirror_dropped_total{"):
            found["lost: " + key.partition('reason="')[2].partition('"')[0]] = n
    routes = status.get("routes")
    counts = routes[0]["counts"] if isinstance(routes, list) and routes else {}
    for name in ("pairs", "aborted"):
        found[name] = float(counts.get(name, 0))
    found["known lost"] = float(counts.get("lost", -1))
    return found
