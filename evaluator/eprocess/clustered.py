"""Evidence when one unit sends many requests: sums per bucket of units first. Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.normal import MIN_OBSERVATIONS, tn_log_e

BUCKETS = 1024
_MIX = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: multiplicative hashing, Knuth vol. 3, 6.4


class ClusteredEProcess(Struct):
    """Evidence that the effect is positive, from sums over buckets of units.

    Input:   per request: the unit's hash, g = h / variance and the weight of the request,
             E[g] = weight * effect (statistics: weight = pi(1 - pi) / variance, or
             1 / discordance for a pair).
    Null:    effect <= -margin (or >= -margin for ``harm``).
    Process: S = sum over buckets of S_b, V = sum of S_b^2, and tn_log_e(S, V) with the mixture
             on the effect itself. V is never below what independent requests would give, the sum
             of the weights: rare events make the sum of squares too small at extreme shares.
    Promise: asymptotic in the number of units, not exact; requests of one unit may depend on each
             other in any way, units must not. It reads 0 below 100 non-empty buckets.
             Measured: docs/statistics.md.
    Merge:   bucket sums add, in any order.
    Cost:    O(1) per request, O(1024) memory and reading time.
    Source:  batching by hash of the randomised unit, Kohavi, Tang & Xu (2020), chapter 18; normal
             mixture as in NormalEProcess. The floor under V is ours.
    """

    sums: list[float]
    weights: list[float]
    n: int = 0

    @classmethod
    def empty(cls) -> "ClusteredEProcess":
        """Return one that has seen nothing."""
        return cls(sums=[0.0] * BUCKETS, weights=[0.0] * BUCKETS)

    def update(self, unit: int, g: float, weight: float) -> None:
        """Take in one request; ValueError unless g is finite and weight positive and finite."""
        if not (math.isfinite(g) and 0.0 < weight < math.inf):
            raise ValueError(f"g {g!r} or weight {weight!r} out of range")
        bucket = bucket_of(unit)
        self.sums[bucket] += g
        self.weights[bucket] += weight
        self.n += 1

    def n_buckets(self) -> int:
        """Return how many buckets have seen a unit."""
        return sum(weight > 0.0 for weight in self.weights)

    def claim_log_e(self, effect: float, margin: float) -> float:
        """Return log evidence that the true effect is above -margin; ``effect`` is sought."""
        return self._log_e(effect, margin, 1.0)

    def harm_log_e(self, effect: float, margin: float) -> float:
        """Return log evidence that the true effect is below -margin."""
        return self._log_e(effect, margin, -1.0)

    def moments(self, margin: float) -> tuple[float, float, float]:
        """Return S, V and the sum of the weights, with ``margin`` added to the effect."""
        shifted = [s + margin * w for s, w in zip(self.sums, self.weights, strict=True)]
        weight = math.fsum(self.weights)
        return math.fsum(shifted), max(math.fsum(s * s for s in shifted), weight), weight

    def merge(self, other: "ClusteredEProcess") -> None:
        """Add what another one has seen of other requests."""
        self.sums = [a + b for a, b in zip(self.sums, other.sums, strict=True)]
        self.weights = [a + b for a, b in zip(self.weights, other.weights, strict=True)]
        self.n += other.n

    def _log_e(self, effect: float, margin: float, sign: float) -> float:
        if not 0.0 < effect < math.inf:
            raise ValueError(f"effect must be positive and finite, got {effect!r}")
        if self.n_buckets() < MIN_OBSERVATIONS:
            return 0.0
        s, v, _ = self.moments(margin)
        return tn_log_e(sign * s, v, effect, 0.5 * effect)


def bucket_of(unit: int) -> int:
    """Return the bucket of a unit's 64-bit hash, independent of the one that routed it."""
    return ((unit * _MIX) & 0xFFFF_FFFF_FFFF_FFFF) >> 54
