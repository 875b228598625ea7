"""How long will it take? Sample sizes, labels and days before an experiment begins. Pure.

The formula is that of the running checks (``BinaryCheck.growth`` and ``n_expected``): what a plan
says for the declared effect is what the status says when nothing has been observed yet. Simulated
medians and 80 % quantiles lie 2 to 12 % above it (tests/evaluator/test_planning.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluator.binary import BinaryCheck
from evaluator.confseq import n_expected, waiting_factor
from evaluator.question import PAIRED, Baseline, Question, Table
from evaluator.running import Rate
from evaluator.tally import BinaryState

QUANTILES = (0.5, 0.8, 0.95)
DEFAULT_CORRELATION = 0.7
"""Between the two variants' being right, when nobody knows better. Chosen: two versions of one
model usually err on the same requests; 0 is the worst case, of answers with nothing in common."""


@dataclass(frozen=True, slots=True)
class Step:
    """A time at one share."""

    propensity: float
    """P(challenger), or PAIRED for mirrored pairs."""
    least: float
    """Observations that it lasts at least; the last step goes on until there is a decision."""
    per_day: float
    """Observations: pairs, or requests of both variants together."""


@dataclass(frozen=True, slots=True)
class Projection:
    """What one way of running the experiment will take, if the effect is as declared."""

    observations: tuple[float, ...]
    """For each of QUANTILES, the number within which that share of runs has decided."""
    days: tuple[float, ...]
    labels_all: tuple[float, ...]
    labels_differing: tuple[float, ...] | None
    """When only pairs with different answers are labelled; None outside of the shadow."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known or assumed beforehand."""

    question: Question
    baseline: float
    """The champion's rate of good answers, in (0, 1)."""
    discordance: float
    """Share of pairs on which exactly one variant is right, in (0, 1)."""
    alpha: float
    design: float = 1.0
    """By how much requests of one unit, being alike, raise the variance of a sum (>= 1)."""


def discordance_of(baseline: float, effect: float, correlation: float) -> float:
    """Return the share of pairs on which exactly one variant is right.

    ``correlation``: between the two being right, request by request. ValueError if no pair of
    variants with these rates can have it.
    """
    a, b = baseline, baseline + effect
    if not (0.0 < a < 1.0 and 0.0 < b < 1.0):
        raise ValueError(f"rates must be between 0 and 1, got {a!r} and {b!r}")
    both = a * b + correlation * math.sqrt(a * (1.0 - a) * b * (1.0 - b))
    if not max(0.0, a + b - 1.0) <= both <= min(a, b) + 1e-12:
        raise ValueError(f"rates {a:g} and {b:g} cannot have a correlation of {correlation!r}")
    return a + b - 2.0 * both


def design_effect(requests_per_unit: float, icc: float) -> float:
    """Return the factor by which alike requests of one unit raise the variance of a mean.

    ``icc``: the intraclass correlation, in [0, 1]. Source: Kish (1965), Survey Sampling, 5.4.
    """
    if requests_per_unit < 1.0 or not 0.0 <= icc <= 1.0:
        raise ValueError(f"requests per unit {requests_per_unit!r} or ICC {icc!r} out of range")
    return 1.0 + (requests_per_unit - 1.0) * icc


def growth(prospect: Prospect, propensity: float) -> float:
    """Return the mean gain of log evidence per observation, by the shipped check's own formula."""
    q = prospect.question
    baseline = Baseline(prospect.baseline, prospect.discordance, q.effect, q.effect)
    state = BinaryState(
        [baseline], [Table(0, propensity, [0, 0, 0, 0])], Rate(), Rate(), clustered=None
    )
    return BinaryCheck(q, state).growth() / prospect.design


def evidence_needed(alpha: float, quantile: float) -> float:
    """Return growth times observations after which that share of runs has reached 1/alpha.

    ``n_expected`` gives it for 80 %; other quantiles follow from the same inverse Gaussian.
    """
    per_observation = 1e-4  # small, so that rounding up to whole observations does not show
    at_80 = n_expected(0, 0.0, alpha, per_observation)
    assert at_80 is not None, "because the growth is positive"
    threshold = -math.log(alpha)
    scale = waiting_factor(quantile, threshold) / waiting_factor(0.8, threshold)
    return at_80 * per_observation * scale


def project(prospect: Prospect, steps: Sequence[Step], *, wait_days: float = 0.0) -> Projection:
    """Return how long it takes to pass through ``steps``; evidence of all of them adds up.

    Every step before the last lasts as short as it may, also when the evidence is there earlier: a
    promotion comes at the last one. ``wait_days``: how long an observation waits for its label.
    """
    walks = [_walk(prospect, steps, evidence_needed(prospect.alpha, q)) for q in QUANTILES]
    is_shadow = all(step.propensity == PAIRED for step in steps)
    counts = tuple(count for count, _ in walks)
    return Projection(
        observations=counts,
        days=tuple(days + wait_days for _, days in walks),
        labels_all=counts,
        labels_differing=tuple(n * prospect.discordance for n in counts) if is_shadow else None,
    )


def give_up(prospect: Prospect, propensity: float, beta: float) -> float:
    """Return observations within which 80 % of useless challengers are given up.

    The bet "the effect is smaller than declared" grows as fast when there is none as the claim does
    when it is as declared; it stops at 1/beta. Such a stop never promotes, so alpha is untouched.
    """
    return evidence_needed(beta, 0.8) / growth(prospect, propensity)


def _walk(prospect: Prospect, steps: Sequence[Step], needed: float) -> tuple[float, float]:
    """Return observations and days until ``needed`` evidence is there."""
    count = days = 0.0
    for step in steps:
        rate, n = growth(prospect, step.propensity), step.least
        if step is steps[-1]:
            n = max(n, needed / rate if rate > 0.0 else math.inf)
        count, days, needed = count + n, days + n / step.per_day, needed - n * rate
    return count, days
