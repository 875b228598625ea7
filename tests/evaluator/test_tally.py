"""Counts of both variants' good answers."""

import math

import pytest

from evaluator.binary import BinaryCheck
from evaluator.check import correct_question
from evaluator.question import PAIRED
from tests.evaluator.builders import ACCURACY

CORRECT = correct_question(ACCURACY)


def fresh(*, is_clustered: bool = False) -> BinaryCheck:
    return BinaryCheck.fresh(CORRECT, is_clustered=is_clustered)


def reads(check: BinaryCheck) -> tuple[float, float]:
    return check.claim_log_e(), check.harm_log_e()


def test_every_answer_is_in_the_cell_of_its_variant_and_goodness() -> None:
    tally = fresh()
    for a, y, count in ((False, False, 1), (False, True, 2), (True, False, 3), (True, True, 4)):
        for _ in range(count):
            tally.observe_split(0, 0.25, a, y, 1)
            tally.observe_pair(0, a, y, 1)
    lots, pairs = tally.state.tables
    assert (lots.propensity, lots.counts) == (0.25, [1, 2, 3, 4])
    assert (pairs.propensity, pairs.counts) == (PAIRED, [1, 2, 3, 4])
    assert tally.pairs() == [1, 2, 3, 4, 0, 0]
    assert tally.goods(of_lots=True) == (2, 3, 4, 7)
    assert tally.goods() == (2 + 7, 3 + 10, 4 + 6, 7 + 10)
    assert tally.n() == 20
    assert (fresh().pairs(), fresh().goods(), fresh().n()) == ([0] * 6, (0, 0, 0, 0), 0)


def test_pairs_without_a_label_are_counted_by_what_they_say() -> None:
    """Equal answers and those not drawn say "no difference"; a label that is missing says nothing,
    or the worst there is."""
    tally = fresh()
    tally.settle(0, 1, None)
    tally.settle(0, 1, True)
    tally.decide(0, False, True, 1)
    tally.pass_over(0, 1, is_drawn=False)
    tally.pass_over(0, 1, is_drawn=True)
    tally.pass_over(0, 1, is_drawn=True, is_against=True)
    assert tally.pairs() == [0, 1, 0, 0, 4, 1]
    state = tally.state
    assert (state.champion.n, state.apart.n, state.discordant.n) == (1, 1, 3)
    assert (state.named_equal.n, state.named_equal.hits) == (2, 1)
    assert (state.named_apart.n, state.named_apart.hits) == (3, 1)


def test_clustered_units_know_no_pair_that_counts_against_every_claim() -> None:
    with pytest.raises(AssertionError, match="worst case"):
        fresh(is_clustered=True).pass_over(0, 1, is_drawn=True, is_against=True)


def test_discordance_is_foreseen_from_pairs_that_differ_before_their_labels_come() -> None:
    tally = fresh()
    for i in range(10_000):
        tally.foresee(i % 10 == 0)
    for i in range(100):
        tally.observe_pair(0, i % 2 == 0, i % 4 == 1, 1, differs=True)
    _, discordance = tally.rates()
    assert discordance == pytest.approx(0.1 * 0.75, rel=0.05)


def test_changes_behind_the_last_table_are_noted_and_others_are_not() -> None:
    tally = fresh()
    tally.observe_pair(0, True, True, 1)
    assert tally.n_changes == 1
    tally.observe_pair(0, True, True, 1)
    assert tally.n_changes == 1
    tally.observe_split(0, 0.5, True, True, 1)
    assert tally.n_changes == 2
    tally.observe_pair(0, True, True, 1)
    assert tally.n_changes == 3


def test_merged_tallies_hold_every_count_of_both() -> None:
    one, other = fresh(), fresh()
    for tally in (one, other):
        tally.foresee(True)
        tally.settle(0, 1, True)
        tally.decide(0, False, True, 1)
        tally.pass_over(0, 1, is_drawn=True, is_against=True)
    other.observe_split(0, 0.5, True, True, 1)
    one.merge(other)
    assert one.pairs() == [0, 2, 0, 0, 2, 2]
    assert one.goods(of_lots=True) == (0, 0, 1, 1)
    names = ("champion", "discordant", "foreseen", "decided", "apart", "named_equal", "named_apart")
    assert [getattr(one.state, name).n for name in names] == [2, 4, 2, 2, 2, 2, 4]


def test_bets_of_an_epoch_come_from_the_epochs_before() -> None:
    check = fresh()
    for i in range(1000):
        check.observe_pair(0, i % 10 != 0, i % 5 != 0, 1)
    before = reads(check)
    check.roll()
    assert reads(check) == before
    assert check.state.baselines[1].good == pytest.approx(0.9, abs=0.01)
    assert check.state.baselines[1].discordance == pytest.approx(0.1, abs=0.01)
    check.observe_pair(0, False, True, 1)  # a late label still meets the bets of its own epoch
    assert check.state.tables[0].counts[1] == 1
    assert len(check.state.tables) == 1


@pytest.mark.parametrize("propensity", [0.0, 1.0, -0.5, math.nan])
def test_propensity_that_is_no_lot_is_refused(propensity: float) -> None:
    with pytest.raises(ValueError):
        fresh().observe_split(0, propensity, True, True, 1)


def test_epoch_that_has_not_begun_is_refused() -> None:
    with pytest.raises(ValueError):
        fresh().observe_pair(1, True, True, 1)


def test_checks_with_other_bets_are_not_merged() -> None:
    one, other = fresh(), fresh()
    one.observe_pair(0, True, False, 1)
    one.roll()
    other.roll()
    with pytest.raises(ValueError):
        one.merge(other)
