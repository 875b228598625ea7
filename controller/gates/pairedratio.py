"""Paired precision, F1 and AUC: numbers of a whole set of rows, not means of rows. Pure.

Recall is a rate among the rows of the class, and is compared as one (pairedrate.py).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from scipy.stats import t as student

from controller.gates.paired import Comparison

PSEUDO = 0.5
"""Rows added to each of the eight cells of the table. Chosen, after Agresti & Min (2005), Stat.
Med. 24, who add as many to a paired table's four: an empty cell claims no certainty."""
LEAST_OF_A_KIND = 5
"""Rows with and without the class, below which nothing is claimed. Chosen."""

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate(Comparison):
    """A difference with a standard error, held against Student's t.

    Promise: alpha as n grows; how far it is kept at 20, 100 and 1,000 rows is measured in
             tests/statistics/test_gate_coverage.py.
    """

    value: float
    error: float
    rows: int
    freedom: int
    """Degrees of freedom of the t."""

    @property
    def n(self) -> int:
        """Rows."""
        return self.rows

    @property
    def effect(self) -> float:
        """The difference on these rows."""
        return self.value

    @property
    def bounds(self) -> tuple[float, float]:
        """All of these numbers lie in [0, 1]."""
        return (-1.0, 1.0)

    def above(self, bound: float) -> float:
        """Return the p-value of "the difference is ``bound`` or less"."""
        return float(student.sf((self.value - bound) / self.error, self.freedom))

    def below(self, bound: float) -> float:
        """Return the p-value of "the difference is ``bound`` or more"."""
        return float(student.cdf((self.value - bound) / self.error, self.freedom))


def precision_difference(truth: Flags, champion: Flags, challenger: Flags) -> Estimate:
    """Return the challenger's precision minus the champion's.

    Input:   three flags a row, shape (n,): is of the class; each model says so.
    Null, as for F1: the difference is a bound or less, or more.
    Assumes: rows drawn independently of each other.
    Method:  delta method on the table of the eight kinds of rows, PSEUDO rows added to each kind;
             as many degrees of freedom as there are rows that the numbers are made of, less one.
    Source:  influence of a row on a ratio as in evaluator/ratio.py, which adds nothing to cells.
    """
    return _delta(truth, champion, challenger, is_f1=False)


def f1_difference(truth: Flags, champion: Flags, challenger: Flags) -> Estimate:
    """Return the challenger's F1 minus the champion's; input and method as for precision."""
    return _delta(truth, champion, challenger, is_f1=True)


def precision(truth: Flags, said: Flags) -> float:
    """Return the share of what was said to be of the class that is; NaN if nothing was."""
    return float((truth & said).sum() / said.sum()) if said.any() else math.nan


def f1(truth: Flags, said: Flags) -> float:
    """Return 2 TP / (2 TP + FP + FN); NaN without a row of the class in truth or answers."""
    all_of = truth.sum() + said.sum()
    return float(2.0 * (truth & said).sum() / all_of) if all_of else math.nan


def _delta(truth: Flags, champion: Flags, challenger: Flags, *, is_f1: bool) -> Estimate:
    cell = truth * 4 + champion * 2 + challenger
    kinds: Floats = np.bincount(cell, minlength=8).astype(np.float64) + PSEUDO
    y, a, b = (np.arange(8) >> shift & 1 for shift in (2, 1, 0))
    one, other = _influence(kinds, y, a, is_f1), _influence(kinds, y, b, is_f1)
    difference = other[1] - one[1]
    error = math.sqrt(float((kinds * difference * difference).sum()))
    concerned = int((champion | challenger | (truth if is_f1 else champion)).sum())
    return Estimate(other[0] - one[0], error, len(truth), max(1, concerned - 1))


def _influence(kinds: Floats, y: Ints, said: Ints, is_f1: bool) -> tuple[float, Floats]:
    """Return a ratio, and by how much one more row of each kind, (8,), would change it."""
    over, under = (2 * y * said, y + said) if is_f1 else (y * said, said)
    below = float((kinds * under).sum())
    ratio = float((kinds * over).sum()) / below
    return ratio, (over - ratio * under) / below


def auc_difference(truth: Flags, champion: Floats, challenger: Floats) -> Estimate:
    """Return the challenger's area under the ROC curve minus the champion's.

    Input:   truth, shape (n,), and each model's score for the class, shape (n,); at least
             LEAST_OF_A_KIND rows with and without the class; ValueError with fewer.
    Null:    the difference is a bound or less, or more.
    Assumes: rows drawn independently of each other.
    Method:  DeLong's variance of the two areas' difference, held against Student's t with the
             smaller class's rows less one as degrees of freedom (DeLong has the normal). The
             variance is taken for at least what one misplaced row of each class in both would give:
             two perfect rankings leave no variance, and no certainty either.
    Cost:    O(n log n).
    Source:  DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44; by ranks: Sun & Xu (2014), IEEE
             Signal Process. Lett. 21(11).
    """
    n_with, n_without = int(truth.sum()), int((~truth).sum())
    if min(n_with, n_without) < LEAST_OF_A_KIND:
        raise ValueError(f"{n_with} rows with the class and {n_without} without")
    (one, with_one, without_one), (other, with_other, without_other) = (
        _placements(truth, scores) for scores in (champion, challenger)
    )
    variance = float(
        (with_other - with_one).var(ddof=1) / n_with
        + (without_other - without_one).var(ddof=1) / n_without
    )
    least = (1.0 / n_with**2 + 1.0 / n_without**2) / 4.0
    error = math.sqrt(max(variance, least))
    return Estimate(other - one, error, len(truth), min(n_with, n_without) - 1)


def auc(truth: Flags, scores: Floats) -> float:
    """Return P(a row of the class scores higher than one without it), ties counted half."""
    return _placements(truth, scores)[0]


def _placements(truth: Flags, scores: Floats) -> tuple[float, Floats, Floats]:
    """Return the area, and for each row the share of the other class on its wrong side's far end.

    (n_with,): the share of rows without the class below it. (n_without,): the share of rows with
    the class above it. Ties count half.
    """
    ranks = rankdata(scores)
    n_with, n_without = int(truth.sum()), int((~truth).sum())
    below = (ranks[truth] - rankdata(scores[truth])) / n_without
    above = 1.0 - (ranks[~truth] - rankdata(scores[~truth])) / n_with
    return float(below.mean()), below, above
