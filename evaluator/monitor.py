"""After a promotion: is the new champion getting worse than the old one it left behind? Pure.

The holdback is what it is compared with: units that stay with the old champion for a while. Both
see the same day and the same traffic, so seasons raise no alarm.
"""

import math

from msgspec import Struct

from evaluator.eprocess.detector import Detector
from evaluator.eprocess.mixture import grid_bets, log_sum_exp, log_weights
from evaluator.eprocess.relative_risk import LOG_WEIGHTS, harm_bets
from evaluator.evidence import CheckState, Reading, Role
from evaluator.metric import MetricSpec
from evaluator.question import Question, cell_values
from evaluator.rates import correct_question, error_question
from evaluator.running import Rate

KINDS = ("error", "correct")
"""Metrics that are watched; those of the plan, at most one of each kind."""


class Watched(Struct):
    """One metric under watch."""

    name: str
    kind: str
    detector: Detector
    champion: Rate
    """Good answers of the old champion: what m is made from."""
    effect: float


class MonitorState(Struct):
    """All that a Monitor remembers; empty before the watch begins."""

    watched: list[Watched]


class Monitor:
    """The built-in check ``monitor``: reads TRIPPED when a detector raises its alarm.

    Null:    at no request is the new champion worse than the old one in the holdback.
    Process: a Detector for each metric of kind error (bets on ratios of failures) and correct (13
             bets around ``detect``), on h = -(A - pi)(good - m); alarm on their mean.
    Promise: without harm, at least ``every`` requests pass between alarms on average; see Detector.
    Merge:   as Detector.
    Cost:    O(13) per request.
    Source:  evaluator/eprocess/detector.py.
    """

    def __init__(self, every: float, state: MonitorState) -> None:
        if not 1.0 <= every < math.inf:
            raise ValueError(f"requests between false alarms must be 1 or more, got {every!r}")
        self._every = every
        self.state = state
        self._bets: dict[tuple[str, float, bool], tuple[tuple[float, ...], ...]] = {}

    def begin(self, metrics: tuple[MetricSpec, ...]) -> None:
        """Start watching; nothing happens if that was done already."""
        if self.state.watched:
            return
        for kind in KINDS:
            spec = next((m for m in metrics if m.kind == kind and not m.is_one_sample), None)
            if spec is not None:
                self.state.watched.append(_watched(spec))

    def observe(self, kind: str, propensity: float, is_challenger: bool, is_good: bool) -> None:
        """Take in one answer; ``is_challenger`` is the new champion here."""
        for one in self.state.watched:
            if one.kind == kind:
                cell = 2 * is_challenger + is_good
                factors = self._factors(one, propensity)[cell]
                one.detector.update(factors, self._every * len(self.state.watched))
                if not is_challenger:
                    one.champion.update(is_good)

    def roll(self) -> None:
        """Begin the next epoch: bets from the old champion's rate so far."""
        self._bets.clear()
        for one in self.state.watched:
            one.champion.decay()

    def reading(self) -> Reading | None:
        """Return what the watch shows; None before it begins."""
        watched = self.state.watched
        if not watched:
            return None
        log_m = log_sum_exp([max(one.detector.statistic, -700.0) for one in watched])
        log_m -= math.log(len(watched))
        alarmed = [one.name for one in watched if one.detector.alarm_at is not None]
        is_alarm = bool(alarmed) or log_m >= math.log(self._every)
        n = sum(one.detector.n for one in watched)
        share = max(0.0, log_m) / math.log(self._every) if self._every > 1.0 else 1.0
        told = f"{min(1.0, share):.0%} of the way to an alarm in {n} answers"
        if is_alarm:
            told = f"the new champion got worse than the holdback: {', '.join(alarmed) or 'both'}"
        told += f"; a false alarm is due every {self._every:g} requests at most"
        return reading_of(told, is_alarm=is_alarm, log_m=log_m, n=n)

    def merge(self, other: "Monitor") -> None:
        """Add what another one has watched."""
        for mine, theirs in zip(self.state.watched, other.state.watched, strict=True):
            mine.detector.merge(theirs.detector, self._every * len(self.state.watched))
            mine.champion.merge(theirs.champion)

    def _factors(self, one: Watched, propensity: float) -> tuple[tuple[float, ...], ...]:
        """Return the log factors of every cell, fixed until the next epoch."""
        key = (one.name, propensity, True)
        found = self._bets.get(key)
        if found is None:
            found = self._bets[key] = _log_factors(one, propensity)
        return found


def reading_of(told: str, *, is_alarm: bool, log_m: float, n: int) -> Reading:
    """Return the check ``monitor``: ``log_m`` is the log of the detectors' mean after n answers."""
    return Reading(
        check="monitor",
        kind="monitor",
        role=Role.INTEGRITY,
        state=CheckState.TRIPPED if is_alarm else CheckState.PASSED,
        because=told,
        log_e_harm=max(log_m, -700.0),
        n=n,
    )


def _watched(spec: MetricSpec) -> Watched:
    question = question_of(spec)
    weights = LOG_WEIGHTS if question.is_rare else log_weights(is_vague=True)
    detector = Detector.empty(weights)
    return Watched(spec.name, spec.kind, detector, Rate(), question.effect)


def question_of(spec: MetricSpec) -> Question:
    """Return what is asked about a metric of one of KINDS."""
    return error_question(spec) if spec.kind == "error" else correct_question(spec)


def _log_factors(one: Watched, propensity: float) -> tuple[tuple[float, ...], ...]:
    is_rare = one.kind == "error"
    good = 1.0 if is_rare else one.champion.estimate(0.5, 10.0)
    values = [-h for h in cell_values(propensity, good, 0.0, None)]
    if is_rare:
        bets = harm_bets(propensity, 0.0)
    else:
        variance = max(1e-6, good * (1.0 - good))
        bets = grid_bets(one.effect, variance, min(values))
    return tuple(tuple(math.log1p(bet * h) for bet in bets) for h in values)
