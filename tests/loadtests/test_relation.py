import pytest

from loadtests.relation import relate
from tests.loadtests.test_report import make_turn


def test_paced_turn_is_told_what_it_adds_to_the_turn_without_a_proxy() -> None:
    turns = relate(
        {
            "direct-open": make_turn(0.0, p50_ms=0.1, p99_ms=0.4),
            "envoy-split-open": make_turn(50.0, p50_ms=0.3, p99_ms=1.4, figures={"rate_per_s": 9}),
        }
    )
    added = turns["envoy-split-open"].figures
    assert added == {
        "rate_per_s": 9,
        "added_p50_ms": pytest.approx(0.2),
        "added_p99_ms": pytest.approx(1.0),
    }
    assert turns["direct-open"].figures == {}


def test_stream_is_told_what_it_adds_to_each_of_its_times() -> None:
    turns = relate(
        {
            "direct-sse": make_turn(0.0, figures={"gap_p99_ms": 2.0, "first_p50_ms": 1.0}),
            "envoy-split-sse": make_turn(9.0, figures={"gap_p99_ms": 2.5, "first_p50_ms": 4.0}),
        }
    )
    figures = turns["envoy-split-sse"].figures
    assert figures["added_gap_p99_ms"] == pytest.approx(0.5)
    assert figures["added_first_p50_ms"] == pytest.approx(3.0)


def test_two_workers_at_the_cost_of_one_are_worth_two() -> None:
    turns = relate(
        {
            "understudy-split-1w": make_turn(40.0, requests_per_s=5_000.0),
            "understudy-split-2w": make_turn(50.0, requests_per_s=9_000.0),
        }
    )
    assert turns["understudy-split-2w"].figures == {
        "two_over_one": pytest.approx(1.6),
        "throughput_ratio": pytest.approx(1.8),
    }


def test_other_work_is_compared_with_nothing() -> None:
    turns = {"direct-open": make_turn(0.0), "envoy-split": make_turn(1.0), "relay": make_turn(2.0)}
    assert relate(turns) == turns


def test_second_worker_without_the_first_is_compared_with_nothing() -> None:
    turns = {"understudy-split-2w": make_turn(50.0)}
    assert relate(turns) == turns
