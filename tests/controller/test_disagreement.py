"""Pairs that disagree: the farthest apart are kept, never more than is allowed, and no answer."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.disagreement import KEPT, MAX_CHARS, Disagreements, distance
from router.observation import MirroredPair, Outcome
from tests.controller.builders import route_intent

SHOWN = replace(route_intent(), shown="predictions")


def pair(request_id: str = "a", experiment: str = "x", route: str = "digits") -> MirroredPair:
    secret = Outcome("digits-1", 200, 0.01, "", b'{"secret": 1}', 13)
    return MirroredPair(
        route=route,
        experiment=experiment,
        request_id=request_id,
        unit=1,
        table_version=1,
        at_ns=1_800_000_000 * 10**9,
        champion=secret,
        challenger=secret,
    )


def shown() -> Disagreements:
    kept = Disagreements()
    kept.use([SHOWN])
    return kept


def test_nothing_is_kept_unless_the_file_says_so() -> None:
    kept = Disagreements()
    kept.use([route_intent()])
    kept.note(pair(), ("1", "2"))
    assert kept.told("digits")["show"] == "nothing" and kept.told("digits")["pairs"] == []
    kept.use([SHOWN])
    assert kept.told("digits")["compared"] == 0


def test_what_is_kept_is_forgotten_when_the_file_takes_it_back() -> None:
    kept = shown()
    kept.note(pair(), ("1", "2"))
    assert len(kept.told("digits")["pairs"]) == 1
    kept.use([route_intent()])
    kept.use([SHOWN])
    assert kept.told("digits")["pairs"] == []


def test_predictions_are_told_and_nothing_else_of_the_answers() -> None:
    kept = shown()
    kept.note(pair("r1"), ("0.25", "0.75"))
    assert kept.told("digits")["pairs"] == [
        {
            "request_id": "r1",
            "at": "2027-01-15T08:00:00.000000Z",
            "apart": 0.5,
            "champion": "0.25",
            "challenger": "0.75",
        }
    ]
    assert "secret" not in json.dumps(kept.told("digits"))


def test_pairs_that_agree_or_have_no_prediction_are_counted_or_left_out() -> None:
    kept = shown()
    for compared in (("1", "1"), ("1", None), (None, "1"), None):
        kept.note(pair(), compared)
    told = kept.told("digits")
    assert (told["compared"], told["differ"], told["pairs"]) == (1, 0, [])


def test_another_experiment_begins_with_none() -> None:
    kept = shown()
    kept.note(pair(experiment="x"), ("1", "2"))
    kept.note(pair("b", experiment="y"), ("1", "3"))
    told = kept.told("digits")
    assert told["experiment"] == "y" and [one["request_id"] for one in told["pairs"]] == ["b"]


def test_long_predictions_are_cut() -> None:
    kept = shown()
    kept.note(pair("i" * 500), (json.dumps("x" * 9_000), '"y"'))
    [one] = kept.told("digits")["pairs"]
    assert len(one["champion"]) == MAX_CHARS and one["champion"].endswith("…")
    assert len(one["request_id"]) == MAX_CHARS


@given(st.lists(st.integers(0, 50), max_size=80))
def test_the_farthest_are_kept_and_of_equal_ones_the_latest(values: list[int]) -> None:
    kept = shown()
    for at, value in enumerate(values):
        kept.note(pair(str(at)), ("0", str(value)))
    differing = [(value, at) for at, value in enumerate(values) if value]
    wanted = sorted(differing, reverse=True)[:KEPT]
    found = [(one["apart"], int(one["request_id"])) for one in kept.told("digits")["pairs"]]
    assert found == wanted


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("1", "4", 3.0),
        ("[0.1, 0.9]", "[0.4, 0.6]", 0.3),
        ('"a"', '"b"', 1.0),
        ("[1, 2]", "[1]", 1.0),
        ("true", "5", 1.0),
        ("1e400", "1", 1.0),
        ("[]", "[1]", 1.0),
        ("9" * 500, "1", 1.0),
        ("[" * 3000, "1", 1.0),
        ("[" + "1," * 5000 + "1]", "1", 1.0),
    ],
)
def test_distance_is_a_number_whatever_was_predicted(one: str, other: str, apart: float) -> None:
    assert distance(one, other) == pytest.approx(apart)
    assert distance(other, one) == pytest.approx(apart)
