"""Watching one variant alone, against what this hour of the week used to be like. Pure.

For a champion without a holdback: see evaluator/forecast.py.
"""

import math

from msgspec import Struct

from evaluator.eprocess.bounded import BREACH_SHARES
from evaluator.eprocess.detector import Detector
from evaluator.eprocess.mixture import clip_bets, even_log_weights
from evaluator.running import Rate

SLOTS = 168
"""Hours of a week."""
_WEEK_S = 7 * 86_400.0
STRENGTH = 50.0
"""Answers that the rate of all hours counts for, in an hour that has few of its own."""
LEAST_EXPECTED = 1e-4


class SeasonState(Struct):
    """All that a SeasonalMonitor remembers."""

    slots: list[Rate]
    overall: Rate
    detector: Detector


class SeasonalMonitor:
    """Raises an alarm when failures exceed the usual ones of the hour by more than a tolerance.

    Input:   past answers to learn from (``learn``), then answers to watch, each with its time.
    Null:    P(bad | past) <= expected(time) + tolerance, at every request.
    Process: Detector on the factors 1 + bet (bad - expected - tolerance), with bets for rates of
             1.1 to 30 times the allowed one.
    Promise: as Detector, *if the forecast is right to within the tolerance*: a new season, a feast
             day, or a drift beyond it raises alarms that are nobody's fault. A holdback has no
             such assumption: prefer it.
    Cost:    O(8) per answer, 168 rates of memory.
    Source:  evaluator/eprocess/detector.py.
    """

    def __init__(self, tolerance: float, every: float, state: SeasonState) -> None:
        if not 0.0 <= tolerance < 1.0 or not 1.0 <= every < math.inf:
            raise ValueError(f"tolerance {tolerance!r} or every {every!r} out of range")
        self._tolerance = tolerance
        self._every = every
        self.state = state

    @classmethod
    def fresh(cls, tolerance: float, every: float) -> "SeasonalMonitor":
        """Return one that has seen nothing."""
        detector = Detector.empty(even_log_weights(len(BREACH_SHARES)))
        state = SeasonState([Rate() for _ in range(SLOTS)], Rate(), detector)
        return cls(tolerance, every, state)

    def learn(self, at_s: float, is_bad: bool) -> None:
        """Take in an answer of the past."""
        self.state.slots[slot_of(at_s)].update(is_bad)
        self.state.overall.update(is_bad)

    def expected(self, at_s: float) -> float:
        """Return the usual share of bad answers at this hour of the week."""
        usual = self.state.overall.estimate(LEAST_EXPECTED, 1.0)
        return self.state.slots[slot_of(at_s)].estimate(usual, STRENGTH)

    def observe(self, at_s: float, is_bad: bool, *, every: float | None = None) -> None:
        """Watch one answer; nothing is learned from it. ``every``: another than declared."""
        allowed = min(0.999, max(LEAST_EXPECTED, self.expected(at_s) + self._tolerance))
        bets = clip_bets([(s - 1.0) / (1.0 - allowed) for s in BREACH_SHARES], -allowed)
        factors = [math.log1p(bet * (is_bad - allowed)) for bet in bets]
        self.state.detector.update(factors, self._every if every is None else every)

    def merge(self, other: "SeasonalMonitor", *, every: float | None = None) -> None:
        """Add what another one has learned and watched."""
        for mine, theirs in zip(self.state.slots, other.state.slots, strict=True):
            mine.merge(theirs)
        self.state.overall.merge(other.state.overall)
        self.state.detector.merge(other.state.detector, self._every if every is None else every)

    @property
    def alarm_at(self) -> int | None:
        """Answers watched when the alarm was raised; None if it was not."""
        return self.state.detector.alarm_at


def slot_of(at_s: float) -> int:
    """Return the hour of the week of a wall-clock time in seconds, 0 to 167."""
    return int(at_s % _WEEK_S // 3600.0)
