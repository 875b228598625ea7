"""Is the evidence itself sound: the split as asked, and the answers readable? Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.evidence import CheckState, Reading, Role
from evaluator.finding import percent
from evaluator.lots import Drawn, Lots
from evaluator.metric import ExperimentPlan

LEAST_READ = 20
"""Answers of a variant before its share of unreadable ones is judged."""


class IntegrityState(Struct):
    """All that Integrity remembers."""

    assignments: list[Drawn]
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
        self._lots = Lots(state.assignments, state.clustered)

    def assigned(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count who a unit was given to, whatever became of the request."""
        self._lots.count(propensity, is_challenger, unit)

    def read(self, is_challenger: bool, is_readable: bool) -> None:
        """Count whether a 2xx answer had a readable prediction."""
        self.state.read[2 * is_challenger + (not is_readable)] += 1

    def srm_reading(self) -> Reading:
        """Return whether units are shared out as the table says."""
        plan = self._plan
        n, log_e = self._lots.n(), self._lots.log_e()
        if not n:
            state, told = CheckState.UNDECIDED, "no unit was assigned by lot yet"
        else:
            is_off = log_e >= -math.log(plan.alpha_srm)
            state = CheckState.UNKNOWN if is_off else CheckState.PASSED
            verdict = "which chance does not explain" if is_off else "as asked"
            told = (
                f"the challenger got {self._lots.n_challenger()} of {n} exposures,"
                f" {self._lots.due():.0f} were due: {verdict}"
            )
        return Reading(
            check="srm",
            kind="srm",
            role=Role.INTEGRITY,
            state=state,
            because=told,
            log_e=log_e,
            alpha=plan.alpha_srm,
            n=n,
        )

    def readable_reading(self, *, is_needed: bool) -> Reading:
        """Return whether predictions can be read from enough answers of both variants."""
        state, told, n = self._readable(is_needed)
        return Reading(
            check="readable", kind="readable", role=Role.INTEGRITY, state=state, because=told, n=n
        )

    def merge(self, other: "Integrity") -> None:
        """Add what another one has counted."""
        self._lots.merge(other._lots)
        self.state.read = [a + b for a, b in zip(self.state.read, other.state.read, strict=True)]

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
        if (n_b if self._plan.is_alone else min(n_a, n_b)) < LEAST_READ:
            return CheckState.UNDECIDED, told, n
        return CheckState.PASSED, told, n
