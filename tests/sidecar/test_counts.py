"""Counts never fall when a router goes, and no router is counted twice."""

from sidecar import counts
from sidecar.counts import Counts

REQUESTS = "understudy_requests_total|route=r|code=2xx"
OPEN = "understudy_downstream_connections"


def test_routers_are_added_up() -> None:
    both = Counts()
    both.update("w0", {REQUESTS: 3, OPEN: 2})
    both.update("w1", {REQUESTS: 4})
    assert both.total() == {REQUESTS: 7, OPEN: 2}


def test_later_counts_of_a_router_replace_its_earlier_ones() -> None:
    one = Counts()
    one.update("w0", {REQUESTS: 3})
    one.update("w0", {REQUESTS: 5})
    assert one.total() == {REQUESTS: 5}


def test_replaced_router_keeps_its_counts_and_loses_its_levels() -> None:
    one = Counts()
    one.update("w0-first", {REQUESTS: 3, OPEN: 2})
    one.leave("w0-first")
    one.update("w0-second", {REQUESTS: 1, OPEN: 1})
    assert one.total() == {REQUESTS: 4, OPEN: 1}


def test_router_that_comes_back_is_not_counted_twice() -> None:
    one = Counts()
    one.update("w0", {REQUESTS: 3})
    one.leave("w0")
    one.update("w0", {REQUESTS: 4})
    assert one.total() == {REQUESTS: 4}


def test_memory_does_not_grow_with_restarts() -> None:
    one = Counts()
    for k in range(1000):
        one.update(f"w0-{k}", {REQUESTS: 1})
        one.leave(f"w0-{k}")
    assert one.total() == {REQUESTS: 1000}
    assert len(one._gone) <= counts.MAX_GONE


def test_message_with_too_many_names_is_cut() -> None:
    one = Counts()
    one.update("w0", {f"n{k}": 1.0 for k in range(counts.MAX_NAMES + 1)})
    assert len(one.total()) == counts.MAX_NAMES


def test_leaving_without_having_counted_is_nothing() -> None:
    one = Counts()
    one.leave("never seen")
    assert one.total() == {}


def test_certificate_that_expires_first_is_the_one_that_counts() -> None:
    expiry = "understudy_certificate_expiry_timestamp_seconds|certificate=listener"
    both = Counts()
    both.update("w0", {expiry: 2e9, REQUESTS: 1})
    both.update("w1", {expiry: 1.9e9, REQUESTS: 1})
    assert both.total() == {expiry: 1.9e9, REQUESTS: 2}
    both.leave("w1")
    assert both.total()[expiry] == 2e9


def test_lateness_of_routers_is_the_worst_and_not_the_sum() -> None:
    lag = "understudy_event_loop_lag_seconds"
    both = Counts()
    both.update("w0", {lag: 0.2})
    both.update("w1", {lag: 0.1})
    assert both.total() == {lag: 0.2}
    both.leave("w0")
    assert both.total() == {lag: 0.1}
