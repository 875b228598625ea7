"""Is the evidence itself sound?"""

import random

import pytest

from evaluator.evidence import CheckState, Role
from evaluator.integrity import Integrity, IntegrityState
from tests.evaluator.builders import plan


def fresh(*, is_clustered: bool = False) -> Integrity:
    return Integrity(plan(), IntegrityState.empty(is_clustered=is_clustered))


@pytest.mark.parametrize("is_clustered", [False, True])
def test_split_as_asked_is_sound(is_clustered: bool) -> None:
    integrity, rng = fresh(is_clustered=is_clustered), random.Random(1)
    for propensity in (0.01, 0.05, 0.25):
        for _ in range(4000):
            integrity.assigned(propensity, rng.random() < propensity, rng.getrandbits(63))
    reading = integrity.srm_reading()
    assert (reading.state, reading.role) == (CheckState.PASSED, Role.INTEGRITY)
    assert reading.n == 12_000


@pytest.mark.parametrize("is_clustered", [False, True])
@pytest.mark.parametrize("actual", [0.42, 0.58])
def test_split_that_is_not_as_asked_reads_unknown(is_clustered: bool, actual: float) -> None:
    integrity, rng = fresh(is_clustered=is_clustered), random.Random(2)
    for _ in range(8000):
        integrity.assigned(0.5, rng.random() < actual, rng.getrandbits(63))
    reading = integrity.srm_reading()
    assert reading.state is CheckState.UNKNOWN
    assert "4000 were due" in reading.because


def test_few_busy_units_are_no_mismatch_when_units_are_known() -> None:
    """One user sends 600 of 2,600 requests: an alarm by requests, none by units."""
    by_request, by_unit = fresh(), fresh(is_clustered=True)
    rng = random.Random(3)
    for number in range(401):
        unit, is_challenger = rng.getrandbits(63), number == 0 or rng.random() < 0.5
        for _ in range(600 if number == 0 else 5):
            by_request.assigned(0.5, is_challenger, unit)
            by_unit.assigned(0.5, is_challenger, unit)
    assert by_request.srm_reading().state is CheckState.UNKNOWN
    assert by_unit.srm_reading().state is CheckState.PASSED


def test_nothing_assigned_is_undecided() -> None:
    assert fresh().srm_reading().state is CheckState.UNDECIDED


@pytest.mark.parametrize(
    ("bad_of_100", "state"),
    [(0, CheckState.PASSED), (5, CheckState.PASSED), (6, CheckState.UNKNOWN)],
)
@pytest.mark.parametrize("is_challenger", [False, True])
def test_too_many_unreadable_answers_of_either_variant_freeze(
    bad_of_100: int, state: CheckState, is_challenger: bool
) -> None:
    integrity = fresh()
    for i in range(100):
        integrity.read(is_challenger, i >= bad_of_100)
        integrity.read(not is_challenger, True)
    assert integrity.readable_reading(is_needed=True).state is state


def test_few_answers_are_undecided_and_not_needed_ones_pass() -> None:
    integrity = fresh()
    integrity.read(True, False)
    assert integrity.readable_reading(is_needed=True).state is CheckState.UNDECIDED
    assert integrity.readable_reading(is_needed=False).state is CheckState.PASSED


def test_merged_parts_equal_the_whole() -> None:
    whole, one, other = fresh(), fresh(), fresh()
    rng = random.Random(4)
    for i in range(300):
        propensity = rng.choice([0.05, 0.5])
        is_challenger = rng.random() < propensity
        for part in (whole, one if i % 2 else other):
            part.assigned(propensity, is_challenger, i)
            part.read(is_challenger, i % 9 != 0)
    one.merge(other)
    assert one.srm_reading().because == whole.srm_reading().because
    assert one.srm_reading().log_e == pytest.approx(whole.srm_reading().log_e)
    assert one.readable_reading(is_needed=True) == whole.readable_reading(is_needed=True)
