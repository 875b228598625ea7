"""Sample-ratio mismatch."""

import math

import pytest

from evaluator.srm import TILTS, SrmEProcess, two_sided


def test_component_is_the_likelihood_ratio_of_two_shares() -> None:
    process = SrmEProcess()
    process.update(0.05, 940, 60)
    for tilt, product in zip(TILTS, process.log_products, strict=True):
        q = 0.05 * math.exp(tilt) / (0.05 * math.exp(tilt) + 0.95)
        expected = 60 * math.log(q / 0.05) + 940 * math.log((1 - q) / 0.95)
        assert product == pytest.approx(expected, abs=1e-9)


def test_split_as_asked_raises_no_alarm_at_any_share() -> None:
    process = SrmEProcess()
    for propensity in (0.01, 0.05, 0.25, 0.5):
        process.update(propensity, round(20_000 * (1 - propensity)), round(20_000 * propensity))
    assert process.log_e < 0.0


@pytest.mark.parametrize("challenger", [4500, 5500])
def test_too_many_and_too_few_raise_one(challenger: int) -> None:
    process = SrmEProcess()
    process.update(0.5, 10_000 - challenger, challenger)
    assert process.rejects(0.001)


def test_mismatches_in_opposite_directions_at_two_shares_do_not_hide_each_other() -> None:
    """Sums over different shares are never pooled: each epoch is judged by its own share."""
    honest, off = SrmEProcess(), SrmEProcess()
    honest.update(0.5, 1000, 1000)
    off.update(0.1, 1000, 1000)
    assert not honest.rejects(0.001)
    assert off.rejects(0.001)


@pytest.mark.parametrize(
    ("propensity", "a", "b"), [(0.0, 1, 1), (1.0, 1, 1), (0.5, -1, 1), (math.nan, 1, 1)]
)
def test_values_out_of_range_are_refused(propensity: float, a: int, b: int) -> None:
    with pytest.raises(ValueError):
        SrmEProcess().update(propensity, a, b)


def test_two_sides_are_averaged() -> None:
    assert two_sided(math.log(40.0), math.log(2.0)) == pytest.approx(math.log(21.0))
