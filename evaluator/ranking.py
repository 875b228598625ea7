"""Kind auc: how well a score ranks one class above the rest. Pure."""

import math
from typing import Any

from msgspec import Struct

from evaluator.delta import NOTHING, Estimate, combined, finding_of
from evaluator.eprocess.clustered import bucket_of
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.finding import Finding
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Check, How
from evaluator.metric import MetricSpec
from evaluator.number import as_number, parsed_text

LEAST_OF_CLASS = 20
"""Cases of the class, and of the rest, for each variant, before the area is read."""
_WIDTH = 0.2
"""Of a bin, in log-odds of the score: 0.50 and 0.55 are told apart, so are 0.990 and 0.992."""
_HALF = 61
BINS = 4 * _HALF
"""Log-odds from -12.2 to 12.2; scores at or below 0 and at or above 1 by their logarithm."""
_BUCKETS = 256

Counts = dict[int, float]


class Lots(Struct):
    """Scores of one propensity, by bin."""

    propensity: float
    counts: list[Counts]
    """Champion's rest, champion's class, challenger's rest, challenger's class."""


class RankingState(Struct):
    """All that a RankingCheck remembers: at most BINS^2 cells of pairs for each class."""

    pairs: list[Counts]
    """Rest, class: by champion's bin * BINS + challenger's bin."""
    lots: list[Lots]
    buckets: dict[int, list[Counts]] | None
    """Clustered: for each bucket of units, four counts of pairs, as in Lots, and four of lots,
    weighted."""
    n: int = 0


class RankingCheck(Check):
    """Compares the area under the ROC curve between the variants.

    Input:   a score at maturity, and whether the label is the declared class. A missing score is
             the worst one there is for its case.
    Null:    claim: the difference of the areas is -margin or less; harm: it is that or more.
    Process: area = P(score of the class > score of the rest) + P(equal) / 2, over scores in 244
             bins. Its variance by DeLong: a case's placement is the share of the other class that
             it beats; the variance of the difference is that of the placements' differences (within
             a pair) over the number of cases, summed over both classes. estimate_log_e on it.
             Lots are weighted as in RatioCheck.
    Promise: asymptotic: read from 100 cases on, 20 of each class and variant. Harm is not started
             anew at epochs: what a ranking was long ago still counts. Bins shrink differences
             of areas a little, for both variants alike.
    Merge:   counts add.
    Cost:    O(1) per case; reading O(cells), remembered until something changes.
    Source:  DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3).
    """

    STATE = RankingState

    def __init__(self, spec: MetricSpec, how: How, state: RankingState | None):
        super().__init__(spec, how)
        fresh = RankingState([{}, {}], [], {} if how.is_clustered else None)
        self._state = fresh if state is None else state
        self._index = {lots.propensity: lots for lots in self._state.lots}
        self._seen: tuple[int, Finding] | None = None

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Count a labelled case."""
        champion, challenger = judgable.champion, judgable.challenger
        if label is None or judgable.mode is Mode.HISTORY:
            return False
        if any(answer is not None and answer.is_cut for answer in (champion, challenger)):
            return False
        y = label == self.spec.positive
        a, b = (self._bin(answer, y) for answer in (champion, challenger))
        if judgable.mode is Mode.PAIR:
            _add(self._state.pairs[y], a * BINS + b, 1.0)
            self._bucket(judgable.unit, [(y, a, 1.0), (2 + y, b, 1.0)])
        else:
            pi, is_challenger = judgable.propensity, judgable.is_challenger
            cell, score = 2 * is_challenger + y, b if is_challenger else a
            _add(self._lots(pi).counts[cell], score, 1.0)
            self._bucket(judgable.unit, [(4 + cell, score, _weight(pi, is_challenger))])
        self._state.n += 1
        return True

    def finding(self) -> Finding:
        """Return the evidence now."""
        if self._seen is None or self._seen[0] != self._state.n:
            self._seen = (self._state.n, self._finding())
        return self._seen[1]

    def save(self) -> RankingState:
        """Return the state."""
        return self._state

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, RankingCheck)
        for mine, theirs in zip(self._state.pairs, other._state.pairs, strict=True):
            _add_all(mine, theirs)
        for lots in other._state.lots:
            for mine, theirs in zip(self._lots(lots.propensity).counts, lots.counts, strict=True):
                _add_all(mine, theirs)
        for bucket, sides in (other._state.buckets or {}).items():
            for mine, theirs in zip(self._of(bucket), sides, strict=True):
                _add_all(mine, theirs)
        self._state.n += other._state.n
        self._seen = None

    def _finding(self) -> Finding:
        whole = combined([self._of_pairs(), self._of_lots()])
        if not whole.variance > 0.0:
            told = f"{self._state.n} labelled scores, too few of a class to compare yet"
            return Finding(0.0, 0.0, told, self._state.n, is_blind=True)
        return finding_of(self.spec, self.how.alpha, whole, lambda: [(0, whole)])

    def _of_pairs(self) -> Estimate:
        rest, cases = self._state.pairs
        one = [_side(counts, lambda key: key // BINS) for counts in (rest, cases)]
        other = [_side(counts, lambda key: key % BINS) for counts in (rest, cases)]
        sizes = [math.fsum(counts.values()) for counts in (rest, cases)]
        if min(sizes) < LEAST_OF_CLASS or sum(sizes) < MIN_OBSERVATIONS:
            return NOTHING
        a, b = _Area(*one), _Area(*other)
        variance = 0.0
        for counts, place_a, place_b, size in (
            (rest, a.of_rest, b.of_rest, sizes[0]),
            (cases, a.of_cases, b.of_cases, sizes[1]),
        ):
            effect = b.area - a.area
            squares = math.fsum(
                n * (place_b[key % BINS] - place_a[key // BINS] - effect) ** 2
                for key, n in counts.items()
            )
            # As if one more case had gone wholly the other way: few that differ say little.
            variance += (squares + 1.0) / (size * size)
        return self._with_buckets(a, b, variance, round(sum(sizes)), 0)

    def _of_lots(self) -> Estimate:
        sums: list[Counts] = [{}, {}, {}, {}]
        squares: list[Counts] = [{}, {}, {}, {}]
        sizes = [0.0] * 4
        for lots in self._state.lots:
            for cell, counts in enumerate(lots.counts):
                weight = _weight(lots.propensity, cell >= 2)
                sizes[cell] += math.fsum(counts.values())
                _add_all(sums[cell], counts, weight)
                _add_all(squares[cell], counts, weight * weight)
        if min(sizes) < LEAST_OF_CLASS or sum(sizes) < MIN_OBSERVATIONS:
            return NOTHING
        a, b = _Area(sums[0], sums[1]), _Area(sums[2], sums[3])
        variance = math.fsum(
            math.fsum(w * (place[key] - area.area) ** 2 for key, w in squares[cell].items())
            / math.fsum(sums[cell].values()) ** 2
            for cell, area, place in (
                (0, a, a.of_rest),
                (1, a, a.of_cases),
                (2, b, b.of_rest),
                (3, b, b.of_cases),
            )
        )
        return self._with_buckets(a, b, variance, round(sum(sizes)), 4)

    def _with_buckets(
        self, a: "_Area", b: "_Area", variance: float, n: int, offset: int
    ) -> Estimate:
        """Return the estimate, its variance from bucket sums where units are clustered."""
        if self._state.buckets is None:
            return Estimate(a.area, b.area, variance, n)
        sides = (
            (0, a.of_rest, -1.0, a),
            (1, a.of_cases, -1.0, a),
            (2, b.of_rest, 1.0, b),
            (3, b.of_cases, 1.0, b),
        )
        totals = [
            math.fsum(math.fsum(counts[offset + i].values()) for counts in self._buckets())
            for i in range(4)
        ]
        filled = [c for c in self._buckets() if any(c[offset + i] for i in range(4))]
        if len(filled) < MIN_OBSERVATIONS:
            return NOTHING
        sums = [
            math.fsum(
                sign * w * (place[key] - area.area) / totals[i]
                for i, place, sign, area in sides
                for key, w in counts[offset + i].items()
            )
            for counts in filled
        ]
        return Estimate(a.area, b.area, max(variance, math.fsum(s * s for s in sums)), n)

    def _buckets(self) -> list[list[Counts]]:
        return list((self._state.buckets or {}).values())

    def _bin(self, answer: Answer | None, is_case: bool) -> int:
        if answer is None or answer.is_failed:
            score = None
        elif self.spec.value is None:
            score = as_number(parsed_text(answer.prediction))
        else:
            score = as_number(answer.fields.get(self.spec.value))
        if score is None:
            return 0 if is_case else BINS - 1
        return bin_of_score(score)

    def _bucket(self, unit: int, adds: list[tuple[int, int, float]]) -> None:
        if self._state.buckets is not None:
            sides = self._of(bucket_of(unit) % _BUCKETS)
            for side, score, weight in adds:
                _add(sides[side], score, weight)

    def _of(self, bucket: int) -> list[Counts]:
        assert self._state.buckets is not None
        return self._state.buckets.setdefault(bucket, [{} for _ in range(8)])

    def _lots(self, propensity: float) -> Lots:
        lots = self._index.get(propensity)
        if lots is None:
            if not 0.0 < propensity < 1.0:
                raise ValueError(f"propensity must be in (0, 1), got {propensity!r}")
            lots = self._index[propensity] = Lots(propensity, [{}, {}, {}, {}])
            self._state.lots.append(lots)
        return lots


class _Area:
    """The area of one variant, and each bin's placement among the other class."""

    def __init__(self, rest: Counts, cases: Counts) -> None:
        self.of_cases = _shares_below(rest)
        self.of_rest = [1.0 - share for share in _shares_below(cases)]
        size = math.fsum(cases.values())
        self.area = math.fsum(n * self.of_cases[key] for key, n in cases.items()) / size


def _shares_below(counts: Counts) -> list[float]:
    """Return for each bin the share of ``counts`` below it, and half of those in it."""
    total, below, shares = math.fsum(counts.values()), 0.0, []
    for key in range(BINS):
        here = counts.get(key, 0.0)
        shares.append((below + 0.5 * here) / total)
        below += here
    return shares


def bin_of_score(score: float) -> int:
    """Return the bin of a finite score; a larger score is never in a lower bin."""
    if score <= 0.0:
        size = math.log1p(min(-score, 1e12))
        return max(1, _HALF - 1 - math.ceil(2.0 * size))
    if score >= 1.0:
        return min(BINS - 2, 3 * _HALF + 1 + math.floor(2.0 * math.log(min(score, 1e12))))
    if score < 1e-300:
        return _HALF
    odds = math.log(score) - math.log1p(-score)
    return 2 * _HALF + max(-_HALF, min(_HALF, math.floor(odds / _WIDTH)))


def _side(counts: Counts, of: Any) -> Counts:
    out: Counts = {}
    for key, n in counts.items():
        _add(out, of(key), n)
    return out


def _add(counts: Counts, key: int, n: float) -> None:
    counts[key] = counts.get(key, 0.0) + n


def _add_all(mine: Counts, theirs: Counts, weight: float = 1.0) -> None:
    for key, n in theirs.items():
        _add(mine, key, weight * n)


def _weight(propensity: float, is_challenger: bool) -> float:
    return 1.0 - propensity if is_challenger else propensity
