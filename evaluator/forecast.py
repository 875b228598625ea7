"""After a promotion without a holdback: is the new champion worse than the old one used to be?

The old champion's answers teach what is usual at each hour of the week; the new champion's are held
against that. Pure.
"""

import math

from msgspec import Struct

from evaluator.eprocess.mixture import log_sum_exp
from evaluator.evidence import Reading
from evaluator.metric import MetricSpec
from evaluator.monitor import KINDS, question_of, reading_of
from evaluator.season import SeasonalMonitor, SeasonState


class Forecast(Struct):
    """One metric and what is usual for it."""

    name: str
    kind: str
    season: SeasonState


class ForecastState(Struct):
    """All that a ForecastMonitor remembers."""

    forecasts: list[Forecast]
    is_watching: bool = False


class ForecastMonitor:
    """The built-in check ``monitor`` where nobody is held back: TRIPPED when an alarm is raised.

    Null:    at no request is the new champion bad more often than the old one was at this hour of
             the week, by more than the metric's tolerance (its margin, or the effect it looks for).
    Process: a SeasonalMonitor for each metric of kind error and correct; alarm on their mean.
    Promise: as SeasonalMonitor: at least ``every`` answers between alarms on average, *if what was
             usual is still usual to within the tolerance*. An experiment of less than a week knows
             some hours by the mean of the others only.
    Merge:   rates add; detectors as Detector.
    Cost:    O(8) per answer, 168 rates of memory for each metric.
    Source:  evaluator/season.py.
    """

    def __init__(self, metrics: tuple[MetricSpec, ...], every: float, state: ForecastState) -> None:
        """Watch the first metric of each kind in KINDS; none of them if ``metrics`` is empty."""
        known = {one.name: one.season for one in state.forecasts}
        self._every = every
        self.state = state
        self._monitors: dict[str, SeasonalMonitor] = {}
        state.forecasts.clear()
        for kind in KINDS:
            spec = next((m for m in metrics if m.kind == kind and not m.is_one_sample), None)
            if spec is None:
                continue
            question = question_of(spec)
            tolerance = min(0.5, question.margin or question.effect)
            monitor = SeasonalMonitor.fresh(tolerance, every)
            if spec.name in known:
                monitor = SeasonalMonitor(tolerance, every, known[spec.name])
            self._monitors[kind] = monitor
            state.forecasts.append(Forecast(spec.name, kind, monitor.state))

    def begin(self) -> None:
        """Stop learning and start watching."""
        self.state.is_watching = bool(self._monitors)

    def learn(self, kind: str, at_ns: int, is_good: bool) -> None:
        """Take in an answer of the champion; ``at_ns`` is wall-clock time. Not once it watches."""
        monitor = self._monitors.get(kind)
        if monitor is not None and not self.state.is_watching:
            monitor.learn(at_ns / 1e9, not is_good)

    def observe(self, kind: str, at_ns: int, is_good: bool) -> None:
        """Take in an answer of the new champion; nothing is learned from it."""
        monitor = self._monitors.get(kind)
        if monitor is not None and self.state.is_watching:
            monitor.observe(at_ns / 1e9, not is_good, every=self._every * len(self._monitors))

    def reading(self) -> Reading | None:
        """Return what the watch shows; None before it begins."""
        if not self.state.is_watching:
            return None
        detectors = [one.season.detector for one in self.state.forecasts]
        log_m = log_sum_exp([max(d.statistic, -700.0) for d in detectors])
        log_m -= math.log(len(detectors))
        alarmed = [
            one.name for one in self.state.forecasts if one.season.detector.alarm_at is not None
        ]
        is_alarm = bool(alarmed) or log_m >= math.log(self._every)
        n, taught = sum(d.n for d in detectors), self._taught()
        told = f"{self._share(log_m):.0%} of the way to an alarm in {n} answers"
        if is_alarm:
            names = ", ".join(alarmed) or "both"
            told = (
                f"the new champion is worse than the old one was at this hour of the week: {names}"
            )
        told += f"; what is usual was learned from {taught} answers"
        return reading_of(told, is_alarm=is_alarm, log_m=log_m, n=n)

    def merge(self, other: "ForecastMonitor") -> None:
        """Add what another one has learned and watched."""
        for kind, monitor in self._monitors.items():
            monitor.merge(other._monitors[kind], every=self._every * len(self._monitors))

    def _taught(self) -> int:
        """Return from how many answers of the old champion the usual rates were learned."""
        return max((round(one.season.overall.n) for one in self.state.forecasts), default=0)

    def _share(self, log_m: float) -> float:
        """Return how far the mean of the detectors is, 1 at an alarm."""
        return min(1.0, max(0.0, log_m) / math.log(self._every)) if self._every > 1.0 else 1.0
