"""When a router lets go of a challenger, and when it tries again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ejection import MAX_REST_S, REST_S, Ejection
from tests.router.strategies import many

LIMIT = 3


def ejected_at(now_s: float) -> Ejection:
    ejection = Ejection(LIMIT)
    for _ in range(LIMIT):
        ejection.failed(now_s)
    return ejection


def test_run_of_failures_ejects_exactly_once() -> None:
    ejection = Ejection(LIMIT)
    assert [ejection.failed(0.0) for _ in range(LIMIT + 2)] == [False, False, True, False, False]
    assert ejection.is_ejected
    assert ejection.failures == LIMIT + 2


def test_one_success_between_failures_starts_the_count_anew() -> None:
    ejection = Ejection(LIMIT)
    for _ in range(10):
        assert not ejection.failed(0.0)
        assert not ejection.failed(0.0)
        ejection.succeeded()
    assert not ejection.is_ejected
    assert ejection.failures == 0


def test_nobody_is_sent_to_a_resting_challenger() -> None:
    ejection = ejected_at(10.0)
    assert not ejection.may_use(10.0)
    assert not ejection.may_use(10.0 + REST_S - 0.001)


def test_rest_ends_with_one_probe_and_nobody_follows_it() -> None:
    ejection = ejected_at(0.0)
    assert [ejection.may_use(REST_S) for _ in range(3)] == [True, False, False]
    assert ejection.is_ejected


def test_probe_that_succeeds_brings_everybody_back() -> None:
    ejection = ejected_at(0.0)
    ejection.may_use(REST_S)
    ejection.succeeded()
    assert not ejection.is_ejected
    assert all(ejection.may_use(REST_S) for _ in range(3))


def test_each_failing_probe_doubles_the_rest_up_to_its_limit() -> None:
    ejection, now_s, rests = ejected_at(0.0), 0.0, []
    for _ in range(8):
        began_s = now_s
        while not ejection.may_use(now_s):
            now_s += 0.5
        rests.append(now_s - began_s)
        assert not ejection.failed(now_s)
    assert rests == [REST_S, 2.0, 4.0, 8.0, 16.0, MAX_REST_S, MAX_REST_S, MAX_REST_S]


def test_rests_start_short_again_after_a_recovery() -> None:
    ejection = ejected_at(0.0)
    for now_s in (1.0, 3.0, 7.0):
        assert ejection.may_use(now_s)
    ejection.succeeded()
    for _ in range(LIMIT):
        ejection.failed(100.0)
    assert not ejection.may_use(100.0 + REST_S - 0.001)
    assert ejection.may_use(100.0 + REST_S)


events = st.lists(st.tuples(st.sampled_from(["use", "ok", "fail"]), st.floats(0, 10)), max_size=60)


@many
@given(limit=st.integers(1, 6), events=events)
def test_challenger_rests_only_after_a_whole_run_of_failures(
    limit: int, events: list[tuple[str, float]]
) -> None:
    ejection, now_s, run = Ejection(limit), 0.0, 0
    for event, passed_s in events:
        now_s += passed_s
        if event == "use":
            assert ejection.may_use(now_s) or run >= limit
        elif event == "ok":
            ejection.succeeded()
            run = 0
        else:
            run += 1
            assert ejection.failed(now_s) is (run == limit)
        assert ejection.is_ejected is (run >= limit)
        assert ejection.failures == run


@pytest.mark.parametrize("limit", [1, 5, 100])
def test_limit_is_the_routes_own(limit: int) -> None:
    ejection = Ejection(limit)
    assert [ejection.failed(0.0) for _ in range(limit)] == [False] * (limit - 1) + [True]
