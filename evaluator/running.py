"""Sums that add up: decayed rates and a logarithmic histogram. Pure."""

import math

from msgspec import Struct

LOWEST_S = 1e-6
HIGHEST_S = 1e5
_GAMMA = math.log(1.02)
"""Bins are 2 % wide: a quantile is exact to 1 %, as in DDSketch (Masson et al. 2019, VLDB)."""


class Rate(Struct):
    """How often something happened lately: what is older counts half at each roll."""

    n: float = 0.0
    hits: float = 0.0

    def update(self, is_hit: bool) -> None:
        """Count one case."""
        self.n += 1.0
        self.hits += is_hit

    def estimate(self, prior: float, strength: float) -> float:
        """Return the rate, pulled towards ``prior`` as if by ``strength`` earlier cases."""
        return (self.hits + prior * strength) / (self.n + strength)

    def decay(self) -> None:
        """Let everything so far count half."""
        self.n *= 0.5
        self.hits *= 0.5

    def merge(self, other: "Rate") -> None:
        """Add the cases of another one."""
        self.n += other.n
        self.hits += other.hits


class Histogram(Struct):
    """Durations in logarithmic bins; at most 1,281 of them, whatever comes in."""

    bins: dict[int, int] = {}
    n: int = 0

    def update(self, seconds: float) -> None:
        """Count one duration; ValueError unless it is finite and not negative."""
        if not 0.0 <= seconds < math.inf:
            raise ValueError(f"duration must be finite and not negative, got {seconds!r}")
        index = bin_of(seconds)
        self.bins[index] = self.bins.get(index, 0) + 1
        self.n += 1

    def quantile(self, q: float) -> float:
        """Return the upper edge, in seconds, of the bin that holds quantile ``q``.

        ValueError when nothing was counted yet or q is not in [0, 1].
        """
        if not 0.0 <= q <= 1.0 or not self.n:
            raise ValueError(f"no quantile {q!r} of {self.n} durations")
        wanted, seen = q * self.n, 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= wanted:
                return upper_edge_s(index)
        raise AssertionError("unreachable, because the counts sum to n")

    def share_above(self, seconds: float) -> float:
        """Return the share of durations in bins above the one that holds ``seconds``."""
        index = bin_of(seconds)
        above = sum(count for other, count in self.bins.items() if other > index)
        return above / self.n if self.n else 0.0

    def merge(self, other: "Histogram") -> None:
        """Add the durations of another one."""
        for index, count in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + count
        self.n += other.n


def bin_of(seconds: float) -> int:
    """Return the bin of a duration: bin i holds (LOWEST_S * 1.02^(i-1), LOWEST_S * 1.02^i]."""
    clamped = min(max(seconds, LOWEST_S), HIGHEST_S)
    # The small shift keeps an upper edge in its own bin in spite of rounding.
    return max(0, math.ceil(math.log(clamped / LOWEST_S) / _GAMMA - 1e-9))


def upper_edge_s(index: int) -> float:
    """Return the largest duration, in seconds, that bin ``index`` holds."""
    return LOWEST_S * math.exp(_GAMMA * index)
