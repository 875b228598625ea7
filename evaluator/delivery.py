"""Was what should have been there really there, and equally for both variants? Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.bounded import BoundedEProcess, Side
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.mixture import log_mean
from evaluator.evidence import CheckState, Reading, Role
from evaluator.finding import odds, percent
from evaluator.lots import Drawn, Lots
from evaluator.metric import ExperimentPlan

MAX_LOST = 0.05
"""Share of mirror copies that may be missing; chosen, as for unreadable answers."""


class DeliveryState(Struct):
    """All that Delivery remembers."""

    answered: list[Drawn]
    labelled: list[Drawn]
    copies: int
    copies_lost: int
    clustered: list[ClusteredEProcess] | None
    """Of what was answered, and labelled."""
    awaited: int = 0
    """Observations whose label matters."""
    refused: int = 0
    """Of these, how many the full store did not keep."""

    @classmethod
    def empty(cls, *, is_clustered: bool) -> "DeliveryState":
        """Return one that has seen nothing."""
        clustered = [ClusteredEProcess.empty(), ClusteredEProcess.empty()] if is_clustered else None
        return cls([], [], 0, 0, clustered)


class Delivery:
    """The built-in check ``delivery``. An alarm reads UNKNOWN: nothing is promoted.

    Null:    of units assigned by lot, whose answer is usable, and whose label came, the challenger
             has the share that it was assigned; and of mirror copies no more than MAX_LOST is
             missing. What our own store refused for want of room is known, not inferred: more than
             MAX_LOST of what should wait for labels reads UNKNOWN, whatever the odds.
    Process: Lots of the answers that arrived and of the labels that came, BoundedEProcess (breach)
             on the copies; their plain mean.
    Promise: a false alarm ever has a probability of alpha_srm at most. It sees *how many* are
             missing, not which: a loss that hits both variants alike, but other requests of each,
             goes unseen.
    Merge:   counts add.
    Cost:    O(1) per observation; reading O(14) per propensity.
    Source:  evaluator/lots.py and evaluator/eprocess/bounded.py.
    """

    def __init__(self, plan: ExperimentPlan, state: DeliveryState) -> None:
        self._alpha = plan.alpha_srm
        self.state = state
        answered, labelled = state.clustered or (None, None)
        self._answered = Lots(state.answered, answered)
        self._labelled = Lots(state.labelled, labelled)

    def answered(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count an answer, to a unit assigned by lot, that entered the comparison."""
        self._answered.count(propensity, is_challenger, unit)

    def labelled(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count a label of such an answer."""
        self._labelled.count(propensity, is_challenger, unit)

    def awaited(self) -> None:
        """Count an observation that is to wait for its label."""
        self.state.awaited += 1

    def refused(self, count: int) -> None:
        """Count those of them that the store had no room for."""
        self.state.refused += count

    def copied(self, is_lost: bool) -> None:
        """Count a request that should have been mirrored."""
        self.state.copies += 1
        self.state.copies_lost += is_lost

    def reading(self) -> Reading:
        """Return whether what should be there is there."""
        state = self.state
        log_es = [self._answered.log_e(), self._labelled.log_e(), self._copies_log_e()]
        log_e = log_mean(log_es)
        n = state.copies + self._answered.n()
        is_short = state.refused > MAX_LOST * state.awaited
        is_off = log_e >= -math.log(self._alpha) or is_short
        if not n and not is_short:
            check, told = CheckState.UNDECIDED, "nothing was to be delivered yet"
        else:
            check = CheckState.UNKNOWN if is_off else CheckState.PASSED
            told = self._told(log_es)
        return Reading(
            check="delivery",
            kind="delivery",
            role=Role.INTEGRITY,
            state=check,
            because=told,
            log_e=log_e,
            alpha=self._alpha,
            n=n,
        )

    def merge(self, other: "Delivery") -> None:
        """Add what another one has counted."""
        self._answered.merge(other._answered)
        self._labelled.merge(other._labelled)
        self.state.copies += other.state.copies
        self.state.copies_lost += other.state.copies_lost
        self.state.awaited += other.state.awaited
        self.state.refused += other.state.refused

    def _copies_log_e(self) -> float:
        process = BoundedEProcess(1.0 - MAX_LOST, Side.BREACH)
        process.update(1.0, self.state.copies - self.state.copies_lost)
        process.update(0.0, self.state.copies_lost)
        return process.log_e

    def _told(self, log_es: list[float]) -> str:
        state, parts = self.state, []
        for lots, name in ((self._answered, "answers"), (self._labelled, "labels")):
            n = lots.n()
            if n:
                share = f"the challenger has {lots.n_challenger()} of {n} {name}"
                parts.append(f"{share}, {lots.due():.0f} were due")
        if state.copies:
            share = percent(state.copies_lost / state.copies)
            parts.append(f"{share} of {state.copies} copies lost, {percent(MAX_LOST)} allowed")
        if state.refused:
            share = percent(state.refused / state.awaited)
            parts.append(
                f"the full store refused {share} of {state.awaited} observations,"
                f" {percent(MAX_LOST)} allowed"
            )
        told = "; ".join(parts)
        if max(log_es) < -math.log(self._alpha):
            return told
        worst = ("answers", "labels", "copies")[log_es.index(max(log_es))]
        return f"{told}: odds {odds(max(log_es))} that {worst} go missing"
