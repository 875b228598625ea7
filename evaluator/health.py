"""Does a variant fail more often than a service may? One-sample, watched for ever. Pure."""

import math
from dataclasses import dataclass

from msgspec import Struct

from evaluator.eprocess.detector import Detector
from evaluator.eprocess.mixture import even_log_weights, mix

EVERY = 100_000.0
"""Answers between false alarms, on average at least, while the rate is at the limit. Chosen."""
ABOVE = (0.1, 0.25, 0.5, 0.9)
"""Rates that are bet on, as shares of the way from the limit to 1. Chosen: 22 failures in a row are
found at a limit of 50 %, and 400 answers tell 30 % from 20 %."""
BELOW = (0.75, 0.5, 0.25, 0.05)
"""Rates that are bet on, as shares of the limit."""


class HealthState(Struct):
    """All that a Health remembers of one variant."""

    worse: Detector
    better: Detector
    sound: list[float]
    """Log-products of the bets that the rate is below the limit, from the first answer on."""
    n: int = 0
    failed: int = 0
    is_broken: bool = False

    @classmethod
    def empty(cls) -> "HealthState":
        """Return one of a variant that has answered nothing."""
        up, down = even_log_weights(len(ABOVE)), even_log_weights(len(BELOW))
        return cls(Detector.empty(up), Detector.empty(down), [0.0] * len(BELOW))


@dataclass(frozen=True, slots=True)
class Health:
    """How one variant stands to the service limit."""

    is_broken: bool
    """Its failures were shown to be above the limit, and not yet to be below it again."""
    sound_log_e: float
    """Natural log of the e-process against "it fails as often as the limit, or more"."""
    n: int
    failed: int
    limit: float

    @property
    def told(self) -> str:
        """One clause with the numbers, for people."""
        verdict = "broken" if self.is_broken else "not shown to be broken"
        return f"{self.failed} of {self.n} answers failed, limit {self.limit:.4g}: {verdict}"


class HealthMonitor:
    """The failures of one variant, held against a declared limit.

    Input:   for each answer whether it failed.
    Null:    worse: P(failed | past) <= limit at every answer; better and sound: >= limit.
    Process: likelihood ratios of a Bernoulli variable, q against the limit, for a grid of q. With
             q above the limit its mean grows with the true rate and is 1 at the limit, so lower
             rates are covered; likewise below. ``worse`` and ``better`` are e-SR detectors,
             begun anew at each change of the verdict; ``sound`` is a plain mixture, never anew.
    Promise: at the limit 100 000 answers pass on average until a false verdict (Detector); and
             P(sound_log_e >= log(1/alpha) ever) <= alpha while the rate is the limit or more
             (Ville). Requests are counted, not units: a few units that send many can break it.
    Merge:   none: the order matters.
    Cost:    O(8) per answer.
    Source:  Shin, Ramdas & Rinaldo (2022), arXiv 2203.03532; Wald (1945), Ann. Math. Stat. 16(2).
    """

    def __init__(self, limit: float, state: HealthState) -> None:
        if not 0.0 < limit < 1.0:
            raise ValueError(f"limit must be in (0, 1), got {limit!r}")
        self._limit = limit
        self.state = state
        self._up = [_log_ratios(limit + (1.0 - limit) * share, limit) for share in ABOVE]
        self._down = [_log_ratios(limit * share, limit) for share in BELOW]

    def observe(self, is_failed: bool) -> None:
        """Take in one answer."""
        state = self.state
        state.n += 1
        state.failed += is_failed
        up = [ratios[is_failed] for ratios in self._up]
        down = [ratios[is_failed] for ratios in self._down]
        state.sound = [total + factor for total, factor in zip(state.sound, down, strict=True)]
        if state.is_broken:
            state.better.update(down, EVERY)
            is_over = state.better.alarm_at is not None
        else:
            state.worse.update(up, EVERY)
            is_over = state.worse.alarm_at is not None
        if is_over:
            state.is_broken = not state.is_broken
            fresh = HealthState.empty()
            state.worse, state.better = fresh.worse, fresh.better

    def reading(self) -> Health:
        """Return how the variant stands now."""
        state = self.state
        log_e = mix(even_log_weights(len(BELOW)), state.sound) if state.n else 0.0
        return Health(state.is_broken, log_e, state.n, state.failed, self._limit)


def _log_ratios(q: float, limit: float) -> tuple[float, float]:
    """Return the log factor of an answer that did not fail, and of one that did."""
    return math.log((1.0 - q) / (1.0 - limit)), math.log(q / limit)
