import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from controller import audit, store
from controller.audit import Entry
from controller.opening import open_database
from controller.store import RouteState, StoreError
from controller.traffic import Change, Traffic
from router.table import RoutingTable
from tests.controller.builders import intent

STATE = RouteState(name="digits", declared_champion="a", champion="a")


class Routers:
    """Keep what was published, and what the store said at that moment."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.told: list[int] = []
        self.stored: list[int | None] = []

    def publish(self, table: RoutingTable) -> None:
        self.told.append(table.version)
        stored = store.load_table(self.connection)
        self.stored.append(None if stored is None else stored.version)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


@pytest.fixture
def routers(connection: sqlite3.Connection) -> Routers:
    return Routers(connection)


@pytest.fixture
def traffic(connection: sqlite3.Connection, routers: Routers) -> Traffic:
    return Traffic(connection, routers.publish, table=RoutingTable(version=1))


def change(version: int, **parts: object) -> Change:
    entry = Entry(
        at_ns=1, who="x", route="digits", action="advance", because="so", config_digest="d"
    )
    whole = {"table": RoutingTable(version=version), "entries": (entry,), "states": (STATE,)}
    return Change(**(whole | parts))


def lock(connection: sqlite3.Connection) -> None:
    """Let every write fail, as a full disk does."""
    connection.execute("PRAGMA query_only = ON")


def unlock(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = OFF")


def test_forward_is_written_before_it_is_published(traffic, routers):
    traffic.advance(change(2), action="advance")
    assert (routers.told, routers.stored) == ([2], [2])


def test_back_is_published_before_it_is_written(traffic, routers, connection):
    traffic.withdraw(change(2))
    assert (routers.told, routers.stored) == ([2], [None])
    assert store.load_table(connection) == RoutingTable(version=2)
    assert traffic.n_unrecorded == 0


def test_forward_that_cannot_be_written_is_not_published(traffic, routers, connection):
    lock(connection)
    with pytest.raises(StoreError):
        traffic.advance(change(2), action="advance")
    assert (routers.told, traffic.table.version) == ([], 1)
    unlock(connection)
    assert store.load_routes(connection) == {}
    assert audit.head(connection).sequence == 0


def test_back_that_cannot_be_written_is_published_and_written_later(traffic, routers, connection):
    lock(connection)
    traffic.withdraw(change(2))
    traffic.withdraw(change(3))
    assert routers.told == [2, 3]
    assert traffic.n_unrecorded == 2
    assert not traffic.settle()
    unlock(connection)
    assert traffic.settle()
    assert audit.head(connection).sequence == 2
    assert store.load_table(connection) == RoutingTable(version=3)


def test_a_store_that_stays_full_is_told_once_for_each_rollback(traffic, connection):
    lock(connection)
    with capture_logs() as logs:
        traffic.withdraw(change(2))
        for _ in range(50):
            traffic.settle()
        traffic.withdraw(change(3))
        traffic.settle()
        unlock(connection)
        traffic.settle()
        traffic.settle()
    assert [line["event"] for line in logs] == [
        "rollback_not_recorded",
        "rollback_not_recorded",
        "rollbacks_recorded_at_last",
    ]


def test_nothing_goes_forward_before_what_went_back_is_written(traffic, routers, connection):
    lock(connection)
    traffic.withdraw(change(2))
    with pytest.raises(StoreError, match="not written"):
        traffic.advance(change(3), action="advance")
    unlock(connection)
    traffic.advance(change(3), action="advance")
    assert routers.told == [2, 3]
    assert audit.head(connection).sequence == 2


def test_what_comes_with_a_change_shares_its_transaction(traffic, connection):
    def fail(_: sqlite3.Connection) -> None:
        raise KeyError("later")

    with pytest.raises(KeyError):
        traffic.advance(change(2), action="advance", also=fail)
    assert store.load_table(connection) is None
    traffic.advance(
        change(2), action="advance", also=lambda c: store.save_snapshot(c, "digits", b"raw")
    )
    assert store.load_snapshot(connection, "digits") == b"raw"


def test_a_change_writes_routes_removals_and_the_file(traffic, connection):
    traffic.advance(change(2, intent=intent()), action="adopt")
    assert store.load_routes(connection) == {"digits": STATE}
    assert store.load_intent(connection) == intent()
    traffic.advance(change(3, states=(), removed=("digits",)), action="reload")
    assert store.load_routes(connection) == {}


def test_an_unchanged_table_is_not_published_again(traffic, routers):
    traffic.advance(change(1), action="hold")
    assert routers.told == []
    traffic.publish()
    assert routers.told == [1]


def test_a_renumbered_table_is_above_what_routers_know(traffic, routers, connection):
    traffic.renumber(above=17)
    assert traffic.table.version == 18
    assert store.load_table(connection) == RoutingTable(version=18)
    lock(connection)
    traffic.renumber(above=20)
    assert traffic.table.version == 21
