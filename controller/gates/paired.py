"""What a comparison of two models on the same rows says: an effect, and how sure one may be. Pure.

A family (rates, means, ratios, rankings: one file each) answers two questions about its effect; the
interval, and the number of rows that would be enough, are made of these answers here.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

STEPS = 26
"""Of a bisection: a limit is found to 2e-8 of the range that is searched."""


class Comparison(ABC):
    """An effect (the challenger's number minus the champion's) with two p-values for any bound.

    Larger is better: whoever counts errors or losses turns them round first. A family's docstring
    says what its p-values assume and promise.
    """

    @property
    @abstractmethod
    def n(self) -> int:
        """Rows (or what else was drawn) that the effect is made of."""

    @property
    @abstractmethod
    def effect(self) -> float:
        """The effect on these rows."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """The least and the largest effect that the interval is looked for in."""

    @abstractmethod
    def above(self, bound: float) -> float:
        """Return the p-value of "the effect is ``bound`` or less": small means it is more."""

    @abstractmethod
    def below(self, bound: float) -> float:
        """Return the p-value of "the effect is ``bound`` or more": small means it is less."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the effect is, each limit by itself wrong with probability alpha at most."""

    effect: float
    lower: float
    upper: float


def interval(found: Comparison, alpha: float) -> Interval:
    """Return the limits that ``found``'s p-values draw, each at level ``alpha``.

    Input:   the p-values of a comparison; 0 < alpha < 0.5.
    Promise: P(lower > effect) <= alpha, and P(upper < effect) <= alpha, as far as the p-values keep
             theirs: between both lies the true effect with probability 1 - 2 alpha. The p-values
             are taken to fall and rise steadily in the bound.
    Cost:    2 * 26 p-values.
    Source:  inversion of tests, Neyman (1937), Phil. Trans. R. Soc. A 236.
    """
    if not 0.0 < alpha < 0.5:
        raise ValueError(f"alpha must be in (0, 0.5), got {alpha!r}")
    low, high = found.bounds
    at = min(max(found.effect, low), high)
    return Interval(
        found.effect,
        _edge(lambda bound: found.above(bound) <= alpha, low, at),
        _edge(lambda bound: found.below(bound) <= alpha, high, at),
    )


def _edge(is_out: Callable[[float], bool], outer: float, inner: float) -> float:
    """Return the bound nearest to ``inner`` that is out; ``outer`` if none is."""
    if not is_out(outer):
        return outer
    for _ in range(STEPS):
        middle = (outer + inner) / 2.0
        if is_out(middle):
            outer = middle
        else:
            inner = middle
    return outer


def rows_needed(found: Comparison, bound: float, lower: float) -> int | None:
    """Return about how many rows would show that the effect is more than ``bound``.

    Only if the effect is as it looks now, and with an even chance then; None if it does not look
    like more than ``bound`` at all, when no number of rows would do. An interval's width goes with
    1 / sqrt(n), so n grows with the square of the ratio of what the interval takes to what there
    is. It is a hint for people, no promise. ``lower`` is the interval's lower limit.
    """
    room = found.effect - bound
    if room <= 0.0:
        return None
    taken = found.effect - lower
    return max(found.n, math.ceil(found.n * (taken / room) ** 2))
