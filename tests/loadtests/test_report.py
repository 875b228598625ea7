from typing import Any

import pytest

from loadtests.report import (
    Row,
    Turn,
    cost_grid,
    faults_of,
    figure_grids,
    ratio,
    summarise,
    to_json,
)

KEYS = ["name", "cpu_us_per_request", "requests_per_s", "p50_ms", "p99_ms", "rss_mb"]
"""What readers of the JSON rely on; more keys may follow."""


def make_turn(cpu_us: float, **changes: Any) -> Turn:
    fields: dict[str, Any] = {
        "cpu_us_per_request": cpu_us,
        "control_cpu_us_per_request": 0.0,
        "requests": 1000,
        "requests_per_s": 500.0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "rss_mb": 30.0,
        "busy": 0.9,
        "challenger_share": 0.5,
    }
    return Turn(**(fields | changes))


def make_row(name: str, cpu_us: float, **changes: Any) -> Row:
    return summarise(name, [make_turn(cpu_us, **changes)])


def printed(rows: list[Row], rounds: int = 3) -> str:
    return cost_grid(rounds, rows, {"understudy-split": "met"}).to_markdown()


def test_row_is_the_median_of_each_figure_by_itself() -> None:
    turns = [
        make_turn(30.0, p99_ms=9.0, control_cpu_us_per_request=1.0),
        make_turn(10.0, p99_ms=5.0, control_cpu_us_per_request=8.0),
        make_turn(11.0, p99_ms=1.0, control_cpu_us_per_request=3.0),
    ]
    row = summarise("relay", turns)
    assert (row.cpu_us_per_request, row.p99_ms) == (11.0, 5.0)
    assert row.controller_cpu_us_per_request == 3.0
    assert (row.cpu_us_low, row.cpu_us_high) == (10.0, 30.0)
    assert row.requests == 3000


def test_fault_of_one_round_makes_the_row_invalid_and_is_said_once() -> None:
    bad = make_turn(1.0, faults=("5 of 9 answers were not 200",))
    row = summarise("nginx-split", [make_turn(1.0), bad, bad])
    assert not row.is_valid
    assert row.faults == ("5 of 9 answers were not 200",)


def test_json_has_the_agreed_keys_first_and_in_order() -> None:
    report: dict[str, Any] = to_json(5, [make_row("relay", 12.34567)])
    assert list(report) == ["rounds", "rows"]
    assert report["rounds"] == 5
    (row,) = report["rows"]
    assert list(row)[: len(KEYS)] == KEYS
    assert row["name"] == "relay"
    assert row["cpu_us_per_request"] == 12.346
    assert row["valid"] is True


@pytest.mark.parametrize(
    ("name", "rival", "expected"),
    [
        ("understudy-split", "envoy", 0.5),
        ("understudy-mirror", "envoy", 0.25),
        ("understudy-split", "relay", 2.0),
        ("understudy-mirror", "relay", 2.5),
        ("understudy-split-64k", "envoy", 0.2),
        ("understudy-split-64k", "relay", 4.0),
        ("envoy-split", "envoy", 1.0),
        ("relay", "relay", 1.0),
        ("relay-64k", "relay", 1.0),
    ],
)
def test_ratio_compares_the_same_work_and_everything_with_the_floor(
    name: str, rival: str, expected: float
) -> None:
    rows = [
        make_row("understudy-split", 20.0),
        make_row("understudy-mirror", 25.0),
        make_row("envoy-split", 40.0),
        make_row("envoy-mirror", 100.0),
        make_row("understudy-split-64k", 80.0),
        make_row("envoy-split-64k", 400.0),
        make_row("relay", 10.0),
        make_row("relay-64k", 20.0),
    ]
    row = next(row for row in rows if row.name == name)
    assert ratio(row, rival, rows) == pytest.approx(expected)


def test_ratio_is_absent_for_other_work_missing_peers_and_invalid_rows() -> None:
    mirror = make_row("understudy-mirror", 20.0)
    broken = make_row("envoy-mirror", 1.0, faults=("no request was answered",))
    rows = [mirror, broken, make_row("haproxy-split", 10.0)]
    assert ratio(mirror, "haproxy", rows) is None  # it does not mirror
    assert ratio(mirror, "nginx", rows) is None  # not measured
    assert ratio(mirror, "envoy", rows) is None  # did not do its work
    assert ratio(broken, "envoy", rows) is None


def test_table_shows_ratios_and_marks_what_does_not_count() -> None:
    text = printed(
        [
            make_row("understudy-split", 20.0),
            make_row("envoy-split", 40.0),
            make_row("nginx-split", 5.0, faults=("3 of 9 answers were not 200",)),
        ]
    )
    assert "medians of 3 rounds" in text
    (ours,) = (line for line in text.splitlines() if "understudy-split" in line)
    assert "0.50" in ours
    assert ours.endswith("| met |")
    assert "nginx-split INVALID" in text


def test_faults_are_said_with_their_row() -> None:
    rows = [make_row("nginx-split", 5.0, faults=("3 of 9 answers were not 200",)), make_row("a", 1)]
    assert faults_of(rows) == [("nginx-split", "3 of 9 answers were not 200")]


def test_figures_of_a_work_are_medians_each_by_itself() -> None:
    turns = [make_turn(1.0, figures={"gap": value, "first": -value}) for value in (3.0, 1.0, 2.0)]
    assert summarise("envoy-split-sse", turns).figures == {"gap": 2.0, "first": -2.0}


def test_figures_of_a_work_stand_in_the_json_and_in_a_table_of_their_own() -> None:
    row = make_row("envoy-split-idle", 0.0, figures={"kb_per_connection": 1.25})
    report: dict[str, Any] = to_json(1, [row])
    assert report["rows"][0]["kb_per_connection"] == 1.25
    (grid,) = figure_grids([row, make_row("envoy-split", 4.0)])
    assert grid.rows == (("envoy-split-idle", "30.000", "", "1.250"),)


def test_row_without_a_cost_is_not_in_the_table_of_costs() -> None:
    assert "direct-sse" not in printed([make_row("direct-sse", 0.0), make_row("envoy-split", 4.0)])


def test_table_puts_the_cheapest_of_a_work_first() -> None:
    text = printed([make_row("aiohttp-split", 9.0), make_row("envoy-split", 4.0)], rounds=1)
    assert text.index("envoy-split") < text.index("aiohttp-split")
    assert "medians of 1 round" in text
    assert "1 rounds" not in text


def test_row_that_dropped_observations_is_named() -> None:
    rows = [
        make_row("understudy-split", 20.0, figures={"observations_dropped_share": 0.0}),
        make_row("understudy-split-64k", 90.0, figures={"observations_dropped_share": 0.125}),
    ]
    (grid,) = figure_grids(rows)
    assert grid.rows == (("understudy-split-64k", "12.5%"),)
