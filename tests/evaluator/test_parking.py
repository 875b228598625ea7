"""Labels that came before their observation."""

import sqlite3

import pytest

from evaluator.join import Label
from evaluator.parking import PARKED_NS, SCHEMA, Parked, Parking


@pytest.fixture
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(SCHEMA)
    return connection


def test_one_is_taken_once_by_its_route_or_by_any_if_it_names_none(connection) -> None:
    parking = Parking(connection, max_parked=9)
    assert parking.put(Label("a", "1"), 5) is Parked.KEPT
    assert parking.put(Label("b", "2", "fraud"), 5) is Parked.KEPT
    assert parking.take("digits", ["a", "b", "c"]) == [("a", "1", 5)]
    assert parking.take("digits", ["a", "b", "c"]) == []
    assert parking.take("fraud", ["b"]) == [("b", "2", 5)]
    assert parking.count() == 0


def test_the_first_of_several_for_one_id_stays(connection) -> None:
    parking = Parking(connection, max_parked=9)
    answers = [parking.put(Label("a", text), at_ns) for text, at_ns in (("1", 5), ("2", 6))]
    assert answers == [Parked.KEPT, Parked.DIFFERS]
    assert parking.put(Label("a", "1"), 7) is Parked.KEPT
    assert parking.take("digits", ["a"]) == [("a", "1", 5)]


def test_a_correction_takes_the_place_of_the_first_but_not_its_time(connection) -> None:
    parking = Parking(connection, max_parked=9)
    parking.put(Label("a", "1"), 5)
    assert parking.put(Label("a", "2", is_correction=True), 6) is Parked.KEPT
    assert parking.take("digits", ["a"]) == [("a", "2", 5)]


def test_an_id_that_waits_on_one_route_is_not_kept_for_another(connection) -> None:
    parking = Parking(connection, max_parked=9)
    parking.put(Label("a", "1", "digits"), 5)
    assert parking.put(Label("a", "2", "fraud"), 5) is Parked.FULL


def test_a_second_label_is_told_from_the_first_also_when_there_is_no_room(connection) -> None:
    parking = Parking(connection, max_parked=1)
    answers = [parking.put(Label(name, text), 5) for name, text in ("a1", "a2", "b1", "a1")]
    assert answers == [Parked.KEPT, Parked.DIFFERS, Parked.FULL, Parked.KEPT]


def test_there_are_never_more_than_its_bound_and_none_is_older_than_a_minute(connection) -> None:
    parking = Parking(connection, max_parked=3)
    answers = [parking.put(Label(f"a{k}", "1"), 5) for k in range(5)]
    assert answers == [Parked.KEPT] * 3 + [Parked.FULL] * 2
    assert parking.put(Label("b", "1"), 5 + PARKED_NS) is Parked.FULL
    assert parking.put(Label("b", "1"), 6 + PARKED_NS) is Parked.KEPT
    assert parking.count() == 1
