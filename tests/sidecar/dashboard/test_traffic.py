"""Traffic from the routers' own counts: totals, rates, quantiles."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.counters import LATENCY_BOUNDS_S, Counters
from sidecar.dashboard.traffic import Totals, between, quantile, traffic_by_route


def counted(*calls: tuple[str, str, int, float], route: str = "fraud") -> dict[str, float]:
    """What a router counts of (variant, role, status, latency)."""
    counters = Counters()
    for variant, role, status, latency_s in calls:
        counters.calls(route, variant, role).add(status, latency_s)
    return counters.values()


def test_roles_of_a_variant_are_added_up_and_copies_are_told_apart() -> None:
    counts = counted(
        ("a", "champion", 200, 0.02),
        ("a", "fallback", 200, 0.03),
        ("b", "mirror", 200, 0.02),
        ("b", "challenger", 503, 0.5),
        ("b", "mirror", 0, 2.0),
    )
    found = traffic_by_route(counts)["fraud"]
    assert (found["a"].requests, found["a"].errors, found["a"].mirrored) == (2, 0, 0)
    assert (found["b"].requests, found["b"].errors, found["b"].mirrored) == (3, 2, 2)
    assert found["a"].latency_s == pytest.approx(0.05) and found["a"].buckets[-1] == 2


def test_only_the_routes_that_are_asked_for_are_read() -> None:
    counts = counted(("a", "champion", 200, 0.1)) | counted(
        ("a", "champion", 200, 0.1), route="other"
    )
    assert list(traffic_by_route(counts, "other")) == ["other"]
    assert traffic_by_route({"understudy_unrouted_requests_total": 3.0}) == {}


def test_rates_are_of_what_lies_between() -> None:
    before = traffic_by_route(counted(*[("a", "champion", 200, 0.02)] * 10))["fraud"]["a"]
    calls = [("a", "champion", 200, 0.02)] * 100 + [("a", "champion", 500, 0.02)] * 10
    now = traffic_by_route(counted(*calls))["fraud"]["a"]
    found = between(before, now, 50.0)
    assert found is not None
    assert (found["requests"], found["per_s"], found["errors"]) == (100, 2.0, 10)
    assert found["error_share"] == 0.1 and found["mean_s"] == pytest.approx(0.02)
    assert 0.01 < found["p50_s"] < found["p99_s"] <= 0.025


def test_nothing_is_said_across_a_new_beginning_or_of_no_time() -> None:
    assert between(Totals(requests=5), Totals(requests=4), 10.0) is None
    assert between(Totals(), Totals(requests=4), 0.0) is None


def test_without_requests_there_is_a_rate_and_no_latency() -> None:
    found = between(Totals(), Totals(), 10.0)
    assert found is not None and found["per_s"] == 0.0
    assert found["error_share"] is None and found["p99_s"] is None and found["mean_s"] is None


@given(st.lists(st.floats(0.0001, 9.9), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    counters = Counters()
    calls = counters.calls("r", "v", "champion")
    for value in values:
        calls.add(200, value)
    found = quantile(traffic_by_route(counters.values())["r"]["v"].buckets, share)
    true = sorted(values)[math.ceil(share * len(values)) - 1]
    assert found is not None
    above = next(bound for bound in LATENCY_BOUNDS_S if true <= bound)
    below = max((bound for bound in LATENCY_BOUNDS_S if bound < true), default=0.0)
    assert below - 1e-9 <= found <= above + 1e-9


def test_beyond_the_last_bound_the_last_bound_is_told() -> None:
    assert quantile([0] * 13 + [5], 0.5) == LATENCY_BOUNDS_S[-1]
    assert quantile([], 0.5) is None and quantile([0] * 14, 0.5) is None
