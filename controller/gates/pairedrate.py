"""Paired yes-or-no: how much more often the challenger is right on the same rows. Pure."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import beta, binom, norm

from controller.gates.paired import Comparison

EXACT_ROWS = 100
"""Up to so many rows the p-value is exact. Chosen: the sum has n^2 / 2 terms, and the score's own
tail was measured up to three points above 5 % at 101 rows, where 4 % of the rows differ."""
UNKNOWN_POINTS = 48
"""Values of the nuisance parameter that are tried. Chosen: the tail is a polynomial in it of degree
n, smooth at this step."""
SET_ASIDE = 1e-4
"""Of the level, for the nuisance parameter's own interval (gamma of Berger and Boos)."""


@dataclass(frozen=True)
class PairedRate(Comparison):
    """Two rates on the same rows, told apart by the rows on which just one of the two is right.

    Input:   wins (challenger right, champion wrong), losses (the reverse), rows in all.
    Null:    P(win) - P(loss) <= bound (``above``), or >= bound (``below``).
    Assumes: rows drawn independently of each other from those that the claim is about.
    Method:  up to EXACT_ROWS rows the exact unconditional test: the probability of a score as large
             as the one seen, or larger, at the P(win or loss) that makes it largest, looked for in
             its own interval of level SET_ASIDE on a grid of UNKNOWN_POINTS. Above, the normal tail
             of the score, whose variance is the one that the bound itself implies.
    Promise: exact: at most alpha, but for what lies between the grid's points. Score: alpha as n
             grows; measured at most three points above it from 101 rows on.
    Cost:    exact O(n^2 * UNKNOWN_POINTS), 10 ms at n = 100; score O(1).
    Source:  score: Tango (1998), Stat. Med. 17, 891-908. Unconditional tests of it: Sidik (2003),
             J. Biopharm. Stat. 13. The nuisance parameter: Berger & Boos (1994), JASA 89. Exact
             McNemar is this test at bound 0 given the discordant rows alone.
    """

    wins: int
    losses: int
    rows: int
    champion: float = field(default=math.nan, compare=False)
    """Its rate on these rows, to be shown."""

    def __post_init__(self) -> None:
        if not (0 <= self.wins and 0 <= self.losses and self.wins + self.losses <= self.rows):
            raise ValueError(f"{self.wins} wins and {self.losses} losses in {self.rows} rows")
        if self.rows < 1:
            raise ValueError("no rows")

    @property
    def n(self) -> int:
        """Rows."""
        return self.rows

    @property
    def effect(self) -> float:
        """Share of wins minus share of losses."""
        return (self.wins - self.losses) / self.rows

    @property
    def bounds(self) -> tuple[float, float]:
        """From always losing to always winning."""
        return (-1.0, 1.0)

    def above(self, bound: float) -> float:
        """Return the p-value of "P(win) - P(loss) <= bound"."""
        if bound >= 1.0:
            return 1.0
        if bound <= -1.0:
            return 0.0 if self.losses < self.rows else 1.0
        if self.rows <= EXACT_ROWS:
            return _exact(self.wins, self.losses, self.rows, bound)
        z = score(np.array([self.wins]), np.array([self.losses]), self.rows, bound)[0]
        return float(norm.sf(z))

    def below(self, bound: float) -> float:
        """Return the p-value of "P(win) - P(loss) >= bound": wins and losses change places."""
        return PairedRate(self.losses, self.wins, self.rows).above(-bound)


@dataclass(frozen=True)
class Share(Comparison):
    """One rate against a declared number: how often it happened, of so many rows.

    Null:    the rate is bound or less (``above``), or more (``below``).
    Assumes: rows drawn independently of each other.
    Promise: exact, and so at most alpha.
    Source:  Clopper & Pearson (1934), Biometrika 26.
    """

    times: int
    rows: int

    def __post_init__(self) -> None:
        if not (0 <= self.times <= self.rows and self.rows >= 1):
            raise ValueError(f"{self.times} times in {self.rows} rows")

    @property
    def n(self) -> int:
        """Rows."""
        return self.rows

    @property
    def effect(self) -> float:
        """The rate itself."""
        return self.times / self.rows

    @property
    def bounds(self) -> tuple[float, float]:
        """From never to always."""
        return (0.0, 1.0)

    def above(self, bound: float) -> float:
        """Return P(so often or more) at rate ``bound``."""
        return float(binom.sf(self.times - 1, self.rows, min(max(bound, 0.0), 1.0)))

    def below(self, bound: float) -> float:
        """Return P(so often or less) at rate ``bound``."""
        return float(binom.cdf(self.times, self.rows, min(max(bound, 0.0), 1.0)))


Floats = NDArray[np.float64]


def score(wins: Floats, losses: Floats, rows: int, bound: float) -> Floats:
    """Return the score statistic of each table, at ``P(win) - P(loss) = bound``.

    Tango (1998), eq. 5: q is the likeliest P(loss) that the bound allows.
    """
    a = 2.0 * rows
    b = -wins - losses + (2.0 * rows - wins + losses) * bound
    c = -losses * bound * (1.0 - bound)
    q = (np.sqrt(np.maximum(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = rows * (2.0 * q + bound * (1.0 - bound))
    difference = wins - losses - rows * bound
    # Without a variance the bound is 0 and no row was discordant: no evidence either way.
    return difference / np.sqrt(np.where(variance > 1e-12, variance, math.inf))


@lru_cache(maxsize=8)
def _tables(rows: int) -> tuple[Floats, Floats]:
    """Return every table as wins, losses and the rest, (n_tables, 3), and the log of its ways."""
    wins, both = (index.astype(np.float64) for index in np.triu_indices(rows + 1))
    counts = np.stack([wins, both - wins, rows - both], axis=1)
    return counts, gammaln(rows + 1) - gammaln(counts + 1).sum(axis=1)


def _exact(wins: int, losses: int, rows: int, bound: float) -> float:
    counts, ways = _tables(rows)
    z = score(counts[:, 0], counts[:, 1], rows, bound)
    mine = score(np.array([float(wins)]), np.array([float(losses)]), rows, bound)[0]
    tail = z >= mine - 1e-9
    some = _unknowns(wins + losses, rows, bound)
    p = np.stack([(some + bound) / 2.0, (some - bound) / 2.0, 1.0 - some])
    # The log of 0 is a large number, so that 0 times it is 0, and once is impossible.
    log_p = np.log(np.clip(p, 1e-300, 1.0)) + np.where(p <= 0.0, -1e6, 0.0)
    total = np.exp(counts[tail] @ log_p + ways[tail, None]).sum(axis=0).max()
    return min(1.0, float(total) + SET_ASIDE)


def _unknowns(discordant: int, rows: int, bound: float) -> Floats:
    """Return values of P(win or loss) to try: its interval, as far as the bound allows."""
    low = beta.ppf(SET_ASIDE / 2.0, discordant, rows - discordant + 1) if discordant else 0.0
    high = 1.0
    if discordant < rows:
        high = beta.ppf(1.0 - SET_ASIDE / 2.0, discordant + 1, rows - discordant)
    least = abs(bound)
    return np.linspace(max(low, least), max(high, least), UNKNOWN_POINTS)
