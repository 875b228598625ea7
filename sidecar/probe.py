"""Are the champions there, or their standbys? A TCP connect to each, once a second, off the
request path.

Says nothing about challengers: readiness never depends on one.
"""

import asyncio
from collections.abc import Callable

from router.table import RoutingTable, Variant

EVERY_S = 1.0
AT_ONCE = 64
"""Probes under way at once; chosen, far below any descriptor limit."""


class Probe:
    """Keeps the last finding for each route of the table in force."""

    def __init__(self, table: Callable[[], RoutingTable | None]) -> None:
        self._table = table
        self.faults: dict[str, str] | None = None
        """Why a route's champion cannot be reached, by route; None before the first round."""

    async def run(self) -> None:
        """Probe for ever."""
        while True:
            await self.round()
            await asyncio.sleep(EVERY_S)  # a period, not a wait for something to happen

    async def round(self) -> None:
        """Probe every champion and standby once, each address once. One of the two is enough."""
        table = self._table()
        if table is None:
            return
        champions = {route.name: route.variant(route.split.champion) for route in table.routes}
        standbys = {r.name: r.standby for r in table.routes if r.standby is not None}
        asked = (*champions.values(), *standbys.values())
        addresses = {(variant.host, variant.port): variant for variant in asked}
        free = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(_reach(variant, free) for variant in addresses.values()))
        faults = dict(zip(addresses, found, strict=True))
        self.faults = {
            route: fault
            for route, variant in champions.items()
            if (fault := faults[variant.host, variant.port])
            and (route not in standbys or faults[standbys[route].host, standbys[route].port])
        }


async def _reach(variant: Variant, free: asyncio.Semaphore) -> str:
    """Return why ``variant`` cannot be reached, or nothing."""
    where = f"{variant.name} at {variant.host}:{variant.port}"
    async with free:
        try:
            async with asyncio.timeout(variant.connect_timeout_s):
                _, writer = await asyncio.open_connection(variant.host, variant.port)
        except TimeoutError:
            return f"{where}: no connection within {variant.connect_timeout_s:g} s"
        except OSError as error:
            return f"{where}: {error.strerror or error}"
    writer.transport.abort()
    return ""
