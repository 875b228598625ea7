"""Watching for ever: an alarm soon after things get worse, and seldom before. Pure."""

import math
from collections.abc import Sequence

from msgspec import Struct

from evaluator.eprocess.mixture import log_sum_exp


class Detector(Struct):
    """Raises an alarm when requests stop being as good as they should be.

    Input:   for each request (or small batch) the factors f_k >= 0 of K bets on harm, made before
             it is seen, as in MixtureEProcess.
    Null:    E[f_k | past] <= 1 for every request: nothing got worse.
    Process: M_k <- (M_k + 1) f_k, alarm when the weighted sum of M_k reaches ``every``. (e-SR:
             a copy of each bet is started at each request, and all are added.)
    Promise: under the null the mean number of requests (or batches) until the alarm is at least
             ``every``. That is not a probability of ever being wrong: watched for long enough,
             it will alarm. Nothing is promised for a null that holds only on average over a day.
    Merge:   shards that watch other requests add their M: the sum keeps the promise about the
             number of all requests. It is not what one detector would have made of them: order
             matters here, as nowhere else.
    Cost:    O(K) per request, O(K) memory.
    Source:  e-Shiryaev-Roberts detectors, Shin, Ramdas & Rinaldo (2022), arXiv 2203.03532.
    """

    log_m: list[float]
    """Natural logs of M; minus infinity before the first request."""
    log_weights: list[float]
    n: int = 0
    alarm_at: int | None = None
    """Requests seen when ``every`` was first reached; it stays."""

    @classmethod
    def empty(cls, log_weights: Sequence[float]) -> "Detector":
        """Return one that has seen nothing."""
        return cls([-math.inf] * len(log_weights), list(log_weights))

    def update(self, log_factors: Sequence[float], every: float, count: int = 1) -> None:
        """Take in one request, or a batch of ``count`` as one step; ValueError if not numbers."""
        if len(log_factors) != len(self.log_m) or any(not f < math.inf for f in log_factors):
            raise ValueError(f"{len(self.log_m)} log factors below infinity wanted")
        self.log_m = [
            _log1p_exp(log_m) + factor
            for log_m, factor in zip(self.log_m, log_factors, strict=True)
        ]
        self.n += count
        if self.alarm_at is None and self.statistic >= math.log(every):
            self.alarm_at = self.n

    @property
    def statistic(self) -> float:
        """Natural log of the weighted sum of M; minus infinity before the first request."""
        terms = [w + m for w, m in zip(self.log_weights, self.log_m, strict=True)]
        return log_sum_exp(terms) if max(terms) > -math.inf else -math.inf

    def merge(self, other: "Detector", every: float) -> None:
        """Add what another one has seen of other requests."""
        if other.log_weights != self.log_weights:
            raise ValueError("only detectors with the same weights can be merged")
        self.log_m = [
            log_sum_exp((a, b)) if max(a, b) > -math.inf else -math.inf
            for a, b in zip(self.log_m, other.log_m, strict=True)
        ]
        self.n += other.n
        if self.alarm_at is None:
            self.alarm_at = other.alarm_at
        if self.alarm_at is None and self.statistic >= math.log(every):
            self.alarm_at = self.n


def _log1p_exp(x: float) -> float:
    """Return log(1 + exp(x)) without overflow."""
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))
