"""Is the evidence itself sound: the split as asked, and the answers readable? Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.evidence import CheckState, Reading, Role
from evaluator.finding import percent
from evaluator.metric import ExperimentPlan
from evaluator.srm import SrmEProcess, two_sided

LEAST_READ = 20
"""Answers of a variant before its share of unreadable ones is judged."""
CLUSTERED_TILT = 0.1
"""Log-odds of a mismatch that bets on bucket sums are made for."""


class Assignments(Struct):
    """Exposures under one propensity."""

    propensity: float
    champion: int = 0
    challenger: int = 0


class IntegrityState(Struct):
    """All that Integrity remembers."""

    assignments: list[Assignments]
    read: list[int]
    """Champion readable, unreadable, challenger readable, unreadable."""
    clustered: ClusteredEProcess | None

    @classmethod
    def empty(cls, *, is_clustered: bool) -> "IntegrityState":
        """Return one that has seen nothing."""
        return cls([], [0, 0, 0, 0], ClusteredEProcess.empty() if is_clustered else None)


class Integrity:
    """The built-in checks ``srm`` and ``readable``. An alarm reads UNKNOWN: nothing is promoted."""

    def __init__(self, plan: ExperimentPlan, state: IntegrityState) -> None:
        self._plan = plan
        self.state = state
        self._index = {a.propensity: a for a in state.assignments}

    def assigned(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count who a unit was given to, whatever became of the request."""
        counts = self._index.get(propensity)
        if counts is None:
            counts = self._index[propensity] = Assignments(propensity)
            self.state.assignments.append(counts)
        if is_challenger:
            counts.challenger += 1
        else:
            counts.champion += 1
        if self.state.clustered is not None:
            weight = propensity * (1.0 - propensity)
            self.state.clustered.update(unit, is_challenger - propensity, weight)

    def read(self, is_challenger: bool, is_readable: bool) -> None:
        """Count whether a 2xx answer had a readable prediction."""
        self.state.read[2 * is_challenger + (not is_readable)] += 1

    def srm_reading(self) -> Reading:
        """Return whether units are shared out as the table says."""
        plan = self._plan
        n_a = sum(a.champion for a in self.state.assignments)
        n_b = sum(a.challenger for a in self.state.assignments)
        log_e = self._srm_log_e()
        if not n_a + n_b:
            state, told = CheckState.UNDECIDED, "no unit was assigned by lot yet"
        else:
            wanted = math.fsum(
                a.propensity * (a.champion + a.challenger) for a in self.state.assignments
            )
            is_off = log_e >= -math.log(plan.alpha_srm)
            state = CheckState.UNKNOWN if is_off else CheckState.PASSED
            verdict = "which chance does not explain" if is_off else "as asked"
            told = (
                f"the challenger got {n_b} of {n_a + n_b} exposures,"
                f" {wanted:.0f} were due: {verdict}"
            )
        return Reading(
            check="srm",
            kind="srm",
            role=Role.INTEGRITY,
            state=state,
            because=told,
            log_e=log_e,
            alpha=plan.alpha_srm,
            n=n_a + n_b,
        )

    def readable_reading(self, *, is_needed: bool) -> Reading:
        """Return whether predictions can be read from enough answers of both variants."""
        state, told, n = self._readable(is_needed)
        return Reading(
            check="readable", kind="readable", role=Role.INTEGRITY, state=state, because=told, n=n
        )

    def merge(self, other: "Integrity") -> None:
        """Add what another one has counted."""
        for theirs in other.state.assignments:
            mine = self._index.get(theirs.propensity)
            if mine is None:
                mine = self._index[theirs.propensity] = Assignments(theirs.propensity)
                self.state.assignments.append(mine)
            mine.champion += theirs.champion
            mine.challenger += theirs.challenger
        self.state.read = [a + b for a, b in zip(self.state.read, other.state.read, strict=True)]
        if self.state.clustered is not None and other.state.clustered is not None:
            self.state.clustered.merge(other.state.clustered)

    def _srm_log_e(self) -> float:
        clustered = self.state.clustered
        if clustered is not None:
            return two_sided(
                clustered.claim_log_e(CLUSTERED_TILT, 0.0),
                clustered.harm_log_e(CLUSTERED_TILT, 0.0),
            )
        process = SrmEProcess()
        for a in self.state.assignments:
            process.update(a.propensity, a.champion, a.challenger)
        return process.log_e

    def _readable(self, is_needed: bool) -> tuple[CheckState, str, int]:
        if not is_needed:
            return CheckState.PASSED, "no metric reads predictions", 0
        good_a, bad_a, good_b, bad_b = self.state.read
        n_a, n_b, n = good_a + bad_a, good_b + bad_b, sum(self.state.read)
        told = (
            f"unreadable answers: challenger {bad_b} of {n_b}, champion {bad_a} of {n_a},"
            f" at most {percent(self._plan.max_unreadable)}"
        )
        if any(
            total >= LEAST_READ and bad > self._plan.max_unreadable * total
            for bad, total in ((bad_a, n_a), (bad_b, n_b))
        ):
            return CheckState.UNKNOWN, told, n
        if min(n_a, n_b) < LEAST_READ:
            return CheckState.UNDECIDED, told, n
        return CheckState.PASSED, told, n
