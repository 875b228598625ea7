"""A challenger whose labels only come sooner: what maturity is for (docs/labels/maturity.md)."""

import math

import pytest

from tests.statistics.maturing import LATE_DAYS, SOON_DAYS, World, promoted


def test_judged_too_young_it_is_promoted() -> None:
    """The trap: at three days most of the challenger's labels are there, and few of the others."""
    assert all(promoted(World(), 3.0, seed) for seed in range(10))


@pytest.mark.slow
def test_judged_when_nearly_all_labels_are_there_it_is_hardly_ever_promoted() -> None:
    """Through the real journal and evaluator; ``make calibrate`` counts hundreds of runs."""
    runs, world = 24, World(a_day=60)
    falsely = sum(promoted(world, 14.0, seed) for seed in range(runs))
    assert falsely / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_one_that_converts_oftener_is_promoted_all_the_same() -> None:
    """At that maturity too, and although its labels come later than the champion's."""
    later = World(gain=0.2, challenger_days=LATE_DAYS, champion_days=SOON_DAYS)
    assert all(promoted(later, 14.0, seed) for seed in range(3))
