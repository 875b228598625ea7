"""Do a variant's numbers still lie where they lay before? Pure."""

import bisect
import math

from msgspec import Struct

from evaluator.eprocess.mixture import even_log_weights
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.running import SignedHistogram

REFERENCE = 100
"""Numbers that the buckets are made from; they are not tested. Chosen."""
BUCKETS = 10
TILTS = (0.3, 0.9)
"""Bets on where ranks gather: below, above, in the middle, at both ends. Chosen."""
COUNT = 4 * len(TILTS)


class PastState(Struct):
    """All that a Past remembers."""

    reference: SignedHistogram
    """The first numbers."""
    edges: list[float]
    """Of the buckets; empty until there are enough numbers."""
    counts: list[int]
    """Numbers so far, by bucket."""
    epochs: list[int]
    products: list[list[float]]
    """Log-products of the bets, by epoch."""
    n: int = 0
    """Numbers that were tested."""

    @classmethod
    def empty(cls) -> "PastState":
        """Return the state of one that has seen nothing."""
        return cls(SignedHistogram({}), [], [], [], [])


class Past:
    """Evidence that numbers come from another distribution than those before them.

    Input:   numbers in the order in which they come, and the epoch.
    Null:    they are exchangeable: no order of them is likelier than another (no drift, no season).
    Process: a conformal test martingale. The buckets are deciles of the first 100 numbers; the
             p-value of the next one is its rank among those before it, ties broken by a fixed
             sequence of uniform numbers, so p-values are independent and uniform under the null.
             Bets 1 + a (2p - 1) and 1 + a (1 - 4 |p - 1/2|), a = +-.3 and +-.9; a mixture that
             also starts anew at every epoch (RestartedEProcess).
    Promise: exact: under the null, P(E >= 1/alpha ever) <= alpha. The null is strong: a season of
             the day breaks it, so this warns and decides nothing. What changed for good becomes
             the past in time, and is not noticed any more.
    Cost:    O(BUCKETS) per number.
    Source:  Vovk, Nouretdinov & Gammerman (2003), Testing exchangeability on-line, ICML; Vovk
             (2021), Statistical Science 36(4). Bets and restarts chosen by us.
    """

    def __init__(self, state: PastState) -> None:
        self.state = state

    def observe(self, number: float, epoch: int) -> None:
        """Take in the next number; ValueError unless it is finite."""
        state = self.state
        if not state.edges:
            state.reference.update(number)
            if state.reference.n == REFERENCE:
                quantiles = [state.reference.quantile(k / BUCKETS) for k in range(1, BUCKETS)]
                state.edges = sorted(set(quantiles))
                state.counts = [0] * (len(state.edges) + 1)
            return
        if not math.isfinite(number):
            raise ValueError(f"number must be finite, got {number!r}")
        bucket = bisect.bisect_left(state.edges, number)
        above = sum(state.counts[bucket + 1 :])
        rank = above + uniform(state.n) * (state.counts[bucket] + 1)
        p = rank / (sum(state.counts) + 1)
        state.counts[bucket] += 1
        state.n += 1
        self._bet(p, epoch)

    def log_e(self) -> float:
        """Return log evidence that the numbers moved."""
        if not self.state.n:
            return 0.0
        process = RestartedEProcess(even_log_weights(COUNT))
        for epoch, products in zip(self.state.epochs, self.state.products, strict=True):
            process.add(epoch, products, 1)
        return process.log_e

    def _bet(self, p: float, epoch: int) -> None:
        state = self.state
        if not state.epochs or state.epochs[-1] != epoch:
            state.epochs.append(epoch)
            state.products.append([0.0] * COUNT)
        products = state.products[-1]
        values = (2.0 * p - 1.0, 1.0 - 4.0 * abs(p - 0.5))
        k = 0
        for value in values:
            for tilt in TILTS:
                products[k] += math.log1p(tilt * value)
                products[k + 1] += math.log1p(-tilt * value)
                k += 2


def uniform(n: int) -> float:
    """Return number ``n`` of a fixed sequence that is as good as random, in (0, 1).

    SplitMix64 (Steele, Lea & Flood 2014): nobody draws, so a replay breaks ties as live.
    """
    z = (n + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return ((z ^ (z >> 31)) + 0.5) / 2.0**64
