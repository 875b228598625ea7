import os
from pathlib import Path

import pytest

from loadtests.cores import choose_cores
from loadtests.growth import (
    Case,
    Point,
    all_cases,
    growth_grid,
    measure,
    measure_matcher,
    measure_time,
    to_json,
)
from loadtests.router_alone import LONG_PATH, Crowd, router_peer
from loadtests.turn import Plan, running_upstreams
from loadtests.work import PREDICT, Mode

PLAN = Plan(seconds=1, work=PREDICT, cores=choose_cores(os.sched_getaffinity(0)))


def test_each_dimension_grows_from_its_first_line() -> None:
    sizes: dict[str, list[int]] = {}
    for case in all_cases():
        sizes.setdefault(case.dimension, []).append(case.size)
    assert sizes["connections"] == [1, 32, 256, 1000]
    assert sizes["challengers in the file"] == [1, 4, 16]
    assert [found for name, found in sizes.items() if name.startswith("routes")] == [
        [1, 100, 1000]
    ] * 3


def test_table_gives_the_factor_to_the_first_line_of_the_dimension() -> None:
    grid = growth_grid(
        [
            Point(dimension="a", size=1, cpu_us_per_request=40.0),
            Point(dimension="a", size=1000, cpu_us_per_request=50.0, rest_cpu_ms_per_s=3.0),
            Point(dimension="b", size=1, cpu_us_per_request=10.0, faults=("half",)),
        ]
    )
    assert [row[:4] for row in grid.rows] == [
        ("a", "1", "40.0", "1.00"),
        ("a", "1,000", "50.0", "1.25"),
        ("b INVALID", "1", "10.0", "1.00"),
    ]


def test_line_with_a_fault_is_invalid_in_the_json() -> None:
    points = [Point(dimension="b", size=1, cpu_us_per_request=10.0, faults=("half",))]
    (line,) = to_json(points)
    assert line["valid"] is False
    assert line["faults"] == ["half"]


def test_matcher_is_timed_on_a_path_that_only_the_shortest_prefix_fits() -> None:
    point = measure_matcher(300)
    assert point.cpu_us_per_request > 0


def test_router_with_a_thousand_prefixes_answers_every_request(tmp_path: Path) -> None:
    peer = router_peer(Mode.SPLIT, Crowd.PREFIXES, 999)
    case = Case(dimension="prefixes", size=1000, peer=peer, connections=4, path=LONG_PATH)
    with running_upstreams(PLAN, tmp_path) as upstreams:
        point = measure(case, upstreams, PLAN)
    assert point.faults == ()
    assert min(point.cpu_us_per_request, point.rss_mb, point.requests_per_s) > 0


@pytest.mark.slow
def test_lines_of_time_follow_each_other_in_one_process(tmp_path: Path) -> None:
    with running_upstreams(PLAN, tmp_path) as upstreams:
        points = list(measure_time(upstreams, PLAN, 1, windows=2))
    assert [point.size for point in points] == [1, 2]
    assert all(point.faults == () for point in points)
