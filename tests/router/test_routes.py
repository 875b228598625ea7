"""A table made live keeps what its routes have learned, and nothing else."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from router.counters import Counters
from router.deadline import Deadlines
from router.dial import Dial, Network
from router.pool import Pool
from router.routes import LiveTable, MakePool, challenger_of, enliven, retired
from router.table import Match, Mirror, Route, RoutingTable, Split, Variant
from tests.router.strategies import a_route, a_variant, head_of


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    loop = asyncio.new_event_loop()
    network = Network(loop, Counters())
    yield lambda route, variant: Pool(Dial(route, variant, network), Deadlines(1.0), loop.time)
    loop.close()


class Living:
    """Makes one table after another live, as the server does."""

    def __init__(self, make_pool: MakePool) -> None:
        self.counters = Counters()
        self.made: list[str] = []
        self._make_pool = make_pool
        self.live: LiveTable | None = None

    def swap(self, *routes: Route, version: int = 1) -> LiveTable:
        table = RoutingTable(version=version, routes=routes)
        self.live = enliven(table, self.live, self._make, self.counters)
        return self.live

    def _make(self, route: str, variant: Variant) -> Pool:
        self.made.append(variant.name)
        return self._make_pool(route, variant)


@pytest.fixture
def living(make_pool: MakePool) -> Living:
    return Living(make_pool)


def changed(**changes: object) -> Route:
    return msgspec.structs.replace(a_route(), **changes)


def test_live_route_knows_its_champion_and_its_version(living: Living) -> None:
    (route,) = living.swap(a_route(), version=17).routes
    assert route.champion is route.pools["a"]
    assert (route.table_version, route.labels, route.unit_header) == (17, "route=digits", b"")
    assert living.made == ["a", "b"]


def test_request_finds_its_live_route(living: Living) -> None:
    live = living.swap(a_route(path="/v1/*"))
    assert live.find(head_of("GET", "/v1/x")) is live.routes[0]
    assert live.find(head_of("GET", "/v2/x")) is None


def test_unit_header_is_kept_as_bytes(living: Living) -> None:
    (route,) = living.swap(changed(unit_header="x-user")).routes
    assert route.unit_header == b"x-user"


def test_pools_live_on_when_only_the_share_changes(living: Living) -> None:
    (before,) = living.swap(a_route(buckets=100)).routes
    (after,) = living.swap(a_route(buckets=5_000), version=2).routes
    assert after.pools == before.pools
    assert living.made == ["a", "b"]
    assert after.route.split.challenger_buckets == 5_000


def test_pool_of_a_variant_that_moved_is_made_anew_and_the_old_one_retires(living: Living) -> None:
    before = living.swap(a_route())
    after = living.swap(changed(variants=(a_variant("a"), a_variant("b", 9999))))
    assert after.routes[0].pools["a"] is before.routes[0].pools["a"]
    assert after.routes[0].pools["b"] is not before.routes[0].pools["b"]
    assert retired(before, after) == [before.routes[0].pools["b"]]


def test_pools_of_a_route_that_is_gone_retire(living: Living) -> None:
    before = living.swap(a_route(name="one", path="/1"), a_route(name="two", path="/2"))
    after = living.swap(a_route(name="two", path="/2"))
    assert retired(before, after) == list(before.routes[0].pools.values())


def test_nothing_retires_when_nothing_changes(living: Living) -> None:
    assert retired(living.swap(a_route()), living.swap(a_route(), version=2)) == []


def test_routes_never_share_a_pool_even_for_one_address(living: Living) -> None:
    live = living.swap(a_route(name="one", path="/1"), a_route(name="two", path="/2"))
    pools = [pool for route in live.routes for pool in route.pools.values()]
    assert len({id(pool) for pool in pools}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"split": Split(champion="a", challenger="b", challenger_buckets=77)},
        {"match": Match(path="/elsewhere")},
        {"capture_bytes": 1},
    ],
)
def test_reflex_remembers_failures_while_the_experiment_is_the_same(
    living: Living, changes: dict[str, object]
) -> None:
    (before,) = living.swap(a_route()).routes
    before.ejection.failed(0.0)
    (after,) = living.swap(changed(**changes)).routes
    assert after.ejection is before.ejection


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": "another"},
        {"eject_after": 99},
        {"split": Split(champion="b", challenger="a")},
        {"split": Split(champion="a")},
        {"name": "another"},
    ],
)
def test_reflex_starts_anew_with_another_experiment_limit_or_challenger(
    living: Living, changes: dict[str, object]
) -> None:
    (before,) = living.swap(a_route()).routes
    (after,) = living.swap(changed(**changes)).routes
    assert after.ejection is not before.ejection
    assert after.ejection.failures == 0


def test_challenger_in_shadow_and_in_the_split_is_one_challenger(living: Living) -> None:
    shadow = changed(split=Split(champion="a"), mirror=Mirror(variant="b"))
    assert challenger_of(shadow) == challenger_of(a_route()) == "b"
    (before,) = living.swap(shadow).routes
    (after,) = living.swap(a_route()).routes
    assert after.ejection is before.ejection


def test_route_without_experiment_has_no_challenger() -> None:
    assert challenger_of(changed(split=Split(champion="a"))) == ""


def test_counts_are_one_for_each_variant_and_role_and_outlive_the_table(living: Living) -> None:
    (before,) = living.swap(a_route()).routes
    before.counts("a", "champion").add(200, 0.1)
    (after,) = living.swap(a_route(), version=2).routes
    assert after.counts("a", "champion") is before.counts("a", "champion")
    assert after.counts("a", "champion") is not after.counts("a", "fallback")


def test_rare_events_are_counted_under_their_route(living: Living) -> None:
    (route,) = living.swap(a_route()).routes
    route.count("understudy_fallbacks_total", reason="reset")
    assert living.counters.values() == {"understudy_fallbacks_total|route=digits|reason=reset": 1}


INFER = ("POST /v2/models/*/infer",)


def test_what_is_no_inference_takes_the_lane_without_an_experiment(living: Living) -> None:
    (route,) = living.swap(changed(match=Match(path="/v2/*"), inference=INFER)).routes
    assert route.lane(head_of("POST", "/v2/models/m/infer")) is route
    aside = route.lane(head_of("GET", "/v2/models/m"))
    assert (aside.route.experiment, aside.route.mirror) == ("", None)
    assert aside.route.split == Split(champion="a")
    assert aside.champion is route.champion
    assert aside.counts("a", "champion") is route.counts("a", "champion")
    assert dict(living.counters.events) == {}


def test_what_a_mirroring_route_does_not_mirror_is_counted(living: Living) -> None:
    shadow = changed(split=Split(champion="a"), mirror=Mirror(variant="b"), inference=INFER)
    (route,) = living.swap(shadow).routes
    for _ in range(3):
        route.lane(head_of("POST", "/v2/repository/models/m/load"))
    name = "understudy_mirror_dropped_total|route=digits|reason=not_mirrorable"
    assert living.counters.values()[name] == 3


def test_route_that_tries_nothing_classifies_nothing(living: Living) -> None:
    alone = changed(split=Split(champion="a"), experiment="", salt=b"", inference=INFER)
    assert living.swap(alone).routes[0].inference is None
    assert living.swap(changed(inference=()), version=2).routes[0].inference is None
