"""Do both variants give the same answer often enough? Pairs only. Pure."""

import math

from msgspec import Struct

from evaluator.confseq import Interval, invert
from evaluator.eprocess.bounded import BoundedEProcess, Side
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.finding import Finding, percent
from evaluator.kind import Check, How, Paired
from evaluator.metric import MetricSpec

DEFAULT_TARGET = 0.9
_CLOSEST = 1e-4
"""A target of 0 or 1 cannot be shown by any number of pairs; it is read as this far from it."""


class AgreementState(Struct):
    """All that an AgreementCheck remembers."""

    n: int
    agreed: int
    clustered: ClusteredEProcess | None


class AgreementCheck:
    """Compares the share of pairs that agree with a declared number.

    Null:    claim: P(agree | past) <= at_least for every pair; breach: >= at_least.
    Process: BoundedEProcess on both sides; with clustered units ClusteredEProcess on their sums.
    Promise: as theirs.
    Merge:   counts add.
    Cost:    O(1) per pair.
    Source:  evaluator/eprocess/bounded.py.
    """

    def __init__(self, spec: MetricSpec, alpha: float, state: AgreementState) -> None:
        target = DEFAULT_TARGET if spec.at_least is None else spec.at_least
        self._target = min(max(target, _CLOSEST), 1.0 - _CLOSEST)
        self._alpha = alpha
        self.state = state
        self._interval_at: tuple[int, int, Interval] | None = None

    @classmethod
    def fresh(cls, spec: MetricSpec, alpha: float, *, is_clustered: bool) -> "AgreementCheck":
        """Return a check that has seen nothing."""
        clustered = ClusteredEProcess.empty() if is_clustered else None
        return cls(spec, alpha, AgreementState(0, 0, clustered))

    def observe(self, is_agreed: bool, unit: int) -> None:
        """Take in one pair."""
        self.state.n += 1
        self.state.agreed += is_agreed
        if self.state.clustered is not None:
            variance = self._target * (1.0 - self._target)
            self.state.clustered.update(unit, (is_agreed - self._target) / variance, 1.0 / variance)

    def finding(self) -> Finding:
        """Return the evidence now."""
        n, agreed = self.state.n, self.state.agreed
        if self.state.clustered is not None:
            effect = 0.5 * (1.0 - self._target)
            claim = self.state.clustered.claim_log_e(effect, 0.0)
            breach = self.state.clustered.harm_log_e(effect, 0.0)
        else:
            claim = self._log_e(self._target, Side.CLAIM)
            breach = self._log_e(self._target, Side.BREACH)
        share = f"{percent(agreed / n)} of {n} pairs agree" if n else "no pair to compare yet"
        told = f"{share}, at least {percent(self._target)} wanted"
        return Finding(claim, breach, told, n, self._interval(), self._growth())

    def merge(self, other: "AgreementCheck") -> None:
        """Add another check's counts."""
        self.state.n += other.state.n
        self.state.agreed += other.state.agreed
        if self.state.clustered is not None and other.state.clustered is not None:
            self.state.clustered.merge(other.state.clustered)

    def _log_e(self, target: float, side: Side) -> float:
        process = BoundedEProcess(target, side)
        process.update(1.0, self.state.agreed)
        process.update(0.0, self.state.n - self.state.agreed)
        return process.log_e

    def _interval(self) -> Interval | None:
        """Return agreement minus target, the ends by inversion: exact for independent pairs."""
        n = self.state.n
        if n == 0 or self.state.clustered is not None:
            return None
        if self._interval_at is not None and self._interval_at[:2] == (n, self.state.agreed):
            return self._interval_at[2]
        mean, limit = self.state.agreed / n, math.log(2.0 / self._alpha)
        inside = min(max(mean, 1e-6), 1.0 - 1e-6)
        low = invert(lambda x: self._log_e(x, Side.CLAIM), inside, 1e-6, limit)
        high = invert(lambda x: self._log_e(x, Side.BREACH), inside, 1.0 - 1e-6, limit)
        interval = Interval(mean - self._target, low - self._target, high - self._target)
        self._interval_at = (n, self.state.agreed, interval)
        return interval

    def _growth(self) -> float:
        """Return the mean gain per pair if half of the allowed disagreement is real."""
        allowed = 1.0 - self._target
        q = 1.0 - 0.5 * allowed
        up = math.log(q / self._target)
        down = math.log((1.0 - q) / allowed)
        return q * up + (1.0 - q) * down


class AgreesCheck(Check):
    """kind agreement: both answers of a pair are equal."""

    STATE = AgreementState

    def __init__(self, spec: MetricSpec, how: How, state: AgreementState | None):
        super().__init__(spec, how)
        self._check = (
            AgreementCheck.fresh(spec, how.alpha, is_clustered=how.is_clustered)
            if state is None
            else AgreementCheck(spec, how.alpha, state)
        )

    def pair(self, seen: Paired) -> None:
        """Compare both answers, where that can be done."""
        if seen.is_agreed is not None:
            self._check.observe(seen.is_agreed, seen.unit)

    def finding(self) -> Finding:
        """Return the evidence now."""
        return self._check.finding()

    def save(self) -> AgreementState:
        """Return the state."""
        return self._check.state

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, AgreesCheck)
        self._check.merge(other._check)
