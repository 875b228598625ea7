"""Is the split what was asked? Pure."""

import math

from evaluator.eprocess.mixture import even_log_weights, log_sum_exp, mix

TILTS = tuple(sign * 0.01 * 2**j for sign in (-1.0, 1.0) for j in range(7))
"""Log-odds by which the true share may differ from the asked one: +-0.01 .. +-0.64."""


class SrmEProcess:
    """Evidence of a sample-ratio mismatch: units are not shared out as the table says.

    Input:   per propensity pi in (0, 1): exposures of the champion and of the challenger.
    Null:    each unit was given the challenger with the probability pi that it was logged with.
    Process: mixture over tilts b of the likelihood ratio of q = pi e^b / (pi e^b + 1 - pi).
    Promise: under the null, P(E >= 1/alpha ever) <= alpha, through any change of the share.
             Needs independent assignments: where a unit sends many requests, counts of requests
             are not; the evaluator then uses ClusteredEProcess instead.
    Merge:   the log-products add, in any order.
    Cost:    O(14) per update, whatever the counts.
    Source:  sequential SRM test, Lindon & Malek (2022), arXiv 2011.03567; a fixed grid of tilts in
             place of their Dirichlet prior, so that it survives changes of the share.
    """

    __slots__ = ("_log_weights", "log_products", "n")

    def __init__(self) -> None:
        self._log_weights = even_log_weights(len(TILTS))
        self.log_products = [0.0] * len(TILTS)
        self.n = 0

    def update(self, propensity: float, n_champion: int, n_challenger: int) -> None:
        """Take in exposures under one propensity; ValueError if it is not in (0, 1)."""
        if not 0.0 < propensity < 1.0 or n_champion < 0 or n_challenger < 0:
            raise ValueError(
                f"propensity {propensity!r} or counts {n_champion!r}, {n_challenger!r} out of range"
            )
        for k, tilt in enumerate(TILTS):
            norm = math.log(propensity * math.exp(tilt) + 1.0 - propensity)
            self.log_products[k] += n_challenger * (tilt - norm) - n_champion * norm
        self.n += n_champion + n_challenger

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence; 0 before the first exposure."""
        return mix(self._log_weights, self.log_products) if self.n else 0.0

    def rejects(self, alpha: float) -> bool:
        """Whether a mismatch is shown *now* at level ``alpha``."""
        return self.log_e >= -math.log(alpha)

    def merge(self, other: "SrmEProcess") -> None:
        """Add what another one has seen of other exposures."""
        for k, product in enumerate(other.log_products):
            self.log_products[k] += product
        self.n += other.n


def two_sided(log_up: float, log_down: float) -> float:
    """Return the log of the mean of two one-sided e-values: evidence of either."""
    return log_sum_exp((log_up, log_down)) - math.log(2.0)
