"""Mixtures in closed form from two sums, for data without a useful bound. Pure."""

import math

MIN_OBSERVATIONS = 100
"""Below this the normal form is not read: it leans on the central limit theorem."""


def log_ndtr(x: float) -> float:
    """Return log P(Z <= x) for a standard normal Z, to 1e-12 relative, for every finite x."""
    if x > 0.0:
        return math.log1p(-0.5 * math.erfc(x / math.sqrt(2.0)))
    if x > -30.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    # Asymptotic series of Mills' ratio, Abramowitz & Stegun 26.2.12; erfc would underflow at -38.
    y = 1.0 / (x * x)
    series = -y * (1.0 - 3.0 * y * (1.0 - 5.0 * y * (1.0 - 7.0 * y)))
    return -0.5 * x * x - math.log(-x) - 0.5 * math.log(2.0 * math.pi) + math.log1p(series)


def tn_log_e(s: float, v: float, mean: float, spread: float) -> float:
    """Return log of the integral of exp(bet * s - bet^2 * v / 2) over a truncated-normal bet.

    The bet is Normal(mean, spread^2) restricted to be positive. ``s`` = sum of h, ``v`` = sum of
    h^2, ``v >= 0``, ``spread > 0``. mean = 0 gives the one-sided normal mixture of Howard et al.
    """
    if not (math.isfinite(s) and 0.0 <= v < math.inf and 0.0 < spread < math.inf):
        raise ValueError(f"s {s!r}, v {v!r} or spread {spread!r} out of range")
    precision = v + 1.0 / (spread * spread)
    b = s + mean / (spread * spread)
    return (
        -0.5 * math.log(precision * spread * spread)
        + b * b / (2.0 * precision)
        - mean * mean / (2.0 * spread * spread)
        + log_ndtr(b / math.sqrt(precision))
        - log_ndtr(mean / spread)
    )


class NormalEProcess:
    """Evidence that the mean of h is positive, from the sums of h and h^2 alone.

    Input:   h_t, any finite number.
    Null:    E[h_t | past] <= 0 for every t.
    Process: E = integral of exp(bet * S - bet^2 V / 2) over a truncated-normal bet.
    Promise: exact when h is symmetric around its mean under the null; otherwise asymptotic, with
             no guarantee in small samples of very skewed data. It reads 0 (no evidence) below 100
             observations. Measured error rates: docs/statistics.md.
    Merge:   n, S and V are sums.
    Cost:    O(1).
    Source:  normal mixtures, Robbins (1970); one-sided form as in Howard, Ramdas, McAuliffe &
             Sekhon (2021), Ann. Statist. 49(2), proposition 6; V = sum of squares, uncentred
             (self-normalised: de la Pena, Klass & Lai 2004), needs no variance known beforehand.
    """

    __slots__ = ("_mean", "_spread", "n", "s", "v")

    def __init__(self, bet: float) -> None:
        """Centre the mixture on ``bet`` > 0, the effect to detect over the variance of h."""
        if not 0.0 < bet < math.inf:
            raise ValueError(f"bet must be positive and finite, got {bet!r}")
        self._mean, self._spread = bet, 0.5 * bet
        self.n, self.s, self.v = 0, 0.0, 0.0

    def update(self, h: float, count: int = 1) -> None:
        """Take in ``count`` observations of the value ``h``; ValueError unless it is finite."""
        if not math.isfinite(h) or count < 0:
            raise ValueError(f"observation {h!r} or count {count!r} out of range")
        self.n += count
        self.s += count * h
        self.v += count * h * h

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 below MIN_OBSERVATIONS."""
        if self.n < MIN_OBSERVATIONS:
            return 0.0
        return tn_log_e(self.s, self.v, self._mean, self._spread)

    def rejects(self, alpha: float) -> bool:
        """Whether the null is rejected *now* at level ``alpha``."""
        return self.log_e >= -math.log(alpha)

    def merge(self, other: "NormalEProcess") -> None:
        """Add what another process with the same bet has seen."""
        if other._mean != self._mean:
            raise ValueError("only processes with the same bet can be merged")
        self.n += other.n
        self.s += other.s
        self.v += other.v
