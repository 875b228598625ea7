"""The status says which standby answers, in how many routers, and how often."""

from router.table import Match, Route, RoutingTable, Split, Variant
from sidecar.standby import with_standby

OLD = Variant(name="old", host="127.0.0.1", port=1)
STANDBY = Variant(name="spare", host="127.0.0.1", port=2)


def route(name: str, standby: Variant | None) -> Route:
    split = Split(champion="old")
    match = Match(path=f"/{name}")
    return Route(name=name, match=match, variants=(OLD,), split=split, standby=standby)


TABLE = RoutingTable(version=1, routes=(route("a", STANDBY), route("ab", None)))


def test_standby_is_named_with_what_it_does() -> None:
    counts = {
        "understudy_standby_requests_total|route=a|reason=connect": 3.0,
        "understudy_standby_requests_total|route=a|reason=resting": 4.0,
        "understudy_standby_requests_total|route=ab|reason=resting": 100.0,
        "understudy_champion_resting|route=a": 2.0,
    }
    seen = with_standby([{"name": "a", "phase": "shadow"}, {"name": "ab"}], TABLE, counts)
    assert seen == [
        {
            "name": "a",
            "phase": "shadow",
            "standby": {"name": "spare", "requests": 7, "routers_resting_the_champion": 2},
        },
        {"name": "ab", "standby": None},
    ]


def test_standby_that_never_answered_has_zeros() -> None:
    (seen,) = with_standby([{"name": "a"}], TABLE, {})
    assert seen["standby"] == {"name": "spare", "requests": 0, "routers_resting_the_champion": 0}
