"""Who computes where: the proxy, what it has beside the requests' path, and the load.

One policy for all peers. The proxy has one core to itself; the load generator and the upstreams'
stand-ins never run there. What a peer does beside the path (our controller; the others have
nothing of the kind) runs on a core of its own where there are three, and on the proxy's where
there are two: a sidecar's controller is paid from the sidecar's share. There it takes the
router's time and cache, which counts against us.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """A set of cores for each part; sets may share cores."""

    proxy: frozenset[int]
    control: frozenset[int]
    load: frozenset[int]
    """The generator and the upstreams."""

    def __str__(self) -> str:
        return ", ".join(f"{part} on {_listed(cores)}" for part, cores in self.as_dict().items())

    def as_dict(self) -> dict[str, list[int]]:
        """Return the cores by part, for the JSON."""
        return {
            "proxy": sorted(self.proxy),
            "control": sorted(self.control),
            "load": sorted(self.load),
        }


def _listed(cores: Collection[int]) -> str:
    return "core " + ", ".join(str(core) for core in cores)


def choose_cores(available: Iterable[int], control: str = "auto") -> Cores:
    """Divide the cores; ``control`` is auto, proxy or load: whose core the controller shares.

    Pure. With one core everything runs on it.
    """
    cores = sorted(available)
    proxy = frozenset(cores[:1])
    rest = cores[1:] or cores[:1]
    if control == "auto" and len(rest) > 1:
        return Cores(proxy=proxy, control=frozenset(rest[-1:]), load=frozenset(rest[:-1]))
    beside = frozenset(rest) if control == "load" else proxy
    return Cores(proxy=proxy, control=beside, load=frozenset(rest))


def share_cores(available: Iterable[int], workers: int) -> Cores:
    """Divide the cores for ``workers`` workers (one or two) with one core each; see README.md, -2w.

    Everything else runs beyond the first two cores where there are at least two more. Where there
    are not, it shares the workers' cores and no others: all on one core, then all on two. Pure.
    """
    cores = sorted(available)
    mine = frozenset(cores[:workers])
    rest = frozenset(cores[2:]) if len(cores) >= 4 else mine
    return Cores(proxy=mine, control=rest, load=rest)


def pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Let these processes, with all their threads, run on ``cores`` only."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(int(thread.name), cores)


def pin_each(pids: Sequence[int], cores: Collection[int]) -> None:
    """Give each process one core of ``cores`` in turn; a lone process may use all of them."""
    if len(pids) < 2:
        pin(pids, cores)
        return
    ordered = sorted(cores)
    for number, pid in enumerate(pids):
        pin((pid,), {ordered[number % len(ordered)]})
