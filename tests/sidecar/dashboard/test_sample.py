"""Samples in, columns out."""

from typing import Any

from sidecar.dashboard.sample import MAX_CHECKS, MAX_POINTS, columns, encode
from sidecar.dashboard.traffic import Totals
from tests.sidecar.double import ROUTE


def route(**parts: Any) -> dict[str, Any]:
    return {**ROUTE, **parts}


def totals(n: int) -> dict[str, Totals]:
    return {"digits-1": Totals(requests=n, buckets=[0] * 5 + [n] * 9), "stranger": Totals()}


def test_a_sample_comes_back_as_columns() -> None:
    rows = [(10.0 * k, encode(route(), totals(20 * k))) for k in range(3)]
    found = columns(rows)
    assert found["at"] == [0.0, 10.0, 20.0] and found["phase"] == ["canary"] * 3
    assert found["checks"]["accuracy"]["effect"] == [0.05] * 3
    assert found["checks"]["accuracy"]["high"] == [None] * 3
    assert found["checks"]["accuracy"]["n"] == [812] * 3
    assert list(found["variants"]) == ["digits-1"]
    assert found["variants"]["digits-1"]["per_s"] == [None, 2.0, 2.0]


def test_no_samples_make_empty_columns() -> None:
    assert columns([]) == {"at": [], "phase": [], "share": [], "checks": {}, "variants": {}}


def test_checks_of_an_earlier_experiment_are_not_in_the_line_of_the_present_one() -> None:
    rows = [(0.0, encode(route(experiment="old"), {})), (1.0, encode(route(), {}))]
    assert columns(rows)["checks"]["accuracy"]["effect"] == [None, 0.05]


def test_a_check_that_did_not_read_yet_is_null() -> None:
    rows = [(0.0, encode(route(checks=[]), {})), (1.0, encode(route(), {}))]
    assert columns(rows)["checks"]["accuracy"]["log_e"] == [None, 1.25]


def test_a_restart_of_the_counting_is_no_negative_rate() -> None:
    counted = (100, 200, 10, 30)
    rows = [(10.0 * k, encode(route(), totals(n))) for k, n in enumerate(counted)]
    assert columns(rows)["variants"]["digits-1"]["per_s"] == [None, 10.0, None, 2.0]


def test_a_week_is_thinned_to_what_a_screen_shows_and_no_request_is_lost() -> None:
    rows = [(600.0 * k, encode(route(), totals(k))) for k in range(1_008)]
    found = columns(rows)
    assert len(found["at"]) == 336 <= MAX_POINTS and found["at"][-1] == 600.0 * 1_007
    rates = {round(rate * 600, 2) for rate in found["variants"]["digits-1"]["per_s"][1:]}
    assert rates == {1.0}


def test_a_sample_is_small_whatever_the_status_holds() -> None:
    many = [{**ROUTE["checks"][0], "check": f"c{k}"} for k in range(200)]  # type: ignore[index]
    raw = encode(route(checks=many), totals(10**9))
    assert len(columns([(0.0, raw)])["checks"]) == MAX_CHECKS and len(raw) < 5_000
    assert len(encode(route(), totals(10**9))) < 250
