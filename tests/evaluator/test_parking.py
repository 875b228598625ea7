"""Labels that came before their observation."""

import sqlite3

import pytest

from evaluator.join import Label
from evaluator.parking import PARKED_NS, SCHEMA, Parking


@pytest.fixture
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return connection


def test_one_is_taken_once_by_its_route_or_by_any_if_it_names_none(connection) -> None:
    parking = Parking(connection, max_parked=9)
    assert parking.put(Label("a", "1"), 5)
    assert parking.put(Label("b", "2", "fraud"), 5)
    assert parking.take("digits", ["a", "b", "c"]) == [("a", "1", 5)]
    assert parking.take("digits", ["a", "b", "c"]) == []
    assert parking.take("fraud", ["b"]) == [("b", "2", 5)]
    assert parking.count() == 0


def test_the_first_of_several_for_one_id_stays(connection) -> None:
    parking = Parking(connection, max_parked=9)
    assert parking.put(Label("a", "1"), 5) and parking.put(Label("a", "2"), 6)
    assert parking.take("digits", ["a"]) == [("a", "1", 5)]


def test_there_are_never_more_than_its_bound_and_none_is_older_than_a_minute(connection) -> None:
    parking = Parking(connection, max_parked=3)
    assert [parking.put(Label(f"a{k}", "1"), 5) for k in range(5)] == [True] * 3 + [False] * 2
    assert not parking.put(Label("b", "1"), 5 + PARKED_NS)
    assert parking.put(Label("b", "1"), 6 + PARKED_NS)
    assert parking.count() == 1
