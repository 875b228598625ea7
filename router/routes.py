"""The table in force, made ready for requests: pools, counts and reflexes beside each route."""

from collections.abc import Callable, Iterable

import msgspec

from router.call import Call
from router.chain import key_of
from router.choose import Lot
from router.counters import CallCounts, Counters
from router.ejection import Ejection
from router.inference import Inference
from router.matcher import Matcher
from router.message import RequestHead
from router.pool import Pool
from router.signer import Signer, Signers
from router.table import Match, Route, RoutingTable, Split, Variant
from router.wire import CopyFields

MakePool = Callable[[str, Variant], Pool]
"""From the route's name and its variant."""


class LiveRoute:
    """One route of the table in force. Immutable but for what its parts count."""

    __slots__ = (
        "_aside", "_counts", "body_limit_bytes", "capture_bytes", "chain_key", "champion",
        "copy_fields", "counters", "ejection", "experiment", "health", "inference", "is_chained",
        "is_closed", "is_plain", "is_special", "labels", "lot", "name", "pools", "replay_bytes",
        "route", "show_variant", "signer", "standby", "table_version", "tracing", "unit_header",
        "upgrades",
    )  # fmt: skip

    def __init__(
        self,
        route: Route,
        table_version: int,
        pools: dict[str, Pool],
        ejection: Ejection,
        counters: Counters,
        health: Ejection | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.route = route
        self.table_version = table_version
        self.pools = pools
        """By variant name."""
        self.champion = pools[route.split.champion]
        self.ejection = ejection
        """Of the challenger, in the split or in the mirror."""
        self.standby = pools[route.standby.name] if route.standby is not None else None
        """Who answers when the champion cannot; most routes have nobody."""
        self.health = Ejection(route.eject_after) if health is None else health
        """Of the champion: looked at, and told, only where there is a standby."""
        self.unit_header = route.unit_header.encode() if route.unit_header else b""
        self.counters = counters
        self.labels = f"route={route.name}"
        self._counts: dict[tuple[str, str], CallCounts] = {}
        # What each request asks of its route, where the compiled router reads it fastest.
        self.name = route.name
        self.experiment = route.experiment
        self.body_limit_bytes = route.body_limit_bytes
        self.replay_bytes = route.replay_bytes
        self.is_chained = route.chain is not None
        self.chain_key = None if route.chain is None else key_of(route.chain.key)
        is_observed = bool(route.experiment) or (route.chain is not None and route.chain.fed_by)
        self.capture_bytes = route.capture_bytes if is_observed else 0
        self.show_variant = route.show_variant
        self.tracing = route.tracing and bool(route.experiment)
        self.signer = signer
        """None gives no exposure tokens, as most routes."""
        self.is_plain = signer is None and not self.is_chained
        """Whether an exchange has nothing to say in the heads of its answers, as most."""
        self.lot = Lot(route)
        self.inference: Inference | None = None
        """None where every request is alike: nothing is tried, or everything is inference."""
        self._aside: LiveRoute | None = None
        """The same route without its experiment, for what is no inference."""
        self.copy_fields: CopyFields | None = None
        """None where every field but credentials may cross to a copy."""
        if route.copy_strip or route.copy_only is not None:
            self.copy_fields = CopyFields(route.copy_strip, route.copy_only)
        self.upgrades = frozenset(token.encode() for token in route.upgrade)
        self.is_closed = route.is_closed
        self.is_special = bool(self.upgrades) or self.is_closed
        """Whether a request may be something else than an exchange, as on few routes."""
        if route.inference and route != _champion_only(route):
            self.inference = Inference(route.inference, route.match.path)
        if route != _champion_only(route):
            self._aside = LiveRoute(
                _champion_only(route), table_version, pools, ejection, counters, self.health
            )

    def lane(self, head: RequestHead) -> "LiveRoute":
        """Return the route as ``head`` sees it: what is no inference meets no experiment."""
        if self.inference is None or self.inference.covers(head.method, head.path):
            return self
        return self.beside()

    def beside(self) -> "LiveRoute":
        """Return the lane that meets no experiment, for a request that must not."""
        aside = self._aside
        if aside is None:
            return self
        if self.route.mirror is not None:
            self.count("understudy_mirror_dropped_total", reason="not_mirrorable")
        return aside

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

    def count_call(self, call: Call, role: str) -> None:
        """Count a call that is over, in ``role``."""
        variant = call.pool.name
        status = call.head.status if call.head is not None else 0
        self.counts(variant, role).add(status, call.latency_s)
        stream = call.stream
        if stream is not None and stream.is_events:
            self.counters.streams(self.name, variant, role).add(
                call.fault, stream.first_byte_s, call.latency_s, stream.n_pieces
            )

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


def _champion_only(route: Route) -> Route:
    return msgspec.structs.replace(
        route,
        split=Split(champion=route.split.champion),
        mirror=None,
        experiment="",
        salt=b"",
        chain=None,
    )


def challenger_of(route: Route) -> str:
    """Return the name of the variant under evaluation, or an empty string."""
    if route.split.challenger is not None:
        return route.split.challenger
    return route.mirror.variant if route.mirror is not None else ""


def enliven(
    table: RoutingTable,
    before: LiveTable | None,
    make_pool: MakePool,
    counters: Counters,
    signers: Signers | None = None,
) -> LiveTable:
    """Make ``table`` live. Pools and reflexes live on where the variant is the same.

    Without ``signers`` no route gives exposure tokens.
    """
    old = {live.route.name: live for live in before.routes} if before is not None else {}
    routes: list[LiveRoute] = []
    for route in table.routes:
        was = old.get(route.name)
        variants = (*route.variants, *((route.standby,) if route.standby is not None else ()))
        pools = {one.name: _pool(route.name, one, was, make_pool) for one in variants}
        ejection, health = _ejection(route, was), _health(route, was)
        signer = signers.of(route, table.version) if signers is not None else None
        routes.append(LiveRoute(route, table.version, pools, ejection, counters, health, signer))
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


def _health(route: Route, was: LiveRoute | None) -> Ejection | None:
    same = was is not None and (
        was.route.variant(was.route.split.champion) == route.variant(route.split.champion)
        and was.route.eject_after == route.eject_after
    )
    return was.health if same and was is not None else None


def retired(before: LiveTable, after: LiveTable) -> list[Pool]:
    """Return the pools that only ``before`` uses."""
    kept = {id(pool) for live in after.routes for pool in live.pools.values()}
    return [pool for live in before.routes for pool in live.pools.values() if id(pool) not in kept]
