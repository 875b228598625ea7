"""The table in force, made ready for requests: pools, counts and reflexes beside each route."""

from collections.abc import Callable, Iterable

from router.choose import Lot
from router.counters import CallCounts, Counters
from router.ejection import Ejection
from router.matcher import Matcher
from router.pool import Pool
from router.table import Match, Route, RoutingTable, Variant

MakePool = Callable[[str, Variant], Pool]
"""From the route's name and its variant."""


class LiveRoute:
    """One route of the table in force. Immutable but for what its parts count."""

    __slots__ = (
        "_counts", "body_limit_bytes", "capture_bytes", "champion", "counters", "ejection",
        "experiment", "labels", "lot", "name", "pools", "replay_bytes", "route", "show_variant",
        "table_version", "unit_header",
    )  # fmt: skip

    def __init__(
        self,
        route: Route,
        table_version: int,
        pools: dict[str, Pool],
        ejection: Ejection,
        counters: Counters,
    ) -> None:
        self.route = route
        self.table_version = table_version
        self.pools = pools
        """By variant name."""
        self.champion = pools[route.split.champion]
        self.ejection = ejection
        """Of the challenger, in the split or in the mirror."""
        self.unit_header = route.unit_header.encode() if route.unit_header else b""
        self.counters = counters
        self.labels = f"route={route.name}"
        self._counts: dict[tuple[str, str], CallCounts] = {}
        # What each request asks of its route, where the compiled router reads it fastest.
        self.name = route.name
        self.experiment = route.experiment
        self.body_limit_bytes = route.body_limit_bytes
        self.replay_bytes = route.replay_bytes
        self.capture_bytes = route.capture_bytes if route.experiment else 0
        self.show_variant = route.show_variant
        self.lot = Lot(route)

    @property
    def match(self) -> Match:
        """Which requests are this route's."""
        return self.route.match

    def counts(self, variant: str, role: str) -> CallCounts:
        """Return where calls to ``variant`` in ``role`` are counted."""
        found = self._counts.get((variant, role))
        if found is None:
            found = self.counters.calls(self.route.name, variant, role)
            self._counts[variant, role] = found
        return found

    def count(self, name: str, **labels: str) -> None:
        """Count something rare about this route."""
        self.counters.event(
            name, self.labels, *(f"{label}={value}" for label, value in labels.items())
        )


class LiveTable:
    """All of one RoutingTable, live. Swapped as a whole; a request sees one of them only."""

    def __init__(self, table: RoutingTable, routes: Iterable[LiveRoute]) -> None:
        self.table = table
        self.routes = tuple(routes)
        self.find = Matcher(self.routes).find


def challenger_of(route: Route) -> str:
    """Return the name of the variant under evaluation, or an empty string."""
    if route.split.challenger is not None:
        return route.split.challenger
    return route.mirror.variant if route.mirror is not None else ""


def enliven(
    table: RoutingTable, before: LiveTable | None, make_pool: MakePool, counters: Counters
) -> LiveTable:
    """Make ``table`` live. Pools and reflexes live on where the variant is the same."""
    old = {live.route.name: live for live in before.routes} if before is not None else {}
    routes: list[LiveRoute] = []
    for route in table.routes:
        was = old.get(route.name)
        pools = {
            variant.name: _pool(route.name, variant, was, make_pool) for variant in route.variants
        }
        routes.append(LiveRoute(route, table.version, pools, _ejection(route, was), counters))
    return LiveTable(table, routes)


def _pool(route: str, variant: Variant, was: LiveRoute | None, make_pool: MakePool) -> Pool:
    pool = was.pools.get(variant.name) if was is not None else None
    return pool if pool is not None and pool.variant == variant else make_pool(route, variant)


def _ejection(route: Route, was: LiveRoute | None) -> Ejection:
    same = was is not None and (
        was.route.experiment == route.experiment
        and challenger_of(was.route) == challenger_of(route)
        and was.route.eject_after == route.eject_after
    )
    return was.ejection if same and was is not None else Ejection(route.eject_after)


def retired(before: LiveTable, after: LiveTable) -> list[Pool]:
    """Return the pools that only ``before`` uses."""
    kept = {id(pool) for live in after.routes for pool in live.pools.values()}
    return [pool for live in before.routes for pool in live.pools.values() if id(pool) not in kept]
