"""What the status says of standbys: whether one answers for its champion, and how often. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from router.table import RoutingTable

REQUESTS = "understudy_standby_requests_total"
RESTING = "understudy_champion_resting"


def with_standby(
    routes: Iterable[Mapping[str, Any]], table: RoutingTable, counts: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return ``routes`` of a status, each with its ``standby``; None for a route without one.

    ``counts`` are those of all routers together, by flat name.
    """
    names = {route.name: route.standby.name for route in table.routes if route.standby is not None}
    return [
        dict(route) | {"standby": _standby(names.get(route["name"]), route["name"], counts)}
        for route in routes
    ]


def _standby(name: str | None, route: str, counts: Mapping[str, float]) -> dict[str, Any] | None:
    if name is None:
        return None
    begin = f"{REQUESTS}|route={route}|"
    return {
        "name": name,
        "requests": sum(int(n) for flat, n in counts.items() if flat.startswith(begin)),
        "routers_resting_the_champion": int(counts.get(f"{RESTING}|route={route}", 0)),
    }
