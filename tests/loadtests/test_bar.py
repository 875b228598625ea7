import pytest

from loadtests.bar import BARS, Bar, bar_grid, judge, to_json, words
from loadtests.plan import all_entries
from loadtests.report import Row
from tests.loadtests.test_report import make_row

COST = Bar(row="ours", rival="theirs", limit=0.5)
LEAST = Bar(row="ours", figure="two_over_one", limit=1.8)


def test_every_bar_is_about_rows_that_are_measured() -> None:
    names = {entry.name for entry in all_entries()}
    for bar in BARS:
        assert bar.row in names
        assert not bar.rival or bar.rival in names


@pytest.mark.parametrize(("ours", "is_met"), [(4.9, True), (5.0, True), (5.1, False)])
def test_bar_is_a_share_of_the_rivals_figure(ours: float, is_met: bool) -> None:
    (verdict,) = judge([make_row("ours", ours), make_row("theirs", 10.0)], [COST])
    assert verdict.is_met is is_met


@pytest.mark.parametrize(("ours", "is_met"), [(1.79, False), (1.8, True)])
def test_bar_without_a_rival_is_the_least_that_will_do(ours: float, is_met: bool) -> None:
    (verdict,) = judge([make_row("ours", 1.0, figures={"two_over_one": ours})], [LEAST])
    assert verdict.is_met is is_met


@pytest.mark.parametrize(
    "rows",
    [
        [make_row("ours", 1.0)],
        [make_row("theirs", 1.0)],
        [make_row("ours", 1.0), make_row("theirs", 9.0, faults=("no request was answered",))],
        [make_row("ours", 1.0, faults=("no request was answered",)), make_row("theirs", 9.0)],
    ],
)
def test_bar_is_silent_about_what_was_not_measured_or_did_not_do_its_work(rows: list[Row]) -> None:
    assert judge(rows, [COST, LEAST]) == []


def test_row_with_one_bar_missed_is_not_met_as_a_whole() -> None:
    rows = [make_row("ours", 1.0, figures={"two_over_one": 1.0}), make_row("theirs", 10.0)]
    verdicts = judge(rows, [COST, LEAST])
    assert words(verdicts) == {"ours": "not met (1 of 2)"}
    assert words(verdicts[:1]) == {"ours": "met"}


def test_verdicts_are_shown_with_both_figures() -> None:
    verdicts = judge([make_row("ours", 4.0), make_row("theirs", 10.0)], [COST])
    text = bar_grid(verdicts).to_markdown()
    assert "| ours | cpu_us_per_request <= 0.5 x theirs | 4.000 | 10.000 | 0.40 | met |" in text
    assert to_json(verdicts) == [
        {
            "row": "ours",
            "bar": "cpu_us_per_request <= 0.5 x theirs",
            "ours": 4.0,
            "rival": 10.0,
            "met": True,
        }
    ]
