"""One mean against a declared number: no other variant needed. Pure.

Agreement, divergence and what a challenger must reach by itself (cold start) are this question.
"""

import math

from msgspec import Struct

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.bounded import BREACH_SHARES, CLAIM_SHARES
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.mixture import (
    clip_bets,
    even_log_weights,
    grid_bets,
    log_weights,
    mix,
)

CLOSEST = 1e-4
"""A target of 0 or 1 cannot be shown by any number of cases; it is read as this far from it."""


class BenchmarkState(Struct):
    """All that a Benchmark remembers."""

    claim: list[float]
    """Log-products of the claim's bets."""
    breach: list[float]
    clustered: ClusteredEProcess | None
    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    """Of the distances from the target."""


class Benchmark:
    """Compares the mean of numbers in [0, 1], higher is better, with a declared target.

    Null:    claim: E[x | past] <= target for every x; breach: >= target.
    Process: mixture of bets 1 + bet (x - target), for a breach 1 - bet (x - target). Bets are made
             for x in {0, 1}: with a declared effect 13 around it, else a grid of shortfalls
             (BoundedEProcess). Clustered units: ClusteredEProcess on their sums.
    Promise: exact at any time for any x in [0, 1]; the interval is asymptotic.
    Merge:   log-products and sums add, in any order.
    Cost:    O(K) per case, K = 13 + 8 at most; O(K) memory.
    Source:  Waudby-Smith & Ramdas (2024), JRSS-B 86(1), section 4; grids chosen by us.
    """

    def __init__(self, target: float, effect: float | None, state: BenchmarkState) -> None:
        self.target = min(max(target, CLOSEST), 1.0 - CLOSEST)
        self._effect = effect
        self.state = state
        self._claim, self._claim_weights = _claim(self.target, effect)
        allowed = 1.0 - self.target
        bets = [(s - 1.0) / self.target for s in BREACH_SHARES]
        self._breach = clip_bets(bets, -allowed)

    @classmethod
    def fresh(cls, target: float, effect: float | None, *, is_clustered: bool) -> "Benchmark":
        """Return one that has seen nothing."""
        count = len(CLAIM_SHARES) if effect is None else len(log_weights())
        clustered = ClusteredEProcess.empty() if is_clustered else None
        state = BenchmarkState([0.0] * count, [0.0] * len(BREACH_SHARES), clustered)
        return cls(target, effect, state)

    def observe(self, x: float, unit: int) -> None:
        """Take in one case; ValueError unless 0 <= x <= 1."""
        if not 0.0 <= x <= 1.0:  # this way round, NaN is refused too
            raise ValueError(f"number must be in [0, 1], got {x!r}")
        state, h = self.state, x - self.target
        state.n += 1
        state.total += x
        state.squares += h * h
        if state.clustered is not None:
            variance = self.target * (1.0 - self.target)
            state.clustered.update(unit, h / variance, 1.0 / variance)
            return
        for k, bet in enumerate(self._claim):
            state.claim[k] += math.log1p(bet * h)
        for k, bet in enumerate(self._breach):
            state.breach[k] += math.log1p(-bet * h)

    def claim_log_e(self) -> float:
        """Return log evidence that the mean is above the target."""
        if self.state.clustered is not None:
            return self.state.clustered.claim_log_e(self.effect, 0.0)
        return mix(self._claim_weights, self.state.claim) if self.state.n else 0.0

    def breach_log_e(self) -> float:
        """Return log evidence that the mean is below the target."""
        if self.state.clustered is not None:
            return self.state.clustered.harm_log_e(self.effect, 0.0)
        weights = even_log_weights(len(self._breach))
        return mix(weights, self.state.breach) if self.state.n else 0.0

    def interval(self, alpha: float) -> Interval | None:
        """Return the mean minus the target, with its confidence sequence."""
        state = self.state
        if state.clustered is not None:
            s, v, weight = state.clustered.moments(0.0)
        else:
            variance = self.target * (1.0 - self.target)
            s = (state.total - state.n * self.target) / variance
            # What the target expects is a floor: a few rare cases say little about variance.
            v = max(state.squares / variance**2, state.n / variance)
            weight = state.n / variance
        return normal_interval(s, v, weight, detect=self.effect, alpha=alpha)

    @property
    def effect(self) -> float:
        """The distance from the target that is looked for."""
        return 0.5 * (1.0 - self.target) if self._effect is None else self._effect

    def growth(self) -> float:
        """Return the mean gain of log evidence per case if the mean is ``effect`` above."""
        q = min(self.target + self.effect, 1.0 - CLOSEST)
        up, down = math.log(q / self.target), math.log((1.0 - q) / (1.0 - self.target))
        return q * up + (1.0 - q) * down

    def merge(self, other: "Benchmark") -> None:
        """Add what another one with the same target has seen; ValueError if it has another."""
        if (other.target, other._effect) != (self.target, self._effect):
            raise ValueError("only the same target and effect can be merged")
        mine, theirs = self.state, other.state
        mine.claim = [a + b for a, b in zip(mine.claim, theirs.claim, strict=True)]
        mine.breach = [a + b for a, b in zip(mine.breach, theirs.breach, strict=True)]
        mine.n += theirs.n
        mine.total += theirs.total
        mine.squares += theirs.squares
        if mine.clustered is not None and theirs.clustered is not None:
            mine.clustered.merge(theirs.clustered)


def _claim(target: float, effect: float | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the claim's bets and the logs of their weights."""
    if effect is not None:
        # The variance where it matters, at the effect, as in the likelihood ratio.
        return grid_bets(effect, target * (1.0 - target), -target), log_weights()
    bets = [(1.0 - s) / target for s in CLAIM_SHARES]
    return clip_bets(bets, -target), even_log_weights(len(bets))
