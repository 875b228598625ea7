import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.report import plots
from sidecar.report.plots import Interval, Odds, Share, effects, odds, shares

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<img src=x onerror="alert(1)">&'
numbers = st.floats(-1e6, 1e6)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def coordinates(picture: str) -> list[float]:
    found = re.findall(r'\b(?:c?[xy][12]?)="([^"]*)"', picture)
    return [float(text) for text in found]


@given(st.lists(st.builds(
    Interval, st.just("a"), st.sampled_from(["passed", "tripped"]), numbers,
    st.none() | numbers, st.none() | numbers,
), max_size=5))  # fmt: skip
def test_effects_are_drawn_inside_the_picture(rows: list[Interval]) -> None:
    assert all(-1 <= at <= 1000 and math.isfinite(at) for at in coordinates(effects(rows)))
    assert len(parsed(effects(rows)).findall(f"{SVG}circle")) == len(rows)


@given(st.lists(st.builds(
    Odds, st.just("a"), st.just("passed"), st.floats(0, 1e9), st.floats(1, 1e6),
), max_size=5))  # fmt: skip
def test_odds_are_drawn_inside_the_picture(rows: list[Odds]) -> None:
    assert all(-1 <= at <= 1000 for at in coordinates(odds(rows)))


@given(st.lists(st.builds(Share, numbers, st.floats(0, 1), st.just("a")), max_size=6), numbers)
def test_shares_are_drawn_inside_the_picture_even_if_the_clock_went_back(
    rows: list[Share], end_s: float
) -> None:
    assert all(-1 <= at <= 1000 for at in coordinates(shares(rows, end_s)))


def test_an_effect_lies_between_its_ends_and_zero_is_the_axis() -> None:
    picture = parsed(effects([Interval("accuracy", "passed", 0.02, 0.01, 0.03)]))
    axis = next(line for line in picture.iter(f"{SVG}line") if line.get("class") == "axis")
    mark = next(line for line in picture.iter(f"{SVG}line") if line.get("class") == "mark passed")
    circle = next(picture.iter(f"{SVG}circle"))
    places = [axis.get("x1"), mark.get("x1"), circle.get("cx"), mark.get("x2")]
    assert [float(at or "nan") for at in places] == sorted(float(at or "nan") for at in places)


def test_shares_are_steps() -> None:
    rows = [Share(0.0, 0.0, "start"), Share(50.0, 0.25, "advance"), Share(100.0, 0.5, "advance")]
    line = next(parsed(shares(rows, 200.0)).iter(f"{SVG}polyline")).get("points") or ""
    places = [tuple(map(float, pair.split(","))) for pair in line.split()]
    assert [x for x, _ in places] == [56.0, 216.0, 216.0, 376.0, 376.0, 696.0]
    assert [y for _, y in places] == [136.0, 136.0, 106.0, 106.0, 76.0, 76.0]


@pytest.mark.parametrize(
    "picture",
    [
        effects([Interval(HOSTILE, "passed", 0.1, 0.0, 0.2)]),
        odds([Odds(HOSTILE, "passed", 4.0, 20.0)]),
        shares([Share(0.0, 0.5, HOSTILE)], 1.0),
    ],
)
def test_names_are_escaped_and_every_picture_can_be_heard(picture: str) -> None:
    tree = parsed(picture)
    assert not list(tree.iter("img")) and "<img" not in picture
    assert tree.get("role") == "img"
    assert tree.find(f"{SVG}title") is not None and HOSTILE in (tree.findtext(f"{SVG}desc") or "")


def test_every_state_has_a_colour() -> None:
    assert all(f".{state}{{" in plots.STYLE for state in ("passed", "undecided", "tripped"))
