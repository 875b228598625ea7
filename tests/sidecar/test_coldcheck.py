"""What the file must say of a route without a champion."""

import pytest

from sidecar.routefile import Loaded
from tests.sidecar.routing_texts import WHOLE, load, only_problem, problems_of_text

CHAMPION = '    champion: {name: fraud-6, url: "http://127.0.0.1:9001"}\n'
CHECKS = "errors: {at_most: 2%}, latency: {at_most: 300ms}, accuracy: {at_least: 90%}"


def cold(checks: str = CHECKS, more: str = "") -> str:
    """Return a whole file whose route has no champion."""
    return WHOLE.replace(CHAMPION, f"    cold_start: {{checks: {{{checks}}}{more}}}\n")


def test_first_challenger_is_the_first_version_and_needs_no_champion() -> None:
    loaded: Loaded = load(cold(more=", at_least: 500, for_at_least: 1h, at_most: 2d"))
    route = loaded.intent.routes[0]
    assert (route.champion.name, route.challengers) == ("fraud-7", ())
    assert route.cold_start is not None
    accuracy = next(spec for spec in route.cold_start.checks if spec.name == "accuracy")
    assert (accuracy.kind, accuracy.at_least, accuracy.detect) == ("correct", 0.9, None)
    latency = next(spec for spec in route.cold_start.checks if spec.name == "latency")
    assert (latency.at_most, latency.quantile, latency.margin) == (0.3, 0.99, None)
    cold_start = route.cold_start
    assert (cold_start.at_least, cold_start.for_at_least_s, cold_start.at_most_s) == (
        500,
        3600.0,
        172_800.0,
    )


def test_quantile_of_the_cold_start_replaces_the_metrics_own() -> None:
    loaded = load(cold("latency: {at_most: 1s, quantile: 0.5}"))
    assert loaded.intent.routes[0].cold_start is not None
    assert loaded.intent.routes[0].cold_start.checks[0].quantile == 0.5


def test_lone_first_version_needs_no_rollout() -> None:
    text = cold()
    start, end = text.index("    rollout:"), text.index("...")
    only_errors = text[:start] + text[end:]
    lines = [line for line in only_errors.splitlines() if "agrees" not in line]
    assert problems_of_text("\n".join(lines) + "\n") == []


def test_route_with_neither_or_both_is_refused() -> None:
    neither = only_problem(WHOLE.replace(CHAMPION, ""))
    assert (neither.path, neither.found) == ("routes[0].champion", "no `champion`")
    assert "or `cold_start`" in neither.expected
    both = only_problem(
        WHOLE.replace(CHAMPION, CHAMPION + "    cold_start: {checks: {errors: {at_most: 2%}}}\n")
    )
    assert (both.path, both.found) == ("routes[0].cold_start", "both")


@pytest.mark.parametrize(
    ("checks", "path", "said"),
    [
        ("nothing: {at_most: 2%}", "nothing", "the name of a metric of this route"),
        ("agrees: {at_least: 90%}", "agrees", "agreement says nothing of one variant"),
        ("errors: {at_least: 2%}", "errors", "`at_most` for a metric of kind error"),
        ("errors: {}", "errors", "`at_most` for a metric of kind error"),
        ("errors: {at_most: 2}", "errors.at_most", "a share, such as 2%"),
        ("errors: {at_most: 100%}", "errors.at_most", "a share, such as 2%"),
        ("errors: {at_most: 2s}", "errors.at_most", "a share, such as 2%"),
        ("latency: {at_most: 2%}", "latency.at_most", "a time, such as 300ms"),
        ("errors: {at_most: 2%, quantile: 0.9}", "errors.quantile", "no `quantile`"),
    ],
)
def test_limit_that_does_not_fit_its_metric_is_refused(checks: str, path: str, said: str) -> None:
    problem = only_problem(cold(checks))
    assert problem.path == f"routes[0].cold_start.checks.{path}"
    assert said in problem.expected


def test_number_needs_a_range_and_no_unit() -> None:
    metric = "      cost: {kind: mean, role: guardrail, margin: 1, value: cost, direction: lower}\n"
    text = cold("cost: {at_most: 2}").replace("    metrics:\n", "    metrics:\n" + metric)
    assert "`range: [0, 10]`" in only_problem(text).expected
    ranged = text.replace("value: cost,", "value: cost, range: [0, 10],")
    assert problems_of_text(ranged) == []
    assert "own unit" in only_problem(ranged.replace("at_most: 2}", "at_most: 2s}")).expected


def test_cold_start_without_a_version_is_refused() -> None:
    challengers = '    challengers:\n      - {name: fraud-7, url: "http://127.0.0.1:9002"}\n'
    assert challengers in WHOLE
    assert only_problem(cold().replace(challengers, "")).found == "no `challengers`"


def test_time_that_does_not_fit_is_refused() -> None:
    problem = only_problem(cold(more=", for_at_least: 8d"))
    assert problem.path == "routes[0].cold_start.for_at_least"
