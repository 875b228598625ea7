"""Are the champions there? A connection to each, once a second, off the request path.

Says nothing about challengers: readiness never depends on one. It dials as the routers do: a name
server that is lost makes no champion unreachable here that is served there.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from router.counters import Counters
from router.dial import Dial, Network
from router.table import RoutingTable, Variant

EVERY_S = 1.0
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

    def __init__(self, table: Callable[[], RoutingTable | None]) -> None:
        self._table = table
        self.network = Network(asyncio.get_running_loop(), Counters())
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
        """Probe every champion once, each address once."""
        table = self._table()
        if table is None:
            return
        champions = {route.name: route.variant(route.split.champion) for route in table.routes}
        self._follow({variant: route for route, variant in champions.items()})
        free = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(_reach(dial, free) for dial in self._dials.values()))
        faults = dict(zip(self._dials, found, strict=True))
        self.faults = {
            route: fault for route, variant in champions.items() if (fault := faults[variant])
        }

    def _follow(self, champions: dict[Variant, str]) -> None:
        for variant in self._dials.keys() - champions.keys():
            self._dials.pop(variant).close()
        for variant, route in champions.items():
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
