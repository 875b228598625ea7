"""Kinds precision, recall and f1 of one class. Pure."""

import math

from msgspec import Struct

from evaluator.delta import NOTHING, Estimate, combined, finding_of
from evaluator.eprocess.clustered import BUCKETS, bucket_of
from evaluator.eprocess.normal import MIN_OBSERVATIONS
from evaluator.finding import Finding
from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Check, How, Paired
from evaluator.metric import MetricSpec
from evaluator.rates import CorrectCheck, CorrectState

PAIRED = -1.0
LEAST_POSITIVE = 20.0
"""Cases that a ratio is about (its denominator), for each variant, before it is read."""
PRUDENCE = 1.5
"""The variance is never below that of so many cases turned over: few that differ say little."""

# A cell of pairs is 4 y + 2 a + b: is the label positive, is each variant's prediction. A cell of
# lots is 4 is_challenger + 2 y + prediction.
CELLS = 8


class RatioTable(Struct):
    """Counts of one epoch at one propensity."""

    epoch: int
    propensity: float
    counts: list[int]


class RatioState(Struct):
    """All that a RatioCheck remembers."""

    tables: list[RatioTable]
    buckets: list[list[float]] | None
    """Clustered: for each bucket of units the 8 cells of pairs and the 8 weighted ones of lots."""
    n: int = 0


class RatioCheck(Check):
    """Compares precision or F1 between the variants.

    Input:   label and prediction(s) at maturity: is each the declared class?
    Null:    claim: the difference of the ratios is -margin or less; harm: it is that or more.
    Process: ratio R = sum of num / sum of den; by the delta method its influence of a case is
             (num - R den) / sum of den, and the variance of the difference the sum of the squared
             influences (of both variants together within a pair). estimate_log_e on it. Lots count
             1 - pi (challenger) or pi (champion), so that both variants stand for the same
             traffic through every change of the share.
    Promise: asymptotic: read from 100 cases on, 20 of them positive on each side; measured error
             rates are in docs/statistics.md. Clustered: influences are summed per bucket first.
    Merge:   counts add.
    Cost:    O(1) per case, O(8) per table to read (O(1024) clustered).
    Source:  delta method for ratios, van der Vaart (1998), chapter 3; F1 = 2 TP / (2 TP + FP + FN).
    """

    STATE = RatioState

    def __init__(self, spec: MetricSpec, how: How, state: RatioState | None):
        super().__init__(spec, how)
        buckets = [[0.0] * (2 * CELLS) for _ in range(BUCKETS)] if how.is_clustered else None
        self._state = RatioState([], buckets) if state is None else state
        self._index = {(t.epoch, t.propensity): t for t in self._state.tables}
        self._seen: tuple[int, Finding] | None = None

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Count a labelled case."""
        champion, challenger = judgable.champion, judgable.challenger
        if label is None or judgable.mode is Mode.HISTORY:
            return False
        if any(answer is not None and answer.is_cut for answer in (champion, challenger)):
            return False
        y, is_pair = label == self.spec.positive, judgable.mode is Mode.PAIR
        a, b = self._is_positive(champion), self._is_positive(challenger)
        is_challenger = judgable.is_challenger
        pi = PAIRED if is_pair else judgable.propensity
        cell = (
            4 * y + 2 * a + b
            if is_pair
            else 4 * is_challenger + 2 * y + (b if is_challenger else a)
        )
        self._table(epoch if is_pair else judgable.epoch, pi).counts[cell] += 1
        self._state.n += 1
        if self._state.buckets is not None:
            sums = self._state.buckets[bucket_of(judgable.unit)]
            sums[cell if is_pair else CELLS + cell] += _weight(pi, is_challenger)
        return True

    def finding(self) -> Finding:
        """Return the evidence now."""
        if self._seen is not None and self._seen[0] == self._state.n:
            return self._seen[1]
        finding = self._finding()
        self._seen = (self._state.n, finding)
        return finding

    def save(self) -> RatioState:
        """Return the state."""
        return self._state

    def merge(self, other: Check) -> None:
        """Add another one's counts."""
        assert isinstance(other, RatioCheck)
        for theirs in other._state.tables:
            counts = self._table(theirs.epoch, theirs.propensity).counts
            counts[:] = [a + b for a, b in zip(counts, theirs.counts, strict=True)]
        self._state.n += other._state.n
        self._seen = None
        if self._state.buckets is not None and other._state.buckets is not None:
            self._state.buckets = [
                [a + b for a, b in zip(mine, theirs, strict=True)]
                for mine, theirs in zip(self._state.buckets, other._state.buckets, strict=True)
            ]

    def _finding(self) -> Finding:
        n = self._state.n
        whole = self._estimate(self._state.tables)
        if not whole.variance > 0.0:
            told = f"{n} labelled answers, too few of class {self.spec.positive} to compare yet"
            return Finding(0.0, 0.0, told, n, is_blind=True)
        return finding_of(self.spec, self.how.alpha, whole, self._since)

    def _since(self) -> list[tuple[int, Estimate]]:
        if self._state.buckets is not None:  # their sums know no epochs
            return [(0, self._estimate(self._state.tables))]
        epochs = sorted({t.epoch for t in self._state.tables})
        return [
            (number, self._estimate([t for t in self._state.tables if t.epoch >= number]))
            for number in epochs
        ]

    def _estimate(self, tables: list[RatioTable]) -> Estimate:
        pairs, lots, raw, squares = ([0.0] * CELLS for _ in range(4))
        for table in tables:
            for cell, count in enumerate(table.counts):
                if table.propensity == PAIRED:
                    pairs[cell] += count
                else:
                    weight = _weight(table.propensity, cell >= 4)
                    raw[cell] += count
                    lots[cell] += weight * count
                    squares[cell] += weight * weight * count
        return combined([self._of_pairs(pairs), self._of_lots(lots, squares, raw)])

    def _of_pairs(self, cells: list[float]) -> Estimate:
        a, b = ([(n, c >= 4, bool(c & bit)) for c, n in enumerate(cells)] for bit in (2, 1))
        if not self._are_enough(cells, a, b):
            return NOTHING
        one, other = self._ratio(a), self._ratio(b)
        influence = [
            self._influence(other, c >= 4, bool(c & 1)) - self._influence(one, c >= 4, bool(c & 2))
            for c in range(CELLS)
        ]
        sums = [bucket[:CELLS] for bucket in self._state.buckets or []]
        return _estimate_of(one, other, influence, cells, math.fsum(cells), sums)

    def _of_lots(self, cells: list[float], squares: list[float], raw: list[float]) -> Estimate:
        a, b, raw_a, raw_b = (
            [(n, bool(c & 2), bool(c & 1)) for c, n in enumerate(half)]
            for half in (cells[:4], cells[4:], raw[:4], raw[4:])
        )
        if not self._are_enough(raw, raw_a, raw_b):
            return NOTHING
        one, other = self._ratio(a), self._ratio(b)
        influence = [-self._influence(one, y, p) for _, y, p in a]
        influence += [self._influence(other, y, p) for _, y, p in b]
        sums = [bucket[CELLS:] for bucket in self._state.buckets or []]
        return _estimate_of(one, other, influence, squares, math.fsum(raw), sums)

    def _are_enough(self, cells: list[float], *sides: list[tuple[float, bool, bool]]) -> bool:
        if math.fsum(cells) < MIN_OBSERVATIONS:
            return False
        return all(
            math.fsum(n * self._den(y, p) for n, y, p in side) >= LEAST_POSITIVE for side in sides
        )

    def _ratio(self, cells: list[tuple[float, bool, bool]]) -> tuple[float, float]:
        """Return the ratio and its denominator."""
        num = math.fsum(count * self._num(y, p) for count, y, p in cells)
        den = math.fsum(count * self._den(y, p) for count, y, p in cells)
        return num / den, den

    def _influence(self, ratio: tuple[float, float], y: bool, predicted: bool) -> float:
        value, den = ratio
        return (self._num(y, predicted) - value * self._den(y, predicted)) / den

    def _num(self, y: bool, predicted: bool) -> float:
        return (2.0 if self.spec.kind == "f1" else 1.0) * (y and predicted)

    def _den(self, y: bool, predicted: bool) -> float:
        return float(y + predicted) if self.spec.kind == "f1" else float(predicted)

    def _is_positive(self, answer: Answer | None) -> bool:
        return (
            answer is not None and not answer.is_failed and answer.prediction == self.spec.positive
        )

    def _table(self, epoch: int, propensity: float) -> RatioTable:
        table = self._index.get((epoch, propensity))
        if table is None:
            table = self._index[epoch, propensity] = RatioTable(epoch, propensity, [0] * CELLS)
            self._state.tables.append(table)
        return table


class RecallCheck(CorrectCheck):
    """kind recall: of the answers whose label is the class, how many say so? Exact, as correct.

    What pairs say without labels is of no use: they may differ in the class and agree elsewhere.
    """

    STATE = CorrectState

    def pair(self, seen: Paired) -> None:
        """Wait for the label."""

    def judge(self, judgable: Judgable, label: str | None, epoch: int) -> bool:
        """Count a case of the class."""
        if label != self.spec.positive:
            return False
        return super().judge(judgable, label, epoch)


def _weight(propensity: float, is_challenger: bool) -> float:
    if propensity == PAIRED:
        return 1.0
    return 1.0 - propensity if is_challenger else propensity


def _estimate_of(
    a: tuple[float, float],
    b: tuple[float, float],
    influence: list[float],
    squares: list[float],
    n: float,
    buckets: list[list[float]],
) -> Estimate:
    variance = math.fsum(w * i * i for w, i in zip(squares, influence, strict=True))
    mean_square = math.fsum(squares) / n  # of a case's weight: 1 for pairs
    variance += (PRUDENCE / min(a[1], b[1])) ** 2 * mean_square
    if buckets:
        filled = [cells for cells in buckets if any(cells)]
        if len(filled) < MIN_OBSERVATIONS:
            return NOTHING
        sums = [math.fsum(c * i for c, i in zip(cells, influence, strict=True)) for cells in filled]
        variance = max(variance, math.fsum(s * s for s in sums))
    return Estimate(a[0], b[0], variance, round(n))
