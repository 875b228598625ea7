"""How many units each variant has, of those that were drawn by lot: is it what was asked? Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.srm import SrmEProcess, two_sided

CLUSTERED_TILT = 0.1
"""Log-odds of a mismatch that bets on bucket sums are made for."""


class Drawn(Struct):
    """Units under one propensity, by the variant they were given."""

    propensity: float
    champion: int = 0
    challenger: int = 0


class Lots:
    """Counts lots, and says whether the challenger has its share of them.

    Null:    each lot fell on the challenger with the probability that it was logged with.
    Process: SrmEProcess; with clustered units the mean of both sides of ClusteredEProcess.
    Promise: as those.
    Merge:   counts add.
    Cost:    O(1) per lot; reading O(14) per propensity, of which there are few.
    """

    def __init__(self, drawn: list[Drawn], clustered: ClusteredEProcess | None) -> None:
        """Go on from ``drawn`` and ``clustered``, which are changed in place."""
        self._drawn = drawn
        self._clustered = clustered
        self._index = {one.propensity: one for one in drawn}

    def count(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Take in one lot."""
        drawn = self._of(propensity)
        if is_challenger:
            drawn.challenger += 1
        else:
            drawn.champion += 1
        if self._clustered is not None:
            weight = propensity * (1.0 - propensity)
            self._clustered.update(unit, is_challenger - propensity, weight)

    def n(self) -> int:
        """Return all lots."""
        return sum(one.champion + one.challenger for one in self._drawn)

    def n_challenger(self) -> int:
        """Return those of the challenger."""
        return sum(one.challenger for one in self._drawn)

    def due(self) -> float:
        """Return how many the challenger should have on average."""
        return math.fsum(one.propensity * (one.champion + one.challenger) for one in self._drawn)

    def log_e(self) -> float:
        """Return log evidence that lots did not fall as asked."""
        if self._clustered is not None:
            return two_sided(
                self._clustered.claim_log_e(CLUSTERED_TILT, 0.0),
                self._clustered.harm_log_e(CLUSTERED_TILT, 0.0),
            )
        process = SrmEProcess()
        for one in self._drawn:
            process.update(one.propensity, one.champion, one.challenger)
        return process.log_e

    def merge(self, other: "Lots") -> None:
        """Add what another one has counted."""
        for theirs in other._drawn:
            mine = self._of(theirs.propensity)
            mine.champion += theirs.champion
            mine.challenger += theirs.challenger
        if self._clustered is not None and other._clustered is not None:
            self._clustered.merge(other._clustered)

    def _of(self, propensity: float) -> Drawn:
        drawn = self._index.get(propensity)
        if drawn is None:
            drawn = self._index[propensity] = Drawn(propensity)
            self._drawn.append(drawn)
        return drawn
