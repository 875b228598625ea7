"""The mixture that starts anew at every epoch."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.mixture import even_log_weights
from evaluator.eprocess.restart import RestartedEProcess, restarted_log_e, share_from

BETS = (0.2, 0.8)
WEIGHTS = even_log_weights(2)


def direct_log_e(observations: list[tuple[int, float]]) -> float:
    """Compute the definition term by term: every copy, every product."""
    last = max(epoch for epoch, _ in observations)
    total = 0.25 / (last + 1.0)
    for start in range(last + 1):
        weight = 0.25 / (start * (start + 1.0)) if start else 0.75
        for bet in BETS:
            product = math.prod(1.0 + bet * h for epoch, h in observations if epoch >= start)
            total += weight * 0.5 * product
    return math.log(total)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(-1.0, 1.0)), min_size=1, max_size=30),
    st.randoms(),
)
def test_it_equals_its_definition_in_any_order(seen: list[tuple[int, float]], rng) -> None:  # type: ignore[no-untyped-def]  # hypothesis' random has no public type
    expected = direct_log_e(seen)
    rng.shuffle(seen)
    process = RestartedEProcess(WEIGHTS)
    for epoch, h in seen:
        process.update(epoch, h, BETS)
    assert process.log_e == pytest.approx(expected, abs=1e-9)


def test_late_harm_is_found_in_spite_of_a_long_healthy_past() -> None:
    process = RestartedEProcess(WEIGHTS)
    process.update(0, -0.5, BETS, 10_000)
    process.update(1, -0.5, BETS, 10_000)
    needed = 0
    while not process.rejects(0.05):
        process.update(2, 1.0, BETS)
        needed += 1
    assert needed <= 12  # log(20 * 24 * 2) / log(1.8) = 11.7


def test_healthy_past_costs_at_most_the_copies_that_saw_it() -> None:
    process = RestartedEProcess(WEIGHTS)
    process.update(3, -1.0, BETS, 1000)
    assert process.log_e == pytest.approx(-math.log(16.0))


def test_weights_of_all_copies_sum_to_one_and_none_is_negative() -> None:
    weights = [share_from(e) - share_from(e + 1) for e in range(1000)]
    assert min(weights) > 0.0
    assert math.fsum(weights) + share_from(1000) == pytest.approx(1.0, abs=1e-12)


def test_nothing_seen_is_no_evidence() -> None:
    assert restarted_log_e([]) == 0.0


@pytest.mark.parametrize(("epoch", "h"), [(-1, 0.1), (0, math.nan), (0, -1.5), (0, math.inf)])
def test_values_out_of_range_are_refused(epoch: int, h: float) -> None:
    process = RestartedEProcess(WEIGHTS)
    with pytest.raises(ValueError):
        process.update(epoch, h, BETS)
    assert process.log_e == 0.0


def test_bets_of_another_number_and_other_weights_are_refused() -> None:
    process = RestartedEProcess(WEIGHTS)
    with pytest.raises(ValueError):
        process.update(0, 0.1, (0.1,))
    with pytest.raises(ValueError):
        process.merge(RestartedEProcess(even_log_weights(3)))
    with pytest.raises(ValueError):
        RestartedEProcess((0.0, 0.0))
