"""What a comparison of numbers bets on."""

import math
import random

import pytest

from evaluator.ground import Asked, Base, Ground

FREE = Asked(margin=0.0, effect=0.2)
BOUNDED = Asked(margin=0.1, effect=0.05, is_bounded=True, detect=0.05, within=0.1)


def taught(asked: Asked, n: int = 1000, seed: int = 1) -> tuple[Ground, Base]:
    ground, rng = Ground.empty(), random.Random(seed)
    first = ground.base(asked, None)
    for _ in range(n):
        ground.learn(rng.random() if asked.is_bounded else rng.gauss(3, 2), None, first, asked)
    return ground, first


def test_sides_say_what_must_fall() -> None:
    sides = BOUNDED.sides()
    assert list(sides) == ["claim", "harm", "futile", "upper"]
    assert (sides["claim"].sign, sides["claim"].shift) == (1.0, 0.1)
    assert (sides["futile"].sign, sides["futile"].shift) == (-1.0, -0.05)
    assert list(FREE.sides()) == ["claim", "harm"] and sides["harm"].is_restarted


def test_bounded_numbers_are_bet_on_at_once_and_others_once_the_champion_is_known() -> None:
    assert taught(BOUNDED)[1].is_ready and not taught(FREE)[1].is_ready
    ground, first = taught(FREE)
    base = ground.base(FREE, first)
    assert base.is_ready and base.mean == pytest.approx(3, abs=0.3)
    assert base.variance == pytest.approx(4, rel=0.15)
    assert -5 < base.low < -2 and 8 < base.high < 11


def test_too_little_history_keeps_waiting() -> None:
    ground, first = taught(FREE, 40)
    assert not ground.base(FREE, first).is_ready


def test_number_is_held_to_the_limits_and_so_is_what_is_expected_of_it() -> None:
    base = Base(True, 0.5, 0.1, 0.1, 0.05, 0.0, 1.0, slope=2.0, x_mean=1.0)
    assert (base.held(-3), base.held(0.4), base.held(3)) == (0.0, 0.4, 1.0)
    assert (base.expected(None), base.expected(1.125), base.expected(9)) == (0.5, 0.75, 1.0)


def test_undeclared_effect_is_a_part_of_the_deviation_and_a_relative_one_of_the_mean() -> None:
    ground, first = taught(FREE)
    vague, relative = Asked(margin=0.0, effect=None), Asked(0.0, None, effect_relative=0.1)
    assert vague.is_vague and not relative.is_vague
    assert ground.base(vague, first).effect == pytest.approx(0.5, rel=0.1)
    assert ground.base(relative, first).effect == pytest.approx(0.3, rel=0.1)


def test_covariate_leaves_what_it_does_not_explain() -> None:
    ground, rng = Ground.empty(), random.Random(2)
    first = ground.base(BOUNDED, None)
    for _ in range(4000):
        x = rng.random()
        ground.learn(0.25 + 0.5 * x, x, first, BOUNDED)
    base = ground.base(BOUNDED, first)
    assert base.slope == pytest.approx(0.5) and base.variance < 0.01
    assert base.expected(0.2) == pytest.approx(0.35, abs=0.01)


def test_past_counts_half_after_each_epoch_and_grounds_add() -> None:
    one, first = taught(FREE, 500)
    other, _ = taught(FREE, 300, seed=3)
    one.decay()
    assert one.champion.n == 250 and one.history.n == 500
    one.merge(other)
    assert one.champion.n == 550 and one.history.n == 800
    assert math.isfinite(one.base(FREE, first).variance)
