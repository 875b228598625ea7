"""What is done to the sidecar while it is under load: one entry a fault, each undone at its end."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.running import kill
from tests.soak.clients import drip, vanish
from tests.soak.sidecar import SoakSidecar

RELOADS = 40
LORIS = 100
FAILURES = 600
"""In a row, at most: the largest `limits.eject_after` is 1000."""
WELL_S = 0.2


@dataclass
class Site:
    """What the faults act on."""

    sidecar: SoakSidecar
    control_port: int
    """Of the challenger."""
    challenger_pid: int
    rate: Callable[[], float]
    """Requests a second."""


Fault = Callable[[Site, float], Awaitable[None]]


def _tell(site: Site, mode: str) -> None:
    with socket.create_connection(("127.0.0.1", site.control_port), timeout=5) as line:
        line.sendall(mode.encode() + b"\n")
        assert line.recv(16) == b"done\n"


def challenger(mode: str) -> Fault:
    """The challenger behaves so for a while."""

    async def fault(site: Site, seconds: float) -> None:
        _tell(site, mode)
        try:
            await asyncio.sleep(seconds)
        finally:
            _tell(site, "ok")

    return fault


async def _in_spells(
    site: Site, seconds: float, spell_s: float, begin: Callable[[], None], end: Callable[[], None]
) -> None:
    """Begin and end a fault of which every request fails, before the mirror is given up for it."""
    ends_s = time.monotonic() + seconds
    while (left_s := ends_s - time.monotonic()) > 0:
        begin()
        try:
            await asyncio.sleep(min(left_s, spell_s))
        finally:
            end()
        await asyncio.sleep(WELL_S)


async def challenger_refuses(site: Site, seconds: float) -> None:
    spell_s = FAILURES / site.rate()
    await _in_spells(
        site, seconds, spell_s, lambda: _tell(site, "refuse"), lambda: _tell(site, "ok")
    )


async def challenger_hangs(site: Site, seconds: float) -> None:
    # Copies fail after their 2 s; those that wait for a place are refused before.
    def send(number: signal.Signals) -> Callable[[], None]:
        return lambda: os.kill(site.challenger_pid, number)

    spell_s = 1.0 + FAILURES / site.rate()
    await _in_spells(site, seconds, spell_s, send(signal.SIGSTOP), send(signal.SIGCONT))


async def controller_killed(site: Site, seconds: float) -> None:
    kill(site.sidecar.pid("controller"))
    await asyncio.sleep(seconds)
    await site.sidecar.is_ready()


async def reload_storm(site: Site, seconds: float) -> None:
    for _ in range(RELOADS):
        site.sidecar.supervisor.send_signal(signal.SIGHUP)
        await asyncio.sleep(seconds / RELOADS)


async def half_written_file(site: Site, seconds: float) -> None:
    """The file is written in place, and read at every stage of it; in the end it is whole."""
    whole = site.sidecar.file.read_text()
    try:
        for tenth in range(1, 10):
            site.sidecar.file.write_text(whole[: len(whole) * tenth // 10])
            site.sidecar.supervisor.send_signal(signal.SIGHUP)
            await asyncio.sleep(seconds / 10)
    finally:
        site.sidecar.file.write_text(whole)
        site.sidecar.supervisor.send_signal(signal.SIGHUP)


async def slow_loris(site: Site, seconds: float) -> None:
    await drip(site.sidecar.port, LORIS, seconds)


async def clients_vanish(site: Site, seconds: float) -> None:
    await vanish(site.sidecar.port, seconds)


FAULTS: dict[str, Fault] = {
    "challenger refuses": challenger_refuses,
    "challenger hangs": challenger_hangs,
    "challenger reads slowly": challenger("slow"),
    "challenger crashes in its answer": challenger("crash"),
    "challenger talks garbage": challenger("garbage"),
    "challenger resets": challenger("reset"),
    "controller killed": controller_killed,
    "reload storm": reload_storm,
    "half-written file": half_written_file,
    "slow loris": slow_loris,
    "clients vanish": clients_vanish,
}
