"""One case played and judged: by the rules, by its doubles, and by the time it took."""

import time

from tests.fuzz.case import Case
from tests.fuzz.metamorphic import compare
from tests.fuzz.oracle import judge
from tests.fuzz.world import World
from tests.pace import cpu_slowness

CPU_S = 0.05
"""For the router and everything around it, on the reference machine (tests/pace.py); what it needs
for a hostile connection is less."""
CPU_S_PER_BYTE = 4e-6
CPU_S_PER_REQUEST = 5e-4
"""Thousands of requests of forty bytes are thousands of exchanges, with their models' work too."""
TRIES = 3
"""The least of so many runs counts: two busy cores and a garbage collector make outliers."""


def findings(case: Case) -> list[str]:
    """Play ``case``; return what is wrong."""
    began_s = time.process_time()
    record = World().run(case)
    cpu_s = time.process_time() - began_s
    found = judge(case, record)
    if not found:
        found = compare(case, record)
    limit_s = CPU_S + work_s(case)
    if not found and cpu_s > limit_s:
        cpu_s = min(cpu_s, *(_cpu_s(case) for _ in range(TRIES - 1)))
        if cpu_s > limit_s * cpu_slowness():
            found = [f"{cpu_s * 1000:.0f} ms of CPU for {case.n_bytes} bytes"]
    return found


def work_s(case: Case) -> float:
    """Return the processor time that playing ``case`` once may take beyond a short one's."""
    return CPU_S_PER_BYTE * case.n_bytes + CPU_S_PER_REQUEST * case.n_requests


def _cpu_s(case: Case) -> float:
    began_s = time.process_time()
    World().run(case)
    return time.process_time() - began_s


def kind_of(found: list[str]) -> str:
    """Return what two findings share when they are the same: the text without its values."""
    first = found[0] if found else ""
    return "".join(char for char in first.split(":")[0].split(" b'")[0] if not char.isdigit())[:60]
