"""Was what should have been there really there, and equally for both?"""

import math
import random

import pytest

from evaluator.delivery import Delivery, DeliveryState
from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, ERRORS, exposure, failure, pair, plan


def fresh(**how: bool) -> Delivery:
    clustered = how.get("clustered", False)
    return Delivery(plan(clustered=clustered), DeliveryState.empty(is_clustered=clustered))


def answers(delivery: Delivery, share: float, n: int = 4000, seed: int = 1) -> Delivery:
    rng = random.Random(seed)
    for _ in range(n):
        delivery.answered(0.25, rng.random() < share, rng.getrandbits(63))
    return delivery


@pytest.mark.parametrize("clustered", [False, True])
def test_answers_missing_of_one_variant_alone_are_noticed(clustered: bool) -> None:
    as_due, short = fresh(clustered=clustered), fresh(clustered=clustered)
    assert answers(as_due, 0.25).reading().state is CheckState.PASSED
    reading = answers(short, 0.18).reading()
    assert reading.state is CheckState.UNKNOWN
    assert "answers go missing" in reading.because


def test_labels_missing_of_one_variant_alone_are_noticed() -> None:
    delivery, rng = answers(fresh(), 0.25), random.Random(2)
    for _ in range(3000):
        delivery.labelled(0.25, rng.random() < 0.35, 1)
    reading = delivery.reading()
    assert reading.state is CheckState.UNKNOWN and "labels go missing" in reading.because


@pytest.mark.parametrize(("lost", "state"), [(30, CheckState.PASSED), (150, CheckState.UNKNOWN)])
def test_too_many_lost_copies_are_noticed(lost: int, state: CheckState) -> None:
    delivery = fresh()
    for i in range(1000):
        delivery.copied(i < lost)
    assert delivery.reading().state is state
    assert f"{lost / 10:.1f} % of 1000 copies lost" in delivery.reading().because


def test_nothing_due_is_undecided() -> None:
    assert fresh().reading().state is CheckState.UNDECIDED


@pytest.mark.parametrize("clustered", [False, True])
def test_halves_add_to_the_whole(clustered: bool) -> None:
    whole, one, other = (fresh(clustered=clustered) for _ in range(3))
    for i in range(2000):
        for delivery in (whole, one if i % 2 else other):
            delivery.answered(0.5 if i < 900 else 0.1, i % 3 == 0, i << 50)
            delivery.labelled(0.5, i % 3 == 0, i << 50)
            delivery.copied(i % 50 == 0)
    one.merge(other)
    assert one.reading().log_e == pytest.approx(whole.reading().log_e, abs=1e-9)
    assert one.reading().because == whole.reading().because


def test_sound_delivery_raises_no_alarm_more_often_than_one_in_a_thousand_runs() -> None:
    rng, alarms = random.Random(3), 0
    for _ in range(60):
        delivery = fresh()
        for i in range(1500):
            delivery.answered(0.25, rng.random() < 0.25, i)
            delivery.copied(rng.random() < 0.05)
            if i % 50 == 49:
                alarms += delivery.reading().state is CheckState.UNKNOWN
    assert alarms == 0


def test_client_that_hangs_up_on_a_slow_challenger_freezes_the_promotion() -> None:
    """An aborted request counts for nobody; that only one variant has them is seen here."""
    evaluator, rng = Evaluator(plan(ERRORS)), random.Random(4)
    for i in range(3000):
        b = rng.random() < 0.5
        outcome = Outcome("v", 0, 9.0, "aborted") if b and i % 4 == 0 else None
        evaluator.observe(exposure(i, is_challenger=b, outcome=outcome))
    states = {r.check: r.state for r in evaluator.evidence(1.0).readings}
    assert states["srm"] is CheckState.PASSED and states["delivery"] is CheckState.UNKNOWN


def test_failed_answer_is_delivered_and_a_copy_that_was_not_to_be_made_is_not_lost() -> None:
    evaluator = Evaluator(plan(ERRORS))
    for i in range(300):
        evaluator.observe(exposure(i, is_challenger=bool(i % 2), outcome=failure()))
        evaluator.observe(pair(1000 + i, challenger=None, loss="body_too_large"))
    reading = evaluator.evidence(1.0).reading("delivery")
    assert reading is not None and reading.state is CheckState.PASSED
    assert "150 of 300 answers, 150 were due" in reading.because
    assert "copies" not in reading.because


def test_evaluator_counts_the_labels_that_come() -> None:
    evaluator, rng = Evaluator(plan(ACCURACY)), random.Random(5)
    for i in range(2000):
        b = rng.random() < 0.5
        waiting = evaluator.observe(exposure(i, is_challenger=b))
        assert waiting is not None
        evaluator.judge(waiting, "7" if not b or i % 3 else None)
    reading = evaluator.evidence(1.0).reading("delivery")
    assert reading is not None and "labels go missing" in reading.because
    assert reading.log_e > math.log(1000.0)


@pytest.mark.parametrize(
    ("refused", "state"), [(0, CheckState.PASSED), (5, CheckState.PASSED), (6, CheckState.UNKNOWN)]
)
def test_what_a_full_store_did_not_keep_is_lost_evidence(refused: int, state: CheckState) -> None:
    delivery = answers(fresh(), 0.25)
    for _ in range(100):
        delivery.awaited()
    delivery.refused(refused)
    reading = delivery.reading()
    assert reading.state is state
    assert ("full store refused" in reading.because) is (refused > 0)
    other = fresh()
    other.merge(delivery)
    assert (other.state.awaited, other.state.refused) == (100, refused)
