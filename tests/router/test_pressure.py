"""How late the loop is, and how much memory the process holds."""

import os
from collections.abc import Iterator

import pytest

from router.pressure import Pressure

TICK_S = 0.02


@pytest.fixture
def pressure() -> Iterator[Pressure]:
    pressure = Pressure(TICK_S)
    yield pressure
    pressure.close()


def test_tick_in_time_is_not_late(pressure: Pressure) -> None:
    for n in range(10):
        pressure.tick(100.0 + n * TICK_S)
    assert pressure.lag_s == pytest.approx(0.0, abs=1e-9)


def test_late_tick_counts_and_fades(pressure: Pressure) -> None:
    pressure.tick(100.0)
    pressure.tick(100.0 + TICK_S + 0.2)
    assert pressure.lag_s == pytest.approx(0.2)
    now_s = 100.0 + TICK_S + 0.2
    for _ in range(50):
        now_s += TICK_S
        pressure.tick(now_s)
    assert pressure.lag_s < 0.002


def test_worst_lateness_is_told_once(pressure: Pressure) -> None:
    pressure.tick(100.0)
    pressure.tick(100.0 + TICK_S + 0.2)
    assert pressure.take_worst_lag_s() == pytest.approx(0.2)
    assert pressure.take_worst_lag_s() == 0.0


def test_memory_is_what_the_kernel_says(pressure: Pressure) -> None:
    pressure.tick(100.0)
    before = pressure.memory_bytes
    assert before > 5_000_000
    held = b"x" * 50_000_000
    pressure.tick(100.05)
    assert pressure.memory_bytes == before  # looked at ten times a second
    pressure.tick(100.2)
    assert pressure.memory_bytes - before > 40_000_000
    assert held


def test_trimming_gives_freed_memory_back(pressure: Pressure) -> None:
    held = [bytes([n % 256]) * 2000 for n in range(20_000)]
    last = b"y" * 2000  # keeps the heap's end where it is
    pressure.tick(100.0)
    full = pressure.memory_bytes
    held.clear()
    pressure.trim(100.1)
    pressure.tick(100.1)
    assert full - pressure.memory_bytes > 20_000_000
    assert last


def test_closing_twice_closes_one_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    pressure = Pressure(TICK_S)
    pressure.close()
    pressure.close()
    assert len(os.listdir("/proc/self/fd")) == before
