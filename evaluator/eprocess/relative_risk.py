"""Bets on rare events: is a failure more likely with the challenger? Pure."""

import math

from evaluator.eprocess.mixture import clip_bets
from evaluator.eprocess.restart import RestartedEProcess

RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""How many times as often the challenger fails, for each component."""

LOG_WEIGHTS = tuple(math.log(weight / 13.0) for weight in (1, 2, 3, 3, 2, 1, 1))
"""Most on two to three times: what is much worse shows within few failures whatever its weight.
Measured against even weights: twice the errors are found 5 to 8 % sooner, five times as soon, fifty
times 7 % later."""


def harm_values(propensity: float, margin: float) -> tuple[float, float, float, float]:
    """Return h for (champion failed, champion fine, challenger failed, challenger fine).

    h = (A - pi) * failed - pi(1 - pi) * margin, so E[h] = pi(1 - pi)(p_B - p_A - margin).
    """
    allowance = propensity * (1.0 - propensity) * margin
    return -propensity - allowance, -allowance, 1.0 - propensity - allowance, -allowance


def harm_bets(propensity: float, margin: float, scale: float = 1.0) -> tuple[float, ...]:
    """Return the bet for each of RATIOS at this share of the challenger.

    With margin 0 a failure of the challenger multiplies component r by r / (pi r + 1 - pi), one
    of the champion by 1 / (pi r + 1 - pi), and an answer by 1. With a scale f (a margin relative
    to the champion's rate; the challenger's failure then counts 1/f) ratios are beyond f, and pi
    is the share of failures that the challenger has at that ratio, pi f / (pi f + 1 - pi).
    """
    share = propensity * scale / (propensity * scale + 1.0 - propensity)
    bets = [share / propensity * (r - 1.0) / (share * r + 1.0 - share) for r in RATIOS]
    return clip_bets(bets, harm_values(propensity, margin)[0])


class RelativeRiskEProcess:
    """Evidence that the challenger fails more often than is acceptable.

    Input:   per epoch and propensity pi: failures and answers of both variants. A pair counts as
             pi = 1/2 with only the requests on which exactly one of the two failed, plus the
             margin of every pair; ``update_pairs`` does that.
    Null:    p_B <= p_A + margin at every request, whatever p_A does over time.
    Process: the restarted mixture over h = (A - pi) failed - pi(1 - pi) margin with
             bet_r = (r - 1) / (pi r + 1 - pi); with margin 0 it is the likelihood ratio of "given
             a failure, it was the challenger's with probability pi r / (pi r + 1 - pi)".
    Promise: under the null, P(E >= 1/alpha ever) <= alpha; p_A need not be known or constant.
             Retries of one request must not count twice.
    Merge:   counts add per epoch, in any order.
    Cost:    O(7) per distinct value.
    Source:  conditional test of two rates, Lindon & Malek (2022), arXiv 2011.03567, with a grid of
             ratios; the absolute margin is ours (statistics: E[h] above).
    """

    __slots__ = ("_margin", "_process")

    def __init__(self, margin: float = 0.0) -> None:
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin must be in [0, 1), got {margin!r}")
        self._margin = margin
        self._process = RestartedEProcess(LOG_WEIGHTS)

    @property
    def n(self) -> int:
        """Requests taken in."""
        return self._process.n

    def update(
        self, epoch: int, propensity: float, counts: tuple[int, int, int, int] | list[int]
    ) -> None:
        """Take in (champion failed, champion fine, challenger failed, challenger fine)."""
        if not 0.0 < propensity < 1.0:
            raise ValueError(f"propensity must be in (0, 1), got {propensity!r}")
        bets = harm_bets(propensity, self._margin)
        for h, count in zip(harm_values(propensity, self._margin), counts, strict=True):
            if count:
                self._process.update(epoch, h, bets, count)

    def update_pairs(self, epoch: int, only_champion: int, only_challenger: int, n: int) -> None:
        """Take in ``n`` pairs, with the numbers of those on which exactly one of them failed."""
        values, bets = pair_values(self._margin), pair_bets(self._margin)
        counts = (only_champion, n - only_champion - only_challenger, only_challenger)
        for h, count in zip(values, counts, strict=True):
            if count:
                self._process.update(epoch, h, bets, count)

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 before the first observation."""
        return self._process.log_e

    def rejects(self, alpha: float) -> bool:
        """Whether the null is rejected *now* at level ``alpha``."""
        return self._process.rejects(alpha)

    def merge(self, other: "RelativeRiskEProcess") -> None:
        """Add what another process with the same margin has seen."""
        if other._margin != self._margin:
            raise ValueError(f"margins differ: {self._margin!r} and {other._margin!r}")
        self._process.merge(other._process)


def pair_values(margin: float) -> tuple[float, float, float]:
    """Return h of a pair for (only the champion failed, no difference, only the challenger)."""
    return -1.0 - margin, -margin, 1.0 - margin


def pair_bets(margin: float, scale: float = 1.0) -> tuple[float, ...]:
    """Return the bets on pairs: those at pi = 1/2, halved because h is twice as large."""
    return clip_bets([0.5 * bet for bet in harm_bets(0.5, 0.0, scale)], -1.0 - margin)
