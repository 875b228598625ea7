"""The line of a route in the list."""

from sidecar.dashboard.summary import overview_of, row_of
from tests.sidecar.double import ROUTE, STATUS


def test_a_line_has_what_the_list_shows_and_no_more() -> None:
    assert row_of(ROUTE) == {
        "name": "digits",
        "champion": "digits-1",
        "challenger": "digits-2",
        "phase": "canary",
        "step": 1,
        "steps": 3,
        "share": 0.25,
        "held": False,
        "tripped": [],
        "worst": "undecided",
        "passed": 0,
        "checks": 1,
        "expected_seconds": 42.0,
    }


def test_a_tripped_check_is_named_and_is_the_worst() -> None:
    checks = [
        {"check": "a", "role": "guardrail", "state": "passed"},
        {"check": "b", "role": "guardrail", "state": "tripped"},
        {"check": "c", "role": "proxy", "state": "unknown"},
    ]
    row = row_of({**ROUTE, "checks": checks, "held_by": "ada"})
    assert (row["tripped"], row["worst"], row["passed"], row["checks"]) == (["b"], "tripped", 1, 2)
    assert row["held"]


def test_a_route_without_a_rollout_has_a_line() -> None:
    row = row_of({"name": "idle", "champion": "a"})
    assert row["phase"] is None and row["worst"] is None and row["checks"] == 0


def test_the_overview_leaves_the_routes_out() -> None:
    found = overview_of(STATUS | {"routers": [{}, {}]})
    assert found["table_version"] == 17 and found["routers"] == 2 and "routes" not in found
