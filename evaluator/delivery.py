"""Was what should have been there really there, and equally for both variants? Pure."""

import math

from msgspec import Struct

from evaluator.eprocess.bounded import BoundedEProcess, Side
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.mixture import log_mean
from evaluator.evidence import CheckState, Reading, Role
from evaluator.finding import odds, percent
from evaluator.metric import ExperimentPlan
from evaluator.srm import SrmEProcess, two_sided

MAX_LOST = 0.05
"""Share of mirror copies that may be missing; chosen, as for unreadable answers."""
CLUSTERED_TILT = 0.1
"""Log-odds of a mismatch that bets on bucket sums are made for, as for the split itself."""


class Delivered(Struct):
    """What arrived under one propensity, by variant."""

    propensity: float
    champion: int = 0
    challenger: int = 0


class DeliveryState(Struct):
    """All that Delivery remembers."""

    answered: list[Delivered]
    labelled: list[Delivered]
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
    Process: SrmEProcess on the answers that arrived and on the labels that came, BoundedEProcess
             (breach) on the copies; their plain mean. Clustered units: as for ``srm``.
    Promise: a false alarm ever has a probability of alpha_srm at most. It sees *how many* are
             missing, not which: a loss that hits both variants alike, but other requests of each,
             goes unseen.
    Merge:   counts add.
    Cost:    O(1) per observation; reading O(14) per propensity.
    Source:  evaluator/srm.py and evaluator/eprocess/bounded.py.
    """

    def __init__(self, plan: ExperimentPlan, state: DeliveryState) -> None:
        self._alpha = plan.alpha_srm
        self.state = state

    def answered(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count an answer, to a unit assigned by lot, that entered the comparison."""
        self._count(0, propensity, is_challenger, unit)

    def labelled(self, propensity: float, is_challenger: bool, unit: int) -> None:
        """Count a label of such an answer."""
        self._count(1, propensity, is_challenger, unit)

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
        log_es = [self._share_log_e(0), self._share_log_e(1), self._copies_log_e()]
        log_e = log_mean(log_es)
        n = state.copies + sum(d.champion + d.challenger for d in state.answered)
        is_short = state.refused > MAX_LOST * state.awaited
        is_off = log_e >= -math.log(self._alpha) or is_short
        if not n:
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
        for mine, theirs in (
            (self.state.answered, other.state.answered),
            (self.state.labelled, other.state.labelled),
        ):
            for more in theirs:
                kept = _of(mine, more.propensity)
                kept.champion += more.champion
                kept.challenger += more.challenger
        self.state.copies += other.state.copies
        self.state.copies_lost += other.state.copies_lost
        self.state.awaited += other.state.awaited
        self.state.refused += other.state.refused
        for one, two in zip(self.state.clustered or [], other.state.clustered or [], strict=True):
            one.merge(two)

    def _count(self, which: int, propensity: float, is_challenger: bool, unit: int) -> None:
        counts = _of((self.state.answered, self.state.labelled)[which], propensity)
        if is_challenger:
            counts.challenger += 1
        else:
            counts.champion += 1
        if self.state.clustered is not None:
            weight = propensity * (1.0 - propensity)
            self.state.clustered[which].update(unit, is_challenger - propensity, weight)

    def _share_log_e(self, which: int) -> float:
        if self.state.clustered is not None:
            clustered = self.state.clustered[which]
            return two_sided(
                clustered.claim_log_e(CLUSTERED_TILT, 0.0),
                clustered.harm_log_e(CLUSTERED_TILT, 0.0),
            )
        process = SrmEProcess()
        for d in (self.state.answered, self.state.labelled)[which]:
            process.update(d.propensity, d.champion, d.challenger)
        return process.log_e

    def _copies_log_e(self) -> float:
        process = BoundedEProcess(1.0 - MAX_LOST, Side.BREACH)
        process.update(1.0, self.state.copies - self.state.copies_lost)
        process.update(0.0, self.state.copies_lost)
        return process.log_e

    def _told(self, log_es: list[float]) -> str:
        state, parts = self.state, []
        for counts, name in ((state.answered, "answers"), (state.labelled, "labels")):
            n_b, n = (sum(d.challenger for d in counts), sum(d.champion for d in counts))
            n += n_b
            if n:
                due = math.fsum(d.propensity * (d.champion + d.challenger) for d in counts)
                parts.append(f"the challenger has {n_b} of {n} {name}, {due:.0f} were due")
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


def _of(counts: list[Delivered], propensity: float) -> Delivered:
    """Return the counts of one propensity, made if there are none; there are few."""
    for one in counts:
        if one.propensity == propensity:
            return one
    counts.append(Delivered(propensity))
    return counts[-1]
