"""From a measured metric to passed, failed or undecided, with the numbers that say why. Pure."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controller.gates.measured import Measured
from controller.gates.paired import Interval, interval, rows_needed
from controller.gates.report import GateCheck
from evaluator.metric import MetricSpec

POINTS = frozenset(("correct", "error", "agreement", "precision", "recall", "f1", "auc", "latency"))
"""Kinds whose effects are shares, shown in percentage points."""


class Verdict(enum.Enum):
    """What the rows show of one claim."""

    PASSED = "passed"  # it is shown
    FAILED = "failed"  # the contrary is shown
    UNDECIDED = "undecided"  # neither: too few rows for so small a difference
    UNKNOWN = "unknown"  # the rows say nothing of it


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim about one metric on some rows, and how it stands."""

    name: str
    verdict: Verdict
    because: str
    numbers: dict[str, Any]
    lower: float | None = None
    """The effect's lower limit; None if nothing was measured."""

    def check(self, *, undecided_passes: bool = False) -> GateCheck:
        """Return it as the report has it."""
        passed = self.verdict is Verdict.PASSED or (
            undecided_passes and self.verdict is Verdict.UNDECIDED
        )
        numbers = self.numbers | {"verdict": self.verdict.value}
        return GateCheck(self.name, passed, self.because, numbers)


def unknown(name: str, because: str, **numbers: Any) -> Judged:
    """Return that nothing is known."""
    return Judged(name, Verdict.UNKNOWN, because, numbers)


def judge(
    name: str, spec: MetricSpec, measured: Measured, alpha: float, *, p_worse: float | None = None
) -> Judged:
    """Return how a claim stands.

    Passed: "the effect is no more than the bound" is rejected at ``alpha``. Failed: "it is the
    bound or more" is. With ``within`` both sides count. Either is false with probability alpha at
    most, as far as the comparison keeps its promise. ``p_worse`` is the p-value of failing,
    adjusted for how many claims were looked at; its own if there is but one.
    """
    found = measured.comparison
    worse = worse_p(measured) if p_worse is None else p_worse
    good = found.above(measured.bound)
    if measured.ceiling is not None:
        good = max(good, found.below(measured.ceiling))
    limits = interval(found, alpha)
    verdict = Verdict.UNDECIDED
    if good <= alpha:
        verdict = Verdict.PASSED
    elif worse <= alpha:
        verdict = Verdict.FAILED
    is_open = verdict is Verdict.UNDECIDED
    needed = rows_needed(found, measured.bound, limits.lower) if is_open else None
    numbers = _numbers(spec, measured, limits, alpha, good, worse, needed)
    return Judged(
        name, verdict, _because(spec, measured, limits, verdict, needed), numbers, limits.lower
    )


Claim = tuple[str, MetricSpec, Measured | str]
"""A name, the metric, and what was measured, or why nothing was."""


def judge_together(claims: Sequence[Claim], alpha: float) -> list[Judged]:
    """Return how each claim stands when all of them must be true.

    Promise: P(any claim fails although all are true) <= alpha, by Holm's step-down over the
             p-values of failing. A claim passes at ``alpha`` by itself: see slices.py.
    Source:  Holm (1979), Scand. J. Statist. 6, 65-70.
    """
    tested = [found for _, _, found in claims if isinstance(found, Measured)]
    adjusted = iter(holm([worse_p(found) for found in tested]))
    return [
        unknown(name, found, metric=metric.name, kind=metric.kind)
        if isinstance(found, str)
        else judge(name, metric, found, alpha, p_worse=next(adjusted))
        for name, metric, found in claims
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order of the input.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def worse_p(measured: Measured) -> float:
    """Return the p-value of "as good as it has to be": small means that it is not."""
    found = measured.comparison
    worse = found.below(measured.bound)
    return (
        worse
        if measured.ceiling is None
        else min(1.0, 2.0 * min(worse, found.above(measured.ceiling)))
    )


def _numbers(
    spec: MetricSpec,
    measured: Measured,
    limits: Interval,
    alpha: float,
    good: float,
    worse: float,
    needed: int | None,
) -> dict[str, Any]:
    return {
        "metric": spec.name,
        "kind": spec.kind,
        "rows": measured.comparison.n,
        "left_out": measured.left_out,
        "champion": measured.champion,
        "challenger": measured.challenger,
        "effect": limits.effect,
        "lower": limits.lower,
        "upper": limits.upper,
        "must_exceed": measured.bound,
        "alpha": alpha,
        "p_not_shown": good,
        "p_not_worse": worse,
        "rows_needed": needed,
    }


def _because(
    spec: MetricSpec, measured: Measured, limits: Interval, verdict: Verdict, needed: int | None
) -> str:
    alone = measured.champion is None or spec.kind == "latency"
    show = _plain if alone else _signed
    is_share = spec.kind in POINTS
    text = (
        f"{spec.name} {show(limits.effect, is_share)} "
        f"[{show(limits.lower, is_share)}, {show(limits.upper, is_share)}] on "
        f"{measured.comparison.n} rows; must be above {show(measured.bound, is_share)}"
    )
    if verdict is not Verdict.UNDECIDED:
        return text
    if needed is None:
        return f"{text}: it looks worse than that, which these rows do not show either"
    return f"{text}: the golden set is too small, about {needed} rows needed"


def _signed(number: float, is_share: bool) -> str:
    return f"{number * 100:+.2f} points" if is_share else f"{number:+.4g}"


def _plain(number: float, is_share: bool) -> str:
    if not math.isfinite(number):
        return str(number)
    return f"{number * 100:.2f} %" if is_share else f"{number:.4g}"
