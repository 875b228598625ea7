"""What an estimator with a variance says about a metric: shared by ratios and rankings. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluator.confseq import Interval, normal_interval
from evaluator.eprocess.effect import estimate_log_e
from evaluator.eprocess.restart import restarted_log_e
from evaluator.evidence import Role
from evaluator.finding import Finding, percent, points
from evaluator.metric import MetricSpec

DEFAULT_EFFECT = 0.02


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect, challenger minus champion, from everything seen."""

    champion: float
    challenger: float
    variance: float
    """Of the difference."""
    n: int

    @property
    def effect(self) -> float:
        """The difference."""
        return self.challenger - self.champion


NOTHING = Estimate(0.0, 0.0, 0.0, 0)


def combined(parts: Sequence[Estimate]) -> Estimate:
    """Return independent estimates of one effect, weighted by their information."""
    known = [part for part in parts if part.variance > 0.0]
    if len(known) < 2:
        return known[0] if known else NOTHING
    information = [1.0 / part.variance for part in known]
    total = math.fsum(information)
    weights = [i / total for i in information]
    return Estimate(
        math.fsum(w * part.champion for w, part in zip(weights, known, strict=True)),
        math.fsum(w * part.challenger for w, part in zip(weights, known, strict=True)),
        1.0 / total,
        sum(part.n for part in known),
    )


def finding_of(
    spec: MetricSpec, alpha: float, whole: Estimate, since: Callable[[], list[tuple[int, Estimate]]]
) -> Finding:
    """Return the evidence about ``whole``.

    ``since`` gives, for each epoch with observations, its number and what was seen from it on:
    harm may begin late, and its copies have the weights of RestartedEProcess.
    """
    margin = 0.0 if spec.role is Role.OBJECTIVE else (spec.margin or 0.0)
    effect = spec.detect or margin or DEFAULT_EFFECT
    futile = 0.0
    if spec.detect is not None:
        futile = estimate_log_e(whole.effect, whole.variance, effect, sign=-1.0, shift=-spec.detect)
    interval = _interval(whole, effect, alpha)
    growth = 0.5 * effect * effect / whole.variance / whole.n if whole.variance > 0.0 else 0.0
    return Finding(
        log_e=estimate_log_e(whole.effect, whole.variance, effect, shift=margin),
        log_e_harm=_harm(since(), effect, margin),
        told=_told(spec, whole, interval),
        n=whole.n,
        interval=interval,
        growth=growth,
        log_e_futile=futile,
    )


def _harm(since: list[tuple[int, Estimate]], effect: float, margin: float) -> float:
    return restarted_log_e(
        [
            (number, estimate_log_e(part.effect, part.variance, effect, sign=-1.0, shift=margin))
            for number, part in since
        ]
    )


def _interval(whole: Estimate, effect: float, alpha: float) -> Interval | None:
    if not whole.variance > 0.0:
        return None
    information = 1.0 / whole.variance
    return normal_interval(
        whole.effect * information, information, information, detect=effect, alpha=alpha
    )


def _told(spec: MetricSpec, whole: Estimate, interval: Interval | None) -> str:
    shares = f"challenger {percent(whole.challenger)}, champion {percent(whole.champion)}"
    told = f"{spec.kind} of {spec.positive}: {shares} in {whole.n} labelled answers"
    if interval is not None:
        ends = f"between {points(interval.low)} and {points(interval.high)}"
        told += f" ({points(interval.effect)} points, {ends})"
    return told
