"""Sums that add up: decayed rates and moments, and logarithmic histograms. Pure."""

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


class Moments(Struct):
    """Sums of y, of a covariate x, and of their squares and product; the past counts less."""

    n: float = 0.0
    y: float = 0.0
    yy: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def update(self, y: float, x: float = 0.0) -> None:
        """Count one case; both must be finite."""
        self.n += 1.0
        self.y += y
        self.yy += y * y
        self.x += x
        self.xx += x * x
        self.xy += x * y

    def mean(self, prior: float, strength: float) -> float:
        """Return the mean of y, pulled towards ``prior`` as if by ``strength`` cases."""
        return (self.y + prior * strength) / (self.n + strength)

    def square(self, prior: float, strength: float) -> float:
        """Return the mean of y squared, likewise."""
        return (self.yy + prior * strength) / (self.n + strength)

    def variance(self, prior: float, strength: float) -> float:
        """Return the variance of y around its own mean, pulled towards ``prior``."""
        centred = max(0.0, self.yy - self.y * self.y / self.n) if self.n else 0.0
        return (centred + prior * strength) / (self.n + strength)

    def slope(self) -> float:
        """Return the least-squares slope of y on x; 0 while x does not vary."""
        if self.n < 2.0:
            return 0.0
        spread = self.xx - self.x * self.x / self.n
        if not spread > 1e-12 * self.xx:
            return 0.0
        return (self.xy - self.x * self.y / self.n) / spread

    def unexplained(self) -> float:
        """Return the share of y's variance that x does not explain, in [0, 1]."""
        if self.n < 2.0:
            return 1.0
        spread_x = self.xx - self.x * self.x / self.n
        spread_y = self.yy - self.y * self.y / self.n
        if not (spread_x > 1e-12 * self.xx and spread_y > 0.0):
            return 1.0
        shared = self.xy - self.x * self.y / self.n
        return min(1.0, max(0.0, 1.0 - shared * (shared / spread_x) / spread_y))

    def decay(self) -> None:
        """Let everything so far count half."""
        for name in ("n", "y", "yy", "x", "xx", "xy"):
            setattr(self, name, 0.5 * getattr(self, name))

    def merge(self, other: "Moments") -> None:
        """Add the cases of another one."""
        for name in ("n", "y", "yy", "x", "xx", "xy"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class SignedHistogram(Struct):
    """Numbers of either sign in logarithmic bins of their size; at most 6,513 of them.

    Bin 0 holds what is smaller than 1e-10 in size, bin i sizes up to 1e-10 * 1.02^i, bin -i the
    same below zero. What is larger than 1e18 is held as that large.
    """

    bins: dict[int, int] = {}
    n: int = 0

    def update(self, value: float) -> None:
        """Count one number; ValueError unless it is finite."""
        if not math.isfinite(value):
            raise ValueError(f"value must be finite, got {value!r}")
        index = signed_bin_of(value)
        self.bins[index] = self.bins.get(index, 0) + 1
        self.n += 1

    def quantile(self, q: float) -> float:
        """Return the outer edge of the bin that holds quantile ``q``: 2 % too far out at most."""
        if not 0.0 <= q <= 1.0 or not self.n:
            raise ValueError(f"no quantile {q!r} of {self.n} numbers")
        wanted, seen = q * self.n, 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= wanted:
                return math.copysign(_LEAST * math.exp(_GAMMA * abs(index)), index) if index else 0
        raise AssertionError("unreachable, because the counts sum to n")

    def merge(self, other: "SignedHistogram") -> None:
        """Add the numbers of another one."""
        for index, count in other.bins.items():
            self.bins[index] = self.bins.get(index, 0) + count
        self.n += other.n


_LEAST, _MOST = 1e-10, 1e18


def signed_bin_of(value: float) -> int:
    """Return the bin of a number in a SignedHistogram."""
    size = min(abs(value), _MOST)
    if size < _LEAST:
        return 0
    index = max(1, math.ceil(math.log(size / _LEAST) / _GAMMA - 1e-9))
    return index if value > 0.0 else -index


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
