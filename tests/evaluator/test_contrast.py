"""The mean of one number, compared between the variants."""

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.contrast import Contrast
from evaluator.eprocess.effect import effect_log_e
from evaluator.eprocess.mixture import GRID, log_weights
from evaluator.ground import Asked
from evaluator.ledger import ContrastState
from evaluator.question import PAIRED
from tests.evaluator.contrasts import BOUNDED, FREE, feed, fresh, ready

SIDES = ("claim", "harm", "futile", "upper")
VALUES = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40)


def reading(contrast: Contrast) -> list[float]:
    return [contrast.log_e(side) for side in SIDES]


def test_bounded_evidence_is_the_mixture_of_bets_computed_naively() -> None:
    contrast, rng = fresh(), random.Random(2)
    base = contrast.state.bases[0]
    naive = [1.0] * len(GRID)
    for i in range(200):
        a, y = rng.random() < 0.3, rng.random()
        contrast.observe_split(0, 0.3, a, y, i)
        h = (a - 0.3) * (y - base.mean)
        lowest = -max(0.7 * base.mean, 0.3 * (1 - base.mean))
        for k, g in enumerate(GRID):
            naive[k] *= 1 + min(0.05 * g / base.variance, 0.9 / -lowest) * h
        expected = sum(math.exp(w) * e for w, e in zip(log_weights(), naive, strict=True))
        assert contrast.log_e("claim") == pytest.approx(math.log(expected), abs=1e-9)


def test_unbounded_evidence_is_that_of_the_sums_computed_naively() -> None:
    contrast, rng = ready(), random.Random(3)
    base, s, v = contrast.state.bases[1], 0.0, 0.0
    for i in range(400):
        a, y = rng.random() < 0.5, rng.gauss(0, 1)
        contrast.observe_split(1, 0.5, a, y, i)
        u = ((a - 0.5) * (min(base.high, max(base.low, y)) - base.mean) + 0.025) * 0.2
        s, v = s + u / base.variance, v + (u / base.variance) ** 2
    assert contrast.log_e("claim") == pytest.approx(effect_log_e(s, v), abs=1e-9)


@pytest.mark.parametrize("h", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("side", SIDES)
def test_no_bet_can_go_broke_on_a_pair(h: float, side: str) -> None:
    contrast = fresh()
    for i in range(2000):
        contrast.observe_pair(0, max(0.0, -h), max(0.0, h), i)
    assert math.isfinite(contrast.log_e(side))


@given(values=VALUES, rng=st.randoms())
@settings(max_examples=30, deadline=None)
def test_order_does_not_matter_and_shards_add(
    values: list[tuple[bool, float]], rng: random.Random
) -> None:
    whole = feed(fresh(), values)
    rng.shuffle(values)
    cut = len(values) // 3
    parts = [feed(fresh(), values[:cut]), feed(fresh(), values[cut:])]
    rng.shuffle(parts)
    parts[0].merge(parts[1])
    assert reading(parts[0]) == pytest.approx(reading(whole), abs=1e-9)
    assert parts[0].interval(0.05) == whole.interval(0.05) or parts[0].n() == whole.n()


def test_sixty_four_shards_in_any_order_equal_one_stream() -> None:
    rng = random.Random(5)
    values = [(rng.random() < 0.5, rng.gauss(0, 1)) for _ in range(6400)]
    whole = feed(ready(), values, 1)
    raw = msgspec.msgpack.encode(ready().state)
    shards = [
        feed(Contrast(FREE, msgspec.msgpack.decode(raw, type=ContrastState)), values[i::64], 1)
        for i in range(64)
    ]
    rng.shuffle(shards)
    first = shards[0]
    for shard in shards[1:]:
        for moments in (shard.state.ground.champion, shard.state.ground.history):
            assert moments.n > 0
        first.merge(shard)
    assert reading(first) == pytest.approx(reading(whole), abs=1e-9)


@given(values=VALUES, lift=st.floats(0.01, 0.2))
@settings(max_examples=30, deadline=None)
def test_better_answers_of_the_challenger_never_lower_the_claim(
    values: list[tuple[bool, float]], lift: float
) -> None:
    better = [(b, min(1.0, y + lift) if b else y) for b, y in values]
    one, other = feed(fresh(), values), feed(fresh(), better)
    assert other.log_e("claim") >= one.log_e("claim") - 1e-12
    assert other.log_e("futile") <= one.log_e("futile") + 1e-12


@given(scale=st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_unit_of_the_number_does_not_matter(scale: float) -> None:
    """To what the 2 % bins of the limits allow."""
    logs = []
    for unit in (1.0, scale):
        asked = Asked(margin=0.1 * unit, effect=0.2 * unit, detect=0.2 * unit)
        contrast, rng = fresh(asked), random.Random(6)
        for _ in range(2000):
            contrast.learn(unit * rng.gauss(0, 1))
        contrast.roll()
        for i in range(500):
            a = rng.random() < 0.5
            contrast.observe_split(1, 0.5, a, unit * (rng.gauss(0, 1) + 0.2 * a), i)
        logs.append(reading(contrast))
    assert logs[0] == pytest.approx(logs[1], abs=0.15)


def test_small_share_needs_more_observations_before_it_is_read() -> None:
    contrast = ready()
    for i in range(1000):
        contrast.observe_split(1, 0.01, i % 100 == 0, 3.0, i)
    assert contrast.balanced() == pytest.approx(39.6)
    assert contrast.log_e("claim") == 0.0


def test_billion_observations_and_ties_overflow_nothing() -> None:
    contrast = ready()
    contrast.observe_split(1, 0.5, True, 0.5, 1)
    sums = contrast.state.sums[0]
    sums.n, sums.s, sums.v = 10**9, 2.5e8, 6.25e7
    assert all(math.isfinite(x) for x in reading(contrast))
    bounded = feed(fresh(), [(True, 0.5)] * 3)
    sums = bounded.state.sums[0]
    sums.n, sums.products = 10**9, [[1e9] * 13 for _ in sums.products]
    assert all(math.isfinite(x) for x in reading(bounded))


def test_denormals_are_fine() -> None:
    contrast = feed(fresh(), [(bool(i % 2), 5e-324) for i in range(50)])
    assert all(math.isfinite(x) for x in reading(contrast))


def test_covariate_that_explains_the_number_saves_observations() -> None:
    """Correlation .9: the variance falls to a fifth, so the evidence grows five times as fast."""
    with_x, without, rng = fresh(FREE), fresh(FREE), random.Random(7)
    for epoch in range(3):
        for i in range(2000):
            x = rng.gauss(0, 1)
            a = rng.random() < 0.5
            y = 0.9 * x + math.sqrt(1 - 0.81) * rng.gauss(0, 1) + 0.1 * a
            with_x.observe_split(epoch, 0.5, a, y, i, x)
            without.observe_split(epoch, 0.5, a, y, i)
        with_x.roll()
        without.roll()
    assert with_x.state.bases[2].slope == pytest.approx(0.9, abs=0.05)
    assert with_x.state.bases[2].variance == pytest.approx(0.19, abs=0.03)
    assert with_x.log_e("claim") > 3 * without.log_e("claim")


def test_proxy_stands_in_for_labels_that_were_not_drawn() -> None:
    asked = Asked(margin=0.1, effect=0.2, detect=0.2, label_rate=0.2)
    with_proxy, without, rng = ready(asked), ready(asked), random.Random(8)
    for epoch in range(1, 4):
        for i in range(3000):
            f = rng.gauss(0.15, 1)
            d = 0.9 * f + math.sqrt(1 - 0.81) * rng.gauss(0, 1)
            truth = (0.0, d) if rng.random() < 0.2 else None
            for contrast, proxy in ((with_proxy, f), (without, 0.0)):
                contrast.observe_proxied(
                    epoch, PAIRED, i, proxy=(0.0, proxy), truth=truth, rate=0.2
                )
        with_proxy.roll()
        without.roll()
    assert with_proxy.state.bases[3].proxy_slope == pytest.approx(0.9, abs=0.1)
    one, other = (c.interval(0.05) for c in (with_proxy, without))
    assert one is not None and other is not None
    assert one.high - one.low < 0.75 * (other.high - other.low)
    assert one.low < 0.9 * 0.15 < one.high
    assert with_proxy.state.bases[4].variance < 0.5 * without.state.bases[4].variance
    assert with_proxy.log_e("claim") > 1.5 * without.log_e("claim") > 0.0


@pytest.mark.parametrize("asked", [BOUNDED, FREE])
def test_bucket_sums_find_the_same_effect_and_stay_small(asked: Asked) -> None:
    contrast = ready(asked, is_clustered=True) if asked is FREE else fresh(is_clustered=True)
    epoch, rng = len(contrast.state.bases) - 1, random.Random(9)
    for _ in range(6000):
        a, y = rng.random() < 0.5, rng.random()
        y = min(1.0, y + 0.1 * a) if asked.is_bounded else y + 0.5 * a
        contrast.observe_split(epoch, 0.5, a, y, rng.getrandbits(63))
    assert contrast.log_e("claim") > math.log(20.0)
    assert len(contrast.state.sums) == 1 and contrast.state.sums[0].products == []


def test_growth_and_means_are_of_what_was_seen() -> None:
    contrast = feed(fresh(), [(False, 0.25), (False, 0.75), (True, 1.0)])
    assert contrast.means() == (0.5, 2, 1.0, 1)
    assert contrast.growth() > 0.0
    assert fresh().growth() == 0.0 and fresh().means() == (0.0, 0, 0.0, 0)
