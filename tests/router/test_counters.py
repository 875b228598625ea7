"""Counts leave under flat names, and their number cannot grow with the traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.counters import CODES, LATENCY_BOUNDS_S, STREAM_ENDS, Counters
from tests.router.strategies import many

LABELS = "|route=digits|variant=a|role=champion"
DURATION = "understudy_request_duration_seconds"


def counted(*calls: tuple[int, float]) -> dict[str, float]:
    counters = Counters()
    for status, latency_s in calls:
        counters.calls("digits", "a", "champion").add(status, latency_s)
    return counters.values()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0, "none"), (100, "1xx"), (200, "2xx"), (204, "2xx"), (302, "3xx"), (404, "4xx"),
        (503, "5xx"), (599, "5xx"), (600, "other"), (999, "other"),
    ],
)  # fmt: skip
def test_status_is_counted_by_its_class(status: int, code: str) -> None:
    values = counted((status, 0.01))
    assert values[f"understudy_requests_total{LABELS}|code={code}"] == 1
    assert sum("requests_total" in name for name in values) == 1


def test_latency_counts_up_to_and_including_its_bound() -> None:
    values = counted((200, 0.005))
    assert values[f"{DURATION}_bucket{LABELS}|le=0.0025"] == 0
    assert values[f"{DURATION}_bucket{LABELS}|le=0.005"] == 1
    assert values[f"{DURATION}_bucket{LABELS}|le=+Inf"] == 1


def test_latency_beyond_every_bound_is_still_counted() -> None:
    values = counted((200, 60.0))
    assert values[f"{DURATION}_bucket{LABELS}|le=10.0"] == 0
    assert values[f"{DURATION}_bucket{LABELS}|le=+Inf"] == 1
    assert values[f"{DURATION}_sum{LABELS}"] == 60.0


@many
@given(calls=st.lists(st.tuples(st.integers(0, 999), st.floats(0, 100)), min_size=1, max_size=30))
def test_histogram_is_cumulative_and_agrees_with_its_count(calls: list[tuple[int, float]]) -> None:
    values = counted(*calls)
    bounds = (*map(str, LATENCY_BOUNDS_S), "+Inf")
    steps = [values[f"{DURATION}_bucket{LABELS}|le={bound}"] for bound in bounds]
    assert steps == [sum(latency_s <= float(bound) for _, latency_s in calls) for bound in bounds]
    assert values[f"{DURATION}_count{LABELS}"] == steps[-1] == len(calls)
    assert values[f"{DURATION}_sum{LABELS}"] == pytest.approx(sum(call[1] for call in calls))
    by_code = [n for name, n in values.items() if "requests_total" in name]
    assert sum(by_code) == len(calls)


@many
@given(calls=st.lists(st.tuples(st.integers(0, 999), st.floats(0, 100)), max_size=50))
def test_number_of_series_is_bounded_whatever_is_answered(calls: list[tuple[int, float]]) -> None:
    assert len(counted(*calls)) <= len(CODES) + len(LATENCY_BOUNDS_S) + 3


def test_calls_of_one_kind_are_one_count_and_others_are_not() -> None:
    counters = Counters()
    assert counters.calls("r", "a", "champion") is counters.calls("r", "a", "champion")
    assert counters.calls("r", "a", "champion") is not counters.calls("r", "a", "fallback")


def test_events_are_counted_by_name_and_labels() -> None:
    counters = Counters()
    counters.event("understudy_fallbacks_total", "route=r", "reason=reset")
    counters.event("understudy_fallbacks_total", "route=r", "reason=reset")
    counters.event("understudy_fallbacks_total", "route=r", "reason=timeout")
    counters.event("understudy_unrouted_requests_total")
    assert counters.values() == {
        "understudy_fallbacks_total|route=r|reason=reset": 2,
        "understudy_fallbacks_total|route=r|reason=timeout": 1,
        "understudy_unrouted_requests_total": 1,
    }


def test_streams_are_counted_by_how_they_end_and_how_fast_they_are() -> None:
    counters = Counters()
    streams = counters.streams("r", "v", "champion")
    streams.add("", 0.2, 1.2, 101)  # 100 events in the second after the first
    streams.add("reset", 0.02, 5.0, 1)
    streams.add("aborted", 0.0, 5.0, 0)
    values = counters.values()
    labels = "|route=r|variant=v|role=champion"
    ends = {end: values[f"understudy_streams_total{labels}|end={end}"] for end in STREAM_ENDS}
    assert ends == {"complete": 1, "cut": 1, "left": 1}
    first = "understudy_stream_first_event_seconds"
    assert values[f"{first}_count{labels}"] == 2
    assert values[f"{first}_bucket{labels}|le=0.025"] == 1
    assert values[f"{first}_sum{labels}"] == pytest.approx(0.22)
    rate = "understudy_stream_events_per_second"
    assert values[f"{rate}_count{labels}"] == 1
    assert values[f"{rate}_bucket{labels}|le=50.0"] == 0
    assert values[f"{rate}_bucket{labels}|le=100.0"] == 1
