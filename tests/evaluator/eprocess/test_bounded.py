"""One sample against a declared number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.bounded import BoundedEProcess, Side


@pytest.mark.parametrize("side", list(Side))
def test_component_is_the_likelihood_ratio_of_two_means(side: Side) -> None:
    """1 + bet * (1 - target) = q / target for some mean q on the claimed side, for every bet."""
    process = BoundedEProcess(0.8, side)
    process.update(1.0)
    for product in process.process.log_products:
        q = 0.8 * math.exp(product)
        assert (q > 0.8) == (side is Side.CLAIM)
        assert 0.0 < q < 1.0


def test_high_agreement_proves_the_claim_and_speaks_against_the_breach() -> None:
    claim, breach = BoundedEProcess(0.9, Side.CLAIM), BoundedEProcess(0.9, Side.BREACH)
    for process in (claim, breach):
        process.update(1.0, 980)
        process.update(0.0, 20)
    assert claim.rejects(0.001)
    assert breach.log_e < -2.0


def test_low_agreement_proves_the_breach() -> None:
    breach = BoundedEProcess(0.9, Side.BREACH)
    breach.update(1.0, 80)
    breach.update(0.0, 30)
    assert breach.rejects(0.05)


def test_declared_disagreement_of_one_percent_is_shown_without_labels() -> None:
    """Disagreement .4 % against 1 %: about 1,430 pairs (oracle 1,273)."""
    claim, pairs = BoundedEProcess(0.99, Side.CLAIM), 0
    while not claim.rejects(0.05):
        claim.update(1.0, 249)
        claim.update(0.0)
        pairs += 250
    assert 1_000 <= pairs <= 2_000


@given(st.floats(0.001, 0.999), st.sampled_from(Side), st.floats(0.0, 1.0))
def test_no_bet_gains_on_average_under_the_null(target: float, side: Side, part: float) -> None:
    mean = target * part if side is Side.CLAIM else target + (1 - target) * part
    up, down = BoundedEProcess(target, side), BoundedEProcess(target, side)
    up.update(1.0)
    down.update(0.0)
    for high, low in zip(up.process.log_products, down.process.log_products, strict=True):
        assert mean * math.exp(high) + (1 - mean) * math.exp(low) <= 1.0 + 1e-9


@pytest.mark.parametrize("x", [-0.1, 1.1, math.nan, math.inf])
def test_values_out_of_range_are_refused(x: float) -> None:
    with pytest.raises(ValueError):
        BoundedEProcess(0.9, Side.CLAIM).update(x)


@pytest.mark.parametrize("target", [0.0, 1.0, math.nan])
def test_targets_that_nothing_can_show_are_refused(target: float) -> None:
    with pytest.raises(ValueError):
        BoundedEProcess(target, Side.CLAIM)


def test_another_target_or_side_is_not_merged() -> None:
    with pytest.raises(ValueError):
        BoundedEProcess(0.9, Side.CLAIM).merge(BoundedEProcess(0.8, Side.CLAIM))
    with pytest.raises(ValueError):
        BoundedEProcess(0.9, Side.CLAIM).merge(BoundedEProcess(0.9, Side.BREACH))
