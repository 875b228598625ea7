"""A router never holds a table that it cannot serve."""

import msgspec
import pytest
from hypothesis import given

from router.table import (
    BUCKETS,
    MAX_SALT_BYTES,
    Match,
    Mirror,
    Route,
    RoutingTable,
    Split,
    Tls,
    Variant,
    chained_name,
    from_bytes,
    to_bytes,
)
from tests.router.strategies import a_route, a_variant, many, tables


def table_of(*routes: Route) -> RoutingTable:
    return RoutingTable(version=1, routes=routes)


def changed(**changes: object) -> Route:
    return msgspec.structs.replace(a_route(), **changes)


@many
@given(table=tables())
def test_table_survives_the_wire_unchanged(table: RoutingTable) -> None:
    assert from_bytes(to_bytes(table)) == table


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"split": Split(champion="x")}, "no variant 'x'"),
        ({"split": Split(champion="a", challenger="x")}, "no variant 'x'"),
        ({"mirror": Mirror(variant="x")}, "no variant 'x'"),
        ({"mirror": Mirror(variant="a")}, "the mirror is the champion"),
        ({"split": Split(champion="a", challenger="a")}, "cannot challenge itself"),
        ({"split": Split(champion="a", challenger_buckets=1)}, "a share without a challenger"),
        ({"variants": (a_variant("a"), a_variant("a"))}, "two variants have the same name"),
        ({"salt": b"s" * (MAX_SALT_BYTES + 1)}, "a salt of 65 bytes"),
        ({"mirror": Mirror(variant="b", buckets=-1)}, "got -1"),
        (
            {"split": Split(champion="a", challenger="b", challenger_buckets=BUCKETS + 1)},
            "got 10001",
        ),
    ],
)
def test_route_that_cannot_be_served_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        table_of(changed(**changes))


def test_two_routes_may_not_claim_the_same_requests() -> None:
    with pytest.raises(ValueError, match="'one' and 'two' match the same requests"):
        table_of(a_route(name="one"), a_route(name="two"))


def test_two_routes_may_not_share_a_name() -> None:
    with pytest.raises(ValueError, match="two routes have the same name"):
        table_of(a_route(path="/one"), a_route(path="/two"))


def test_matches_that_differ_only_in_their_demands_are_two_claims() -> None:
    plain = a_route(name="one")
    hosted = msgspec.structs.replace(
        a_route(name="two"), match=Match(path=plain.match.path, host="a.example")
    )
    assert len(table_of(plain, hosted).routes) == 2


def test_whole_share_and_none_are_both_legal() -> None:
    table_of(a_route(name="one", path="/1", buckets=0), a_route(name="two", buckets=BUCKETS))


@pytest.mark.parametrize("name", ["a", "b"])
def test_variant_is_found_by_its_name(name: str) -> None:
    assert a_route().variant(name).name == name


def test_unknown_variant_is_named_in_the_error() -> None:
    with pytest.raises(KeyError, match="route 'digits' has no variant 'x'"):
        a_route().variant("x")


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", b"\xc1", to_bytes(table_of(a_route()))[:-1], b"\x81\xa7version\xa1x"]
)
def test_bytes_that_are_no_table_are_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        from_bytes(raw)


def test_table_that_does_not_hold_together_is_refused_on_the_wire_too() -> None:
    raw = to_bytes(table_of(a_route())).replace(b"\xa8champion\xa1a", b"\xa8champion\xa1x")
    with pytest.raises(ValueError, match="no variant 'x'"):
        from_bytes(raw)


def test_tables_are_frozen() -> None:
    with pytest.raises(AttributeError):
        table_of().version = 2  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(
    ("settings", "where", "authority"),
    [
        ({"host": "a.test"}, "a.test:9", "a.test:9"),
        ({"host": "::1"}, "[::1]:9", "[::1]:9"),
        ({"host": "a.test", "tls": Tls()}, "https://a.test:9", "a.test:9"),
        ({"host": "localhost", "socket": "/run/m.sock"}, "unix:///run/m.sock", "localhost"),
    ],
)
def test_variant_says_where_it_is_and_which_host_stands_in(
    settings: dict[str, object], where: str, authority: str
) -> None:
    one = Variant(name="m", port=9, **settings)  # type: ignore[arg-type] # by name
    assert (one.where, one.authority) == (where, authority)


def test_table_of_an_older_version_is_still_read() -> None:
    """A table file outlives an upgrade: what it does not say has its default."""
    old = {"name": "m", "host": "a", "port": 9}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Variant) == Variant(
        name="m", host="a", port=9
    )


def test_name_of_a_chain_is_no_routes_name() -> None:
    assert chained_name("embed", "rank") == "embed>rank"
