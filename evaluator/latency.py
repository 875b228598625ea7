"""Is the challenger slower? Compared at the champion's own quantiles. Pure."""

from typing import Any

from msgspec import Struct

from evaluator.binary import BinaryCheck
from evaluator.eprocess.mixture import log_mean
from evaluator.evidence import Role
from evaluator.finding import Finding, milliseconds, percent
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.metric import MetricSpec, is_failed, is_slower
from evaluator.question import Baseline, Question
from evaluator.running import Histogram
from evaluator.tally import BinaryState
from router.observation import Outcome

QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)
"""Harm is looked for at all of these: a shift shows at the middle, a bad tail at the end."""
MIN_LATENCIES = 100
"""Champion's answers before its quantiles are used as thresholds."""
HARM_FACTOR = 1.15
"""Slowdown, beyond the margin, that bets on harm are centred on. Measured against 1.25: one of 10 %
is found 9 % sooner, one of 100 % 5 % later."""
DEFAULT_QUANTILE = 0.95
DEFAULT_MARGIN = 0.1

_PRIOR = Baseline(0.5, 0.5, 0.1, 0.1)


class LatencyState(Struct):
    """All that a LatencyCheck remembers."""

    quantiles: list[float]
    limits_s: list[list[float]]
    """For each epoch the thresholds, one for each quantile; empty until there are some."""
    champion: Histogram
    """Of the champion's answers since its quantiles were last taken."""
    challenger: Histogram
    checks: list[BinaryState]


class LatencyCheck:
    """Compares the shares of slow answers at thresholds taken from the champion's past.

    Null:    claim, at the declared quantile alone: the challenger's latency divided by 1 + margin
             exceeds the champion's earlier quantile at least as often as the champion's does now.
             Harm: at none of the five quantiles it does so more often.
    Process: a BinaryCheck "not slower than the threshold" for each quantile; harm is the plain
             mean of their five e-values, which is one for the intersection of their nulls. The
             claim must not be averaged: one fast quantile would excuse a slow one.
    Promise: as for BinaryCheck; thresholds come from earlier epochs, so before the first roll
             there is no claim and no harm. In shadow mode the copy's own load may slow either.
    Merge:   counts and histograms add.
    Cost:    O(6) per observation.
    Source:  statistics of exceedances; Howard & Ramdas (2022), Bernoulli 28(3) for quantiles.
    """

    def __init__(self, spec: MetricSpec, alpha: float, state: LatencyState) -> None:
        self._margin = _margin(spec)
        self._quantile = DEFAULT_QUANTILE if spec.quantile is None else spec.quantile
        self._alpha = alpha
        self.state = state
        self._checks = [BinaryCheck(_question(), inner) for inner in state.checks]

    @classmethod
    def fresh(cls, spec: MetricSpec, alpha: float, *, is_clustered: bool) -> "LatencyCheck":
        """Return a check that has seen nothing."""
        quantile = DEFAULT_QUANTILE if spec.quantile is None else spec.quantile
        # Bucket sums are large, so clustered units are compared at the declared quantile alone.
        quantiles = [quantile] if is_clustered else sorted({*QUANTILES, quantile})
        states = [
            BinaryCheck.fresh(_question(), is_clustered=is_clustered).state for _ in quantiles
        ]
        state = LatencyState(quantiles, [[]], Histogram({}), Histogram({}), states)
        return cls(spec, alpha, state)

    def learn(self, champion: Outcome) -> None:
        """Take in a champion's answer that proves nothing but tells its latency."""
        if not is_failed(champion):
            self.state.champion.update(champion.latency_s)

    def observe_split(
        self, epoch: int, propensity: float, is_challenger: bool, outcome: Outcome, unit: int
    ) -> None:
        """Take in the answer of one variant, drawn by lot with ``propensity``."""
        self._count(outcome, is_challenger)
        for check, limit_s in zip(self._checks, self.state.limits_s[epoch], strict=False):
            is_good = not is_slower(outcome, limit_s * (1.0 + self._margin * is_challenger))
            check.observe_split(epoch, propensity, is_challenger, is_good, unit)

    def observe_pair(self, epoch: int, champion: Outcome, challenger: Outcome, unit: int) -> None:
        """Take in both answers to one request."""
        self._count(champion, False)
        self._count(challenger, True)
        for check, limit_s in zip(self._checks, self.state.limits_s[epoch], strict=False):
            a_good = not is_slower(champion, limit_s)
            b_good = not is_slower(challenger, limit_s * (1.0 + self._margin))
            check.observe_pair(epoch, a_good, b_good, unit)

    def roll(self) -> None:
        """Begin the next epoch: take the champion's quantiles if it answered often enough."""
        state = self.state
        if state.champion.n < MIN_LATENCIES:
            state.limits_s.append(list(state.limits_s[-1]))
            for check, inner in zip(self._checks, state.checks, strict=True):
                check.roll(inner.baselines[-1])
            return
        limits_s = [state.champion.quantile(q) for q in state.quantiles]
        for check, limit_s in zip(self._checks, limits_s, strict=True):
            check.roll(self._baseline(check, limit_s))
        state.limits_s.append(limits_s)
        state.champion = Histogram({})

    def finding(self) -> Finding:
        """Return the evidence now."""
        state, i = self.state, self.state.quantiles.index(self._quantile)
        if not state.limits_s[-1] and not any(check.n() for check in self._checks):
            told = (
                f"{state.champion.n} of {MIN_LATENCIES} answers of the champion measured; "
                "its quantiles become the thresholds at the next epoch"
            )
            return Finding(0.0, 0.0, told, 0, is_blind=True)
        check = self._checks[i]
        harms = [
            inner.harm_log_e()
            for inner, q in zip(self._checks, state.quantiles, strict=True)
            if q in QUANTILES or len(self._checks) == 1
        ]
        return Finding(
            log_e=check.claim_log_e(),
            log_e_harm=log_mean(harms),
            told=self._told(check, i),
            n=check.n(),
            interval=check.interval(self._alpha),
            growth=check.growth(),
        )

    def merge(self, other: "LatencyCheck") -> None:
        """Add another check's counts; ValueError if its thresholds differ."""
        if self.state.limits_s != other.state.limits_s:
            raise ValueError("epochs with different thresholds cannot be merged")
        self.state.champion.merge(other.state.champion)
        self.state.challenger.merge(other.state.challenger)
        for mine, theirs in zip(self._checks, other._checks, strict=True):
            mine.merge(theirs)

    def _count(self, outcome: Outcome, is_challenger: bool) -> None:
        if is_challenger and not is_failed(outcome):
            self.state.challenger.update(outcome.latency_s)
        elif not is_challenger:
            self.learn(outcome)

    def _baseline(self, check: BinaryCheck, limit_s: float) -> Baseline:
        """Return what to expect at a threshold, from the champion's own histogram."""
        champion = self.state.champion
        slow = (champion.share_above(limit_s) * champion.n + 0.5) / (champion.n + 1.0)
        # A challenger just as fast, with its latency divided by 1 + margin, is slow less often.
        gain = slow - champion.share_above(limit_s * (1.0 + self._margin))
        loss = champion.share_above(limit_s / HARM_FACTOR) - slow
        discordance = check.state.discordant.estimate(2.0 * slow * (1.0 - slow), 20.0)
        least = 0.1 * slow
        return Baseline(1.0 - slow, discordance, max(gain, least), max(loss, least))

    def _told(self, check: BinaryCheck, i: int) -> str:
        a, n_a, b, n_b = check.goods()
        limits_s = self.state.limits_s[-1]
        limit = f"the champion's p{100.0 * self._quantile:g}"
        if limits_s:
            limit += f" ({milliseconds(limits_s[i])})"
        allowed = f" with {percent(self._margin)} allowed" if self._margin else ""
        return f"slower than {limit}: challenger {_slow(b, n_b)}{allowed}, champion {_slow(a, n_a)}"


class SlowCheck(Check):
    """kind latency: seconds to the whole answer, at once."""

    STATE = LatencyState

    def __init__(self, spec: MetricSpec, how: How, state: LatencyState | None):
        super().__init__(spec, how)
        self._check = (
            LatencyCheck.fresh(spec, how.alpha, is_clustered=how.is_clustered)
            if state is None
            else LatencyCheck(spec, how.alpha, state)
        )

    def learn(self, champion: Outcome, fields: dict[str, Any]) -> None:
        """Measure a champion's answer."""
        self._check.learn(champion)

    def split(self, seen: Assigned) -> None:
        """Measure an answer; a challenger that was not asked has no latency."""
        if not seen.is_resting:
            self._check.observe_split(
                seen.epoch, seen.propensity, seen.is_challenger, seen.outcome, seen.unit
            )

    def pair(self, seen: Paired) -> None:
        """Measure both answers."""
        self._check.observe_pair(seen.epoch, seen.champion, seen.challenger, seen.unit)

    def roll(self) -> None:
        """Begin the next epoch."""
        self._check.roll()

    def finding(self) -> Finding:
        """Return the evidence now."""
        return self._check.finding()

    def save(self) -> LatencyState:
        """Return the state."""
        return self._check.state

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, SlowCheck)
        self._check.merge(other._check)


def _slow(good: int, n: int) -> str:
    return f"{percent(1.0 - good / n)} of {n}" if n else "none yet"


def _margin(spec: MetricSpec) -> float:
    """Return how much slower is acceptable: nothing for an objective, which must be faster."""
    if spec.role is Role.OBJECTIVE:
        return 0.0
    return DEFAULT_MARGIN if spec.margin is None else spec.margin


def _question() -> Question:
    return Question(
        effect=0.02,
        is_vague=True,
        margin=0.0,
        is_rare=False,
        prior_good=_PRIOR.good,
        prior_discordance=0.1,
        prior_strength=20.0,
    )
