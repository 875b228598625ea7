"""What outcomes mean."""

import math

import pytest

from evaluator.metric import is_aborted, is_failed, is_readable_in_principle, is_slower
from router.observation import FAULTS, Outcome
from tests.evaluator.builders import answer, failure


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault])
def test_every_fault_is_a_failure(fault: str) -> None:
    assert is_failed(failure(fault))
    assert not is_readable_in_principle(failure(fault))
    assert is_aborted(failure(fault)) == (fault == "aborted")


@pytest.mark.parametrize(
    ("status", "failed", "readable"),
    [
        (200, False, True),
        (204, False, True),
        (404, False, False),
        (499, False, False),
        (500, True, False),
    ],
)
def test_statuses_from_500_on_are_failures_and_only_2xx_holds_a_prediction(
    status: int, failed: bool, readable: bool
) -> None:
    outcome = answer(status=status)
    assert (is_failed(outcome), is_readable_in_principle(outcome)) == (failed, readable)


def test_answer_within_the_limit_is_not_slower() -> None:
    assert not is_slower(answer(latency_s=0.1), 0.1)
    assert is_slower(answer(latency_s=0.1001), 0.1)


def test_failure_counts_as_slow_however_fast_it_came() -> None:
    assert is_slower(failure(), 10.0)
    assert is_slower(answer(status=500, latency_s=0.001), 10.0)


def test_latency_that_is_no_number_is_slow() -> None:
    assert is_slower(Outcome("v", 200, math.nan, ""), 10.0)
