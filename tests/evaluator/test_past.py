"""Whether numbers lie where they lay before."""

import bisect
import math
import random
from collections.abc import Callable

import msgspec
import pytest

from evaluator.past import BUCKETS, REFERENCE, TILTS, Past, PastState, uniform
from evaluator.running import SignedHistogram

Number = Callable[[random.Random, int], float]
ROLLS = (128, 256, 512, 1024, 2048)


def play(seed: int, n: int, number: Number) -> tuple[Past, int | None]:
    """Return the evidence after ``n`` numbers, and when it was first 20:1, looked at every 20."""
    rng, past, epoch, found = random.Random(seed), Past(PastState.empty()), 0, None
    for i in range(n):
        past.observe(number(rng, i), epoch)
        epoch += i + 1 in ROLLS
        if i % 20 == 19 and found is None and past.log_e() >= math.log(20.0):
            found = i
    return past, found


@pytest.mark.parametrize(
    "number",
    [lambda rng, _: rng.random(), lambda rng, _: float(rng.random() < 0.2)],
    ids=["all different", "two values"],
)
def test_numbers_that_stay_are_said_to_move_no_oftener_than_alpha(number: Number) -> None:
    runs = 80
    wrong = sum(play(seed, 1_500, number)[1] is not None for seed in range(runs))
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    "number",
    [lambda rng, i: rng.gauss(0.5 * (i > 700), 1), lambda rng, i: rng.gauss(0, 1 + (i > 700))],
    ids=["place", "spread"],
)
def test_numbers_that_move_after_a_long_while_are_found(number: Number) -> None:
    found = [play(seed, 1_800, number)[1] for seed in range(8)]
    assert sum(at is not None for at in found) >= 7


def test_evidence_is_that_of_the_definition_at_every_number() -> None:
    """Ranks counted one by one, every bet multiplied up by itself, all starts weighed by hand."""
    rng, past = random.Random(4), Past(PastState.empty())
    first = [rng.gauss(0, 1) for _ in range(REFERENCE)]
    for number in first:
        past.observe(number, 0)
    histogram = SignedHistogram({})
    for number in first:
        histogram.update(number)
    edges = sorted({histogram.quantile(k / BUCKETS) for k in range(1, BUCKETS)})
    seen: list[int] = []
    factors: list[tuple[int, list[float]]] = []
    for n in range(150):
        epoch, number = n // 50, rng.gauss(0.3 * (n > 75), 1)
        past.observe(number, epoch)
        bucket = bisect.bisect_left(edges, number)
        greater = sum(other > bucket for other in seen)
        equal = sum(other == bucket for other in seen) + 1
        p = (greater + uniform(n) * equal) / (len(seen) + 1)
        seen.append(bucket)
        values = (2 * p - 1, 1 - 4 * abs(p - 0.5))
        signed = [(v, s * tilt) for v in values for tilt in TILTS for s in (1, -1)]
        factors.append((epoch, [1 + bet * v for v, bet in signed]))
        assert past.log_e() == pytest.approx(math.log(_by_hand(factors, epoch)), abs=1e-9)


def _by_hand(factors: list[tuple[int, list[float]]], last: int) -> float:
    total = 0.25 / (last + 1.0)  # copies that start later
    for start in range(last + 1):
        products = [1.0] * len(factors[0][1])
        for epoch, row in factors:
            if epoch >= start:
                products = [a * b for a, b in zip(products, row, strict=True)]
        weight = 0.25 / (start * (start + 1.0)) if start else 0.75
        total += weight * sum(products) / len(products)
    return total


def test_state_goes_on_where_it_was_saved() -> None:
    past, _ = play(1, 400, lambda rng, _: rng.random())
    again = Past(msgspec.msgpack.decode(msgspec.msgpack.encode(past.state), type=PastState))
    for one in (past, again):
        one.observe(0.3, 3)
    assert again.log_e() == past.log_e()


def test_what_is_no_number_is_refused() -> None:
    past, _ = play(1, 200, lambda rng, _: rng.random())
    for past_or_fresh in (past, Past(PastState.empty())):
        with pytest.raises(ValueError, match="finite"):
            past_or_fresh.observe(math.nan, 0)


def test_uniform_numbers_are() -> None:
    numbers = [uniform(n) for n in range(10_000)]
    tenths = [sum(k / 10 <= x < (k + 1) / 10 for x in numbers) for k in range(10)]
    assert all(abs(n - 1_000) < 5 * 30 for n in tenths)
