"""Paired numbers: by how much the challenger's are better on the same rows, in the mean. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from controller.gates.paired import Comparison

REACH = 60.0
"""Standard errors around the mean in which a limit is looked for. Chosen: with two rows and a level
of 1 % it is at 32."""

RARE = 3.0
"""Rows that could still differ when none was seen to: of n rows at most 3 / n do so with 95 %
certainty (the rule of three, Hanley & Lippman-Hand 1983, JAMA 249)."""


@dataclass(frozen=True, eq=False)
class Mean(Comparison):
    """The mean of numbers, one a row: a difference, or the challenger's own number.

    Input:   values, shape (n,), n >= 2, in the metric's unit, larger is better; ``spread``, the
             standard deviation of one model's own numbers.
    Null:    the mean is bound or less (``above``), or more (``below``).
    Assumes: rows drawn independently of each other, with a finite third moment.
    Method:  the t-statistic with its skewness taken out by Hall's cubic, which is monotone, held
             against Student's t with n - 1 degrees of freedom (Hall has the normal: ours is wider
             for few rows). The variance is taken for at least RARE * spread^2 / n, as if so many
             rows in n differed by one ``spread``: models that agree on every row seen may differ on
             the next.
    Promise: alpha, with an error that goes with 1 / n for skewed numbers (1 / sqrt(n) without the
             cubic). Nothing for numbers so heavy-tailed that the rows seen hold none of the large
             ones; there a declared ``range`` or more rows help.
    Cost:    O(n) once, then O(1).
    Source:  Hall (1992), J. R. Statist. Soc. B 54(1), 221-228, g_2 with a = 1/3, b = 1/6.
    """

    values: NDArray[np.float64]
    spread: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or len(self.values) < 2:
            raise ValueError(f"values must be two or more, got shape {self.values.shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("a value is not finite")

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.values)

    @cached_property
    def effect(self) -> float:
        """The mean."""
        return float(self.values.mean())

    @cached_property
    def error(self) -> float:
        """The standard error of the mean."""
        own = float(self.values.std(ddof=1))
        return math.sqrt(max(own * own, RARE * self.spread**2 / self.n) / self.n)

    @cached_property
    def skewness(self) -> float:
        """Of the values; 0 when they do not differ, or not by more than ``spread`` allows for."""
        centred = self.values - self.effect
        scale = self.error * math.sqrt(self.n)
        return 0.0 if scale == 0.0 else float((centred**3).mean()) / scale**3

    @property
    def bounds(self) -> tuple[float, float]:
        """As far as a limit can be."""
        return (self.effect - REACH * self.error, self.effect + REACH * self.error)

    def above(self, bound: float) -> float:
        """Return the p-value of "the mean is ``bound`` or less"."""
        return float(student.sf(self._statistic(bound), self.n - 1))

    def below(self, bound: float) -> float:
        """Return the p-value of "the mean is ``bound`` or more"."""
        return float(student.cdf(self._statistic(bound), self.n - 1))

    def _statistic(self, bound: float) -> float:
        if self.error == 0.0:  # no number differs from another, and no spread is known
            return 0.0 if self.effect == bound else math.copysign(math.inf, self.effect - bound)
        t = (self.effect - bound) / self.error
        g, root = self.skewness, math.sqrt(self.n)
        return t + g / root * (t * t / 3.0 + 1.0 / 6.0) + g * g / self.n * t**3 / 27.0


def mean_difference(champion: Sequence[float], challenger: Sequence[float], sign: float) -> Mean:
    """Return the comparison of two numbers a row; ``sign`` is -1 where lower is better."""
    one, other = np.asarray(champion, float), np.asarray(challenger, float)
    if one.shape != other.shape:
        raise ValueError(f"{one.shape} and {other.shape} numbers are no pairs")
    spread = float(one.std(ddof=1)) if len(one) > 1 else 0.0
    return Mean(sign * (other - one), spread)
