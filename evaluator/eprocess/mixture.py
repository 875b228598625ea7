"""The mixture of fixed bets, on which almost every check rests. Pure.

A bet is a factor ``1 + bet * h`` on one observation ``h``. Bets are fixed before the observation
is seen; the mixture holds several at once, each made for another size of the effect.
"""

import math
from collections.abc import Sequence

MAX_BET = 0.9
"""Largest share of its evidence that one observation may take from a bet: a single request can
never end the game. Waudby-Smith & Ramdas (2024), section 4.4, truncate in the same way."""

GRID = tuple(0.15 * (4 / 0.15) ** (k / 12) for k in range(13))
"""Effects that are bet on, as multiples of the one to detect: geometric, 13 points."""

SPREAD_DECLARED = 0.5
"""Width of the weights in ln(effect). Measured: 1.05 times the sample size of the test that knows
the effect, 1.2 times when the declared effect is wrong by a factor of two."""
SPREAD_VAGUE = 0.75
"""The same when nobody declared the effect to detect."""


def log_weights(*, is_vague: bool = False) -> tuple[float, ...]:
    """Return the log of the 13 weights, which sum to one: log-normal around the declared effect."""
    spread = SPREAD_VAGUE if is_vague else SPREAD_DECLARED
    raw = [-0.5 * (math.log(g) / spread) ** 2 for g in GRID]
    total = log_sum_exp(raw)
    return tuple(term - total for term in raw)


def even_log_weights(count: int) -> tuple[float, ...]:
    """Return ``count`` equal log-weights that sum to one."""
    return (-math.log(count),) * count


def log_sum_exp(terms: Sequence[float]) -> float:
    """Return log(sum(exp(term))) without overflow; ``terms`` must not be empty."""
    top = max(terms)
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def grid_bets(effect: float, variance: float, lowest: float) -> tuple[float, ...]:
    """Return the bet for each point of GRID: effect / variance, held back by MAX_BET.

    ``effect`` is the mean of h to look for per unit of ``variance``; ``lowest`` is the smallest
    value that h can take (negative), so that ``1 + bet * lowest >= 1 - MAX_BET``.
    """
    return clip_bets([effect * g / variance for g in GRID], lowest)


def clip_bets(bets: Sequence[float], lowest: float) -> tuple[float, ...]:
    """Hold back every bet so that an observation of ``lowest`` takes at most MAX_BET of it."""
    cap = MAX_BET / -lowest if lowest < 0.0 else math.inf
    return tuple(min(bet, cap) for bet in bets)


class MixtureEProcess:
    """Evidence against "h has no positive mean", valid at any time.

    Input:   h_t with a known lowest value, and the bets made for it beforehand, one for each
             component; a component may bet differently in another epoch or mode.
    Null:    E[h_t | past] <= 0 for every t.
    Process: E_t = sum over k of w_k * product over s <= t of (1 + bet_ks * h_s).
    Promise: under the null, P(E_t >= 1/alpha for some t) <= alpha (Ville's inequality), so it may
             be read after every request. Bets must not depend on the observation that they are
             placed on or on later ones. Nothing is promised if observations go missing depending
             on their value.
    Merge:   the K log-products are sums: states add, in any order of arrival.
    Cost:    O(K) time per distinct value and O(K) memory; K is 13 by default.
    Source:  method of mixtures, Robbins (1970), Ann. Math. Statist. 41(5); for bounded means
             Waudby-Smith & Ramdas (2024), JRSS-B 86(1). With h = (A - pi)(Y - m) and
             bet = effect / (q(1 - q)) it equals the growth-optimal two-sample test of Turner,
             Ly & Gruenwald (2021), arXiv 2106.02693. Fixed bets, not adaptive ones, because only
             they add up and do not depend on the order.
    """

    __slots__ = ("_log_weights", "log_products", "n")

    def __init__(self, log_weights: Sequence[float]) -> None:
        if not log_weights or abs(log_sum_exp(log_weights)) > 1e-9:
            raise ValueError(f"weights must sum to one, got logs {log_weights!r}")
        self._log_weights = tuple(log_weights)
        self.log_products = [0.0] * len(self._log_weights)
        self.n = 0

    def update(self, h: float, bets: Sequence[float], count: int = 1) -> None:
        """Take in ``count`` observations of the value ``h``; ValueError if a bet could go broke."""
        if not math.isfinite(h):
            raise ValueError(f"observation must be finite, got {h!r}")
        if len(bets) != len(self.log_products):
            raise ValueError(f"{len(self.log_products)} bets wanted, got {len(bets)}")
        if count < 0:
            raise ValueError(f"count must not be negative, got {count!r}")
        steps = []
        for bet in bets:
            if not (0.0 <= bet < math.inf and bet * h > -1.0):  # this way round, NaN is refused
                raise ValueError(f"a bet of {bet!r} does not survive an observation of {h!r}")
            steps.append(count * math.log1p(bet * h))
        for k, step in enumerate(steps):
            self.log_products[k] += step
        self.n += count

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 before the first observation."""
        if self.n == 0:
            return 0.0
        return mix(self._log_weights, self.log_products)

    def rejects(self, alpha: float) -> bool:
        """Whether the null is rejected *now* at level ``alpha``."""
        return self.log_e >= -math.log(alpha)

    def merge(self, other: "MixtureEProcess") -> None:
        """Add what another process with the same weights has seen of other requests."""
        if other._log_weights != self._log_weights:
            raise ValueError("only processes with the same weights can be merged")
        for k, product in enumerate(other.log_products):
            self.log_products[k] += product
        self.n += other.n


def mix(log_weights: Sequence[float], log_products: Sequence[float]) -> float:
    """Return log(sum of weight * product), all in logs."""
    return log_sum_exp([w + p for w, p in zip(log_weights, log_products, strict=True)])


def log_mean(log_es: Sequence[float]) -> float:
    """Return the log of the plain mean of e-values: itself an e-value when all their nulls hold."""
    return log_sum_exp(log_es) - math.log(len(log_es))
