"""How far each destination is: as durable as the records, and never ahead of them."""

import sqlite3
from collections.abc import Iterator

import pytest

from controller import audit, outbox
from controller.outbox import Place, bounded, join, keep_only, note
from tests.controller.test_audit import fill


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.executescript(audit.SCHEMA + outbox.SCHEMA)
    yield opened
    opened.close()


def test_a_new_destination_begins_with_what_happens_next(connection: sqlite3.Connection) -> None:
    fill(connection, 3)
    assert join(connection, "ops") == Place(3, 0)
    fill(connection, 2)
    assert join(connection, "ops") == Place(3, 0), "what came while nobody looked waits"
    assert join(connection, "late") == Place(5, 0)


def test_a_place_is_where_it_was_noted(connection: sqlite3.Connection) -> None:
    fill(connection, 9)
    note(connection, "ops", Place(7, 2))
    assert join(connection, "ops") == Place(7, 2)


def test_a_place_ahead_of_the_audit_is_of_a_state_that_is_gone(
    connection: sqlite3.Connection,
) -> None:
    note(connection, "ops", Place(70, 2))
    fill(connection, 4)
    assert join(connection, "ops") == Place(4, 2)


def test_what_nobody_is_told_of_any_more_is_forgotten(connection: sqlite3.Connection) -> None:
    fill(connection, 1)
    for name in ("a", "b"):
        join(connection, name)
    keep_only(connection, ["b"])
    assert connection.execute("SELECT destination FROM outbox").fetchall() == [("b",)]
    keep_only(connection, [])
    assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_the_oldest_are_passed_over_when_too_many_wait_and_counted() -> None:
    place = Place(100, 1)
    assert bounded(place, 110, max_waiting=10) == place
    assert bounded(place, 111, max_waiting=10) == Place(101, 2)
    assert bounded(place, 50, max_waiting=10) == place
