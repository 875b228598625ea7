"""What bets on answers have come to."""

import math
import random

import pytest

from evaluator.binary import BinaryCheck
from evaluator.check import correct_question, error_question
from evaluator.product import Products
from evaluator.question import PAIRED, Question
from evaluator.tally import Tally
from tests.evaluator.builders import ACCURACY, ERRORS

CORRECT = correct_question(ACCURACY, 0.05)
ERROR = error_question(ERRORS)


def fresh(question: Question) -> tuple[Products, Tally]:
    tally = BinaryCheck.fresh(question, is_clustered=False)
    return Products(question, tally), tally


@pytest.mark.parametrize("question", [CORRECT, ERROR], ids=["correct", "error"])
@pytest.mark.parametrize("side", ["claim", "harm", "futile"])
def test_answers_of_a_table_add_up_on_the_scale_of_logs(question: Question, side: str) -> None:
    """Three of one kind and two of another come to what each comes to alone, so often."""
    alone = []
    for is_good in (False, True):
        products, tally = fresh(question)
        tally.observe_pair(0, True, is_good, 1)
        alone.append(products.total(side))
    products, tally = fresh(question)
    for is_good in (False, True, False, True, False):
        tally.observe_pair(0, True, is_good, 1)
    expected = [3 * bad + 2 * good for bad, good in zip(*alone, strict=True)]
    assert products.total(side) == pytest.approx(expected, abs=1e-12)


def test_all_tables_together_are_the_sum_of_each() -> None:
    products, tally = fresh(CORRECT)
    for propensity in (0.1, 0.25, 0.5):
        tally.observe_split(0, propensity, True, False, 1)
    columns = zip(*(products.of(table, "claim") for table in tally.state.tables), strict=True)
    assert products.total("claim") == pytest.approx([math.fsum(column) for column in columns])


def test_pair_that_should_have_a_label_counts_as_the_worst_for_every_side() -> None:
    for side in ("claim", "harm", "futile"):
        products, tally = fresh(CORRECT)
        tally.pass_over(0, 1, is_drawn=True, is_against=True)
        nameless = products.total(side)
        for one, other in ((True, False), (False, True), (True, True)):
            products, tally = fresh(CORRECT)
            tally.observe_pair(0, one, other, 1)
            assert all(a <= b for a, b in zip(nameless, products.total(side), strict=True))


def test_late_answer_in_an_earlier_table_is_not_overlooked() -> None:
    products, tally = fresh(CORRECT)
    tally.observe_pair(0, True, False, 1)
    tally.observe_split(0, 0.5, True, True, 1)
    before = products.total("claim")
    tally.observe_pair(0, True, False, 1)
    assert tally.state.tables[-1].propensity != PAIRED
    again = Products(CORRECT, tally).total("claim")
    assert products.total("claim") == again != before


def test_what_is_remembered_between_looks_changes_no_bit() -> None:
    """Also when an old epoch's label comes late, and for every side."""
    check, rng = BinaryCheck.fresh(CORRECT, is_clustered=False), random.Random(3)
    for epoch in range(6):
        for i in range(60):
            late = max(0, epoch - i % 3)
            check.observe_split(late, 0.25, rng.random() < 0.25, rng.random() < 0.8, i)
            check.observe_pair(late, rng.random() < 0.8, rng.random() < 0.9, i)
            if i % 7 == 0:
                again = BinaryCheck(CORRECT, check.state)
                assert check.claim_log_e() == again.claim_log_e()
                assert check.futile_log_e() == again.futile_log_e()
                assert check.harm_log_e() == again.harm_log_e()
        check.roll()
