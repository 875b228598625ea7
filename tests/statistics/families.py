"""Streams of numbers for the shipped classes themselves, with the test that knows the effect."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluator.contrast import Contrast
from evaluator.evaluator import FIRST_EPOCH
from evaluator.ground import Asked
from tests.statistics.simulate import Floats

Draw = Callable[[np.random.Generator, int], tuple[Floats, Floats]]
BAR = math.log(20.0)


@dataclass(frozen=True)
class Stream:
    """Numbers of both variants, and how they are compared."""

    name: str
    asked: Asked
    draw: Draw
    is_pair: bool
    sd: float = 1.0
    """Of one number, or of a pair's difference: what the oracle knows."""
    shares: tuple[float, ...] = (0.5,)


def play(stream: Stream, rng: np.random.Generator, n: int, *, every: int, side: str) -> int | None:
    """Return at which of ``n`` observations 20:1 is first reached, looking after ``every``."""
    contrast = Contrast.fresh(stream.asked, is_clustered=False)
    for y in stream.draw(rng, 300)[0]:
        contrast.learn(float(y))
    contrast.roll()
    a, b = stream.draw(rng, n)
    epoch, end, share = 1, FIRST_EPOCH, stream.shares[0]
    for i in range(n):
        now = stream.shares[i * len(stream.shares) // n]
        if i == end or now != share:
            contrast.roll()
            epoch, end, share = epoch + 1, max(end, 2 * i), now
        if stream.is_pair:
            contrast.observe_pair(epoch, float(a[i]), float(b[i]), i)
        else:
            is_challenger = bool(rng.random() < share)
            contrast.observe_split(
                epoch, share, is_challenger, float(b[i] if is_challenger else a[i]), i
            )
        if i % every == every - 1 and contrast.log_e(side) >= BAR:
            return i + 1
    return None


def oracle(stream: Stream, effect: float) -> float:
    """Return the mean sample size of the normal test that knows effect and variance (Wald).

    Without overshoot, so a little less than any test that is run can need.
    """
    information = effect**2 / (2.0 * stream.sd**2)
    return BAR / (information if stream.is_pair else 0.25 * information)


def gaussian(shift: float) -> Draw:
    """Return independent normal numbers."""
    return lambda rng, n: (rng.normal(0, 1, n), rng.normal(shift, 1, n))


def like(shift: float) -> Draw:
    """Return normal numbers that go together: their difference has a deviation of 1."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        first: Floats = rng.normal(0, 1, n)
        return first, first + rng.normal(shift, 1, n)

    return draw


def between(shift: float) -> Draw:
    """Return numbers in [0, 1] with mean .25 and deviation .144."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        second: Floats = np.clip(rng.beta(2, 6, n) + shift, 0, 1)
        return rng.beta(2, 6, n), second

    return draw


def revenue(factor: float) -> Draw:
    """Return amounts of money: nothing in nine cases of ten, else log-normal with a long tail."""

    def side(rng: np.random.Generator, n: int, times: float) -> Floats:
        amounts: Floats = np.where(rng.random(n) < 0.1, times * rng.lognormal(3, 1.2, n), 0.0)
        return amounts

    return lambda rng, n: (side(rng, n, 1.0), side(rng, n, factor))


def drifting(draw: Draw, by: float) -> Draw:
    """Return the same with a drift of both variants alike."""

    def moved(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        first, second = draw(rng, n)
        drift = by * np.arange(n) / n
        return first + drift, second + drift

    return moved


BOUNDED_SD = math.sqrt(2 * 6 / (64 * 9))
NULLS = (
    Stream("bounded, split", Asked(0.0, 0.02, is_bounded=True), between(0.0), False),
    Stream("bounded, pairs", Asked(0.0, 0.02, is_bounded=True), between(0.0), True),
    Stream("normal, split", Asked(0.0, 0.1), gaussian(0.0), False),
    Stream("normal, pairs", Asked(0.0, 0.1), like(0.0), True),
    Stream("revenue, split", Asked(0.0, 1.0), revenue(1.0), False),
    Stream(
        "normal with drift, ramp 5, 25, 50 %",
        Asked(0.0, 0.1),
        drifting(gaussian(0.0), 1.0),
        False,
        shares=(0.05, 0.25, 0.5),
    ),
)
GAINS = (
    Stream("bounded, split", Asked(0.0, 0.03, is_bounded=True), between(0.03), False, BOUNDED_SD),
    Stream("normal, split", Asked(0.0, 0.15), gaussian(0.15), False),
    Stream("normal, pairs", Asked(0.0, 0.08), like(0.08), True),
)
