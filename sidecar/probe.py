"""Are the champions there, or their standbys? A connection to each, once a second, off the request
path.

Says nothing about challengers: readiness never depends on one. It dials as the routers do: a name
server that is lost makes no champion unreachable here that is served there.
"""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog

from router.counters import Counters
from router.dial import Dial, Network
from router.resolver import NAMES, Resolver, remembered
from router.table import RoutingTable, Variant
from sidecar import tablefile

log = structlog.get_logger()

EVERY_S = 1.0
KEEP_EVERY_S = 60.0
"""Between two writings of what name servers answered: some answer differently each time."""
AT_ONCE = 64
"""Probes under way at once; chosen, far below any descriptor limit."""


class Knock(asyncio.Protocol):
    """A connection that is opened to see whether it can be."""

    def __init__(self) -> None:
        self.is_forgotten = False
        self.is_retired = False
        self.address = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transports in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


class Probe:
    """Keeps the last finding for each route of the table in force."""

    def __init__(self, table: Callable[[], RoutingTable | None], state: Path | None = None) -> None:
        """``state`` is the folder in which answers of name servers are kept; None keeps none."""
        self._table = table
        self._file = state / NAMES if state is not None else None
        self._kept = remembered(self._file) if self._file is not None else {}
        self._kept_at_s = -KEEP_EVERY_S
        counters = Counters()
        resolver = Resolver(counters, memory=self._kept)
        self.network = Network(asyncio.get_running_loop(), counters, resolver)
        self._dials: dict[Variant, Dial] = {}
        self.faults: dict[str, str] | None = None
        """Why a route's champion cannot be reached, by route; None before the first round."""

    async def run(self) -> None:
        """Probe for ever."""
        try:
            while True:
                await self.round()
                await asyncio.sleep(EVERY_S)  # a period, not a wait for something to happen
        finally:
            self.close()

    def close(self) -> None:
        """Follow no champion any more."""
        self._follow({})
        self.network.close()

    async def round(self) -> None:
        """Probe every champion and standby once, each address once. One of the two is enough.

        Nobody is asked on a closed route, so nobody need be there.
        """
        table = self._table()
        if table is None:
            return
        open_ones = [route for route in table.routes if not route.is_closed]
        champions = {route.name: route.variant(route.split.champion) for route in open_ones}
        standbys = {r.name: r.standby for r in open_ones if r.standby is not None}
        self._follow(
            {one: route for asked in (champions, standbys) for route, one in asked.items()}
        )
        free = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(_reach(dial, free) for dial in self._dials.values()))
        faults = dict(zip(self._dials, found, strict=True))
        self.faults = {
            route: fault
            for route, variant in champions.items()
            if (fault := faults[variant]) and (route not in standbys or faults[standbys[route]])
        }
        await self._keep()

    async def _keep(self) -> None:
        """Write down where the champions are, for a router that starts without a name server."""
        answers = self.network.resolver.answers()
        now_s = time.monotonic()
        if self._file is None or now_s - self._kept_at_s < KEEP_EVERY_S:
            return
        # A name that has not been answered since we started keeps what is written of it.
        hosts = {variant.host for variant in self._dials}
        wanted = {host: known for host, known in (self._kept | answers).items() if host in hosts}
        if wanted == self._kept:
            return
        self._kept, self._kept_at_s = wanted, now_s
        try:
            await asyncio.to_thread(tablefile.replace, self._file, json.dumps(wanted).encode())
        except OSError as error:
            log.warning("addresses not written down", error=str(error))

    def _follow(self, asked: dict[Variant, str]) -> None:
        for variant in self._dials.keys() - asked.keys():
            self._dials.pop(variant).close()
        for variant, route in asked.items():
            if variant not in self._dials:
                self._dials[variant] = Dial(route, variant, self.network)


async def _reach(dial: Dial, free: asyncio.Semaphore) -> str:
    """Return why a variant cannot be reached, or nothing."""
    async with free:
        try:
            knock = await dial.open(Knock)
        except OSError as error:  # DialError is one
            return f"{dial.variant.name} at {dial.variant.where}: {error}"
    knock.abort()
    return ""
