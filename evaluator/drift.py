"""Kind drift: does a score lie where the champion's lies, and where that lay before? Pure.

It needs no label, so it is what a score can say while labels are waited for.
"""

from typing import Any

from msgspec import Struct

from evaluator.binary import BinaryCheck
from evaluator.eprocess.mixture import log_mean
from evaluator.finding import Finding, odds, percent
from evaluator.kind import Assigned, Check, How, Paired
from evaluator.metric import MetricSpec, is_failed
from evaluator.number import as_number
from evaluator.past import Past, PastState
from evaluator.question import Baseline, Question
from evaluator.running import SignedHistogram
from evaluator.tally import BinaryState
from router.observation import Outcome

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Of the champion's scores in the epoch before: where both are compared."""
MIN_SCORES = 100
"""Champion's scores before its quantiles are used as thresholds."""
DEFAULT_AT_MOST = 0.1


class DriftState(Struct):
    """All that a DriftCheck remembers."""

    limits: list[list[float]]
    """For each epoch the thresholds; empty until there are some."""
    champion: SignedHistogram
    """Its scores since its quantiles were last taken."""
    checks: list[BinaryState]
    """Two for each quantile: "at most the threshold", and "above it"."""
    past: PastState
    shares: list[list[int]]
    """For each quantile (champion below, all, challenger below, all), for people."""
    missing: list[int]
    """Answers without a score there, by variant (champion, challenger)."""


class DriftCheck(Check):
    """Compares the distribution of a score between the variants; warns when the champion's moves.

    Input:   a number in the answer. None where one should be is on neither side of a threshold.
    Null:    claim: somewhere the shares of scores at most x differ by ``at_most`` or more; breach:
             at none of five thresholds they differ by more. The thresholds are the champion's
             quantiles of the epoch before.
    Process: ten BinaryChecks with that margin, two for each threshold. The claim is the least of
             their e-values (intersection-union, at these thresholds), the breach their plain mean.
             Beside it Past on the champion's own scores, which is told and decides nothing: inputs
             that change move both variants, and the comparison stays fair.
    Promise: exact at any time, as BinaryCheck; no claim and no breach before the first epoch with
             100 scores of the champion has ended. A distance between the thresholds is not seen.
    Cost:    O(10) per answer.
    Source:  the largest distance of two distribution functions (Kolmogorov & Smirnov), at points
             fixed in advance; evaluator/binary.py, evaluator/past.py.
    """

    STATE = DriftState

    def __init__(self, spec: MetricSpec, how: How, state: DriftState | None):
        super().__init__(spec, how)
        self._path = (spec.value if spec.value is not None else how.prediction) or ""
        at_most = DEFAULT_AT_MOST if spec.at_most is None else spec.at_most
        self._question = Question(
            effect=at_most,
            is_vague=False,
            margin=at_most,
            is_rare=False,
            prior_good=0.5,
            prior_discordance=0.2,
            prior_strength=20.0,
        )
        if state is None:
            copies = [
                BinaryCheck.fresh(self._question, is_clustered=how.is_clustered).state
                for _ in range(2 * len(QUANTILES))
            ]
            counts = [[0, 0, 0, 0] for _ in QUANTILES]
            state = DriftState([[]], SignedHistogram({}), copies, PastState.empty(), counts, [0, 0])
        self._state = state
        self._checks = [BinaryCheck(self._question, inner) for inner in state.checks]
        self._past = Past(state.past)

    def learn(self, champion: Outcome, fields: dict[str, Any]) -> None:
        """Measure a champion's answer that was not drawn by lot."""
        if not is_failed(champion):
            self._learn(as_number(fields.get(self._path)))

    def split(self, seen: Assigned) -> None:
        """Measure an answer drawn by lot."""
        if seen.is_cut:
            return
        score = None if seen.is_resting else self._score(seen.outcome, seen.fields)
        self._count(score, seen.is_challenger)
        for check, is_good in self._asked(seen.epoch, score):
            check.observe_split(seen.epoch, seen.propensity, seen.is_challenger, is_good, seen.unit)

    def pair(self, seen: Paired) -> None:
        """Measure both answers."""
        if seen.is_cut:
            return
        one = self._score(seen.champion, seen.champion_fields)
        other = self._score(seen.challenger, seen.challenger_fields)
        self._count(one, False)
        self._count(other, True)
        asked = zip(self._asked(seen.epoch, one), self._asked(seen.epoch, other), strict=True)
        for (check, a_good), (_, b_good) in asked:
            check.observe_pair(seen.epoch, a_good, b_good, seen.unit)

    def roll(self) -> None:
        """Begin the next epoch: take the champion's quantiles if it gave enough scores."""
        state = self._state
        if state.champion.n < MIN_SCORES:
            state.limits.append(list(state.limits[-1]))
            for check, inner in zip(self._checks, state.checks, strict=True):
                check.roll(inner.baselines[-1])
            return
        state.limits.append([state.champion.quantile(q) for q in QUANTILES])
        for index, check in enumerate(self._checks):
            below = QUANTILES[index // 2]
            good = below if index % 2 == 0 else 1.0 - below
            prior = good * (1.0 - good)  # half of that of independent answers
            discordance = check.state.discordant.estimate(prior, 20.0)
            margin = self._question.margin
            check.roll(Baseline(good, discordance, margin, margin))
        state.champion = SignedHistogram({})

    def finding(self) -> Finding:
        """Return the evidence now."""
        state = self._state
        n = max(check.n() for check in self._checks)
        past = self._past.log_e()
        told = f"the champion's against its own past: odds {odds(past)} that they moved"
        if not n:
            seen = f"{state.champion.n} of {MIN_SCORES} scores of the champion seen"
            return Finding(0.0, 0.0, f"{seen}; {told}", 0, is_blind=True)
        apart, at = max((self._apart(i), QUANTILES[i]) for i in range(len(QUANTILES)))
        first = (
            f"scores {percent(apart)} apart at the champion's p{100 * at:g}, where they are most,"
            f" at most {percent(self._question.margin)} wanted"
        )
        if any(state.missing):
            first += f"; no score in {state.missing[1]} and {state.missing[0]} answers"
        return Finding(
            log_e=min(check.claim_log_e() for check in self._checks),
            log_e_harm=log_mean([check.harm_log_e() for check in self._checks]),
            told=f"{first}; {told}",
            n=n,
            growth=min(check.growth() for check in self._checks),
        )

    def save(self) -> DriftState:
        """Return the state."""
        return self._state

    def merge(self, other: Check) -> None:
        """Add another one's counts; ValueError if its thresholds differ. The champion's past stays
        this one's: its numbers have an order, and two orders make none."""
        assert isinstance(other, DriftCheck)
        mine, theirs = self._state, other._state
        if mine.limits != theirs.limits:
            raise ValueError("epochs with different thresholds cannot be merged")
        mine.champion.merge(theirs.champion)
        for one, another in zip(self._checks, other._checks, strict=True):
            one.merge(another)
        for one_row, other_row in zip(mine.shares, theirs.shares, strict=True):
            one_row[:] = [a + b for a, b in zip(one_row, other_row, strict=True)]
        mine.missing[:] = [a + b for a, b in zip(mine.missing, theirs.missing, strict=True)]

    def _score(self, outcome: Outcome, fields: dict[str, Any]) -> float | None:
        return None if is_failed(outcome) else as_number(fields.get(self._path))

    def _count(self, score: float | None, is_challenger: bool) -> None:
        if score is None:
            self._state.missing[is_challenger] += 1
        elif not is_challenger:
            self._learn(score)
        side = 2 * is_challenger
        limits = self._state.limits[-1]
        for row, limit in zip(self._state.shares, limits, strict=False):
            row[side] += score is not None and score <= limit
            row[side + 1] += 1

    def _learn(self, score: float | None) -> None:
        if score is not None:
            self._state.champion.update(score)
            self._past.observe(score, len(self._state.limits) - 1)

    def _asked(self, epoch: int, score: float | None) -> list[tuple[BinaryCheck, bool]]:
        """Return each check with whether ``score`` is on its side; none without thresholds."""
        asked = []
        for index, limit in enumerate(self._state.limits[epoch]):
            below, above = self._checks[2 * index : 2 * index + 2]
            asked.append((below, score is not None and score <= limit))
            asked.append((above, score is not None and score > limit))
        return asked

    def _apart(self, index: int) -> float:
        a, n_a, b, n_b = self._state.shares[index]
        return abs(b / n_b - a / n_a) if n_a and n_b else 0.0
