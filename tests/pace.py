"""How slow this machine is just now: what a promise in milliseconds is read against.

A promise is about the machine that it was measured on. Where a test must hold a time, it holds it
in that machine's milliseconds: a fixed piece of work tells, in the same run, how many of them one
of ours is. On a machine that is as quick and idle a test is as strict as the promise; on a slower
one it is not stricter.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from types import TracebackType

from router.tasks import spawn

WORK_S = 0.008
"""What ``work`` takes on the reference machine (CPython 3.11), at rest."""
N_RUNS = 7
STEP_S = 0.01


def work() -> int:
    """Do the fixed piece of work: look-ups, bytes and small objects, as reading a head does."""
    names: dict[tuple[bytes, int], bytes] = {}
    line, n = b"name: value, more\r\n", 0
    for k in range(40_000):
        name, _, value = line.partition(b":")
        names[name.lower(), k & 255] = value.strip()
        n += len(value)
    return n


def _slowness(clock: Callable[[], float]) -> float:
    took_s = []
    for _ in range(N_RUNS):
        began_s = clock()
        work()
        took_s.append(clock() - began_s)
    return max(1.0, statistics.median(took_s) / WORK_S)


def cpu_slowness() -> float:
    """Return how much processor time one second of the reference machine's is here; 1 or more."""
    return _slowness(time.process_time)


def slowness() -> float:
    """As cpu_slowness, on the wall's clock: what others take of the processor counts too."""
    return _slowness(time.perf_counter)


class Lateness:
    """How late the running loop is while the block lasts: what nobody in it can be quicker than.

    A router in the test's own loop is late with it.
    """

    def __init__(self) -> None:
        self.total_s = 0.0
        self.worst_s = 0.0

    async def __aenter__(self) -> "Lateness":
        self._watching = spawn(self._watch(), name="lateness")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.cancel()
        await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(STEP_S)
            late_s = max(0.0, time.monotonic() - began_s - STEP_S)
            self.total_s += late_s
            self.worst_s = max(self.worst_s, late_s)
