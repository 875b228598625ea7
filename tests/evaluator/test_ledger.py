"""Sums of both variants' numbers, and the bets that are fixed for them."""

import itertools
import math
import random

import msgspec
import pytest

from evaluator.ground import Asked
from evaluator.ledger import variance, weight
from evaluator.question import PAIRED
from evaluator.running import Moments
from tests.evaluator.contrasts import FREE, feed, fresh, ready


def test_lot_is_booked_as_its_covariance_and_a_pair_as_its_difference() -> None:
    ledger = fresh()
    ledger.observe_split(0, 0.25, True, 0.9, 1)
    ledger.observe_split(0, 0.25, False, 0.1, 1)
    ledger.observe_pair(0, 0.4, 0.7, 1)
    lots, pairs = ledger.state.sums
    h = (0.75 * (0.9 - 0.5), -0.25 * (0.1 - 0.5))
    assert (lots.n, lots.s) == (2, pytest.approx(sum(h)))
    assert lots.v == pytest.approx(h[0] ** 2 + h[1] ** 2)
    assert (lots.n_a, lots.y_a, lots.n_b, lots.y_b) == (1, 0.1, 1, 0.9)
    assert (pairs.propensity, pairs.n, pairs.s) == (PAIRED, 1, pytest.approx(0.3))
    assert ledger.n() == 3
    assert ledger.balanced() == pytest.approx(2 * 0.75 + 1)


def test_lot_without_a_label_is_booked_by_its_proxy_and_one_with_a_label_makes_up_for_it() -> None:
    ledger, rng = fresh(FREE), random.Random(1)
    for i in range(500):
        x = rng.gauss(0, 1)
        ledger.observe_proxied(0, 0.5, i, proxy=(x, None), truth=(0.5 * x, None), rate=1.0)
    ledger.roll()
    base = ledger.state.bases[1]
    assert base.proxy_slope == pytest.approx(0.5)
    ledger.observe_proxied(1, 0.5, 1, proxy=(None, 1.0), truth=None, rate=0.25)
    guessed = base.proxy_slope * 0.5 * (1.0 - base.proxy_mean)
    assert ledger.state.sums[-1].s == pytest.approx(guessed)
    ledger.observe_proxied(1, 0.5, 1, proxy=(None, 1.0), truth=(None, 0.8), rate=0.25)
    corrected = guessed + (0.5 * (0.8 - base.mean) - guessed) / 0.25
    assert ledger.state.sums[-1].s == pytest.approx(guessed + corrected)


def test_what_one_h_is_worth_depends_on_the_share() -> None:
    base = fresh().state.bases[0]
    assert (weight(PAIRED), weight(0.5), weight(0.1)) == (1.0, 0.25, pytest.approx(0.09))
    assert (variance(base, PAIRED), variance(base, 0.5)) == (base.pair_square, base.variance)


def test_merged_ledgers_hold_the_sums_of_both() -> None:
    one, other = feed(fresh(), [(True, 0.9)]), feed(fresh(), [(False, 0.2), (True, 0.7)])
    whole = feed(fresh(), [(True, 0.9), (False, 0.2), (True, 0.7)])
    one.merge(other)
    (mine,), (all_of_it,) = one.state.sums, whole.state.sums
    assert (mine.n, mine.n_a, mine.n_b) == (3, 1, 2)
    assert (mine.s, mine.v) == pytest.approx((all_of_it.s, all_of_it.v))
    for products, expected in zip(mine.products, all_of_it.products, strict=True):
        assert products == pytest.approx(expected)


@pytest.mark.parametrize("y", [math.nan, math.inf, -math.inf, 1.0000001, -1e-9])
def test_what_is_no_number_of_the_range_is_refused(y: float) -> None:
    with pytest.raises(ValueError, match="number must be"):
        fresh().observe_split(0, 0.5, True, y, 1)


@pytest.mark.parametrize("y", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_without_a_range(y: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        ready().observe_split(1, 0.5, True, y, 1)


def test_missing_number_counts_as_the_worst_there_is() -> None:
    contrast = fresh()
    contrast.observe_pair(0, 0.4, None, 1)
    assert contrast.state.sums[0].s == -0.4
    free = ready()
    free.observe_pair(1, 0.0, None, 1)
    assert free.state.sums[0].s == free.state.bases[1].low < -2.5


def test_numbers_beyond_the_champions_past_are_held_back() -> None:
    contrast = ready()
    base = contrast.state.bases[1]
    contrast.observe_pair(1, 0.0, 1e12, 1)
    assert contrast.state.sums[0].s == base.high < 4.0


def test_nothing_is_bet_before_the_champion_is_known() -> None:
    contrast = fresh(FREE)
    feed(contrast, [(bool(i % 2), float(i)) for i in range(200)])
    assert contrast.n() == 0 and not contrast.is_ready()
    contrast.roll()
    assert contrast.is_ready()


def test_effect_relative_to_the_champions_mean_follows_it() -> None:
    contrast = fresh(Asked(margin=0.0, effect=None, effect_relative=0.1))
    for i in range(400):
        contrast.learn(5.0 + i % 2)
    contrast.roll()
    assert contrast.state.bases[1].effect == pytest.approx(0.55, rel=0.03)


def test_memory_is_per_epoch_and_share_not_per_observation() -> None:
    sizes = []
    for n in (50, 5000):
        contrast = feed(fresh(), [(bool(i % 2), (i % 97) / 97) for i in range(n)])
        sizes.append(len(msgspec.msgpack.encode(contrast.state)))
    assert sizes[1] < sizes[0] + 100


def test_epochs_with_other_baselines_cannot_be_merged() -> None:
    one, other = fresh(), fresh()
    feed(one, [(False, 0.9)] * 50)
    one.roll()
    other.roll()
    with pytest.raises(ValueError, match="baselines"):
        one.merge(other)


@pytest.mark.parametrize(("epoch", "propensity"), [(1, 0.5), (0, 0.0), (0, 1.0), (0, math.nan)])
def test_unknown_epoch_or_share_is_refused(epoch: int, propensity: float) -> None:
    contrast = fresh()
    contrast.state.bases *= 1 + epoch
    with pytest.raises(ValueError, match="out of range"):
        contrast.observe_split(epoch + epoch, propensity, True, 0.5, 1)


def test_winsorised_start_forgets_what_lies_beyond_the_limits() -> None:
    contrast = fresh(FREE)
    for y in itertools.chain([0.0, 1.0] * 1000, [1e9]):
        contrast.learn(y)
    contrast.roll()
    assert contrast.state.bases[1].variance < 0.3
    assert isinstance(contrast.state.ground.champion, Moments)
