"""A mixture on the effect itself, from sums that estimators leave behind. Pure."""

import math
from collections.abc import Iterable

from evaluator.eprocess.normal import tn_log_e
from evaluator.eprocess.restart import restarted_log_e

SPREAD = 0.5
"""Of the mixture, as a part of the declared effect; statistics: docs/statistics.md."""


def effect_log_e(s: float, v: float, *, is_vague: bool = False) -> float:
    """Return log evidence from S = sum of u and V = sum of u^2, with u on the scale of effects.

    Input:   u = effect * g / variance with E[g] = weight * true effect; so the bet of 1 on u is the
             best one when the true effect is the declared one.
    Null:    E[u | past] <= 0 for every u.
    Process: integral of exp(bet S - bet^2 V / 2) over bet ~ Normal(1, SPREAD^2), bet > 0; when
             nobody declared the effect, over a half-normal one of spread 1.
    Promise: exact for symmetric u; else asymptotic: read it from 100 observations on only.
    Cost:    O(1).
    Source:  as NormalEProcess; several epochs with different variances add on this scale.
    """
    return tn_log_e(s, v, 0.0 if is_vague else 1.0, 1.0 if is_vague else SPREAD)


def restarted_effect_log_e(
    epochs: Iterable[tuple[int, float, float]], *, is_vague: bool = False
) -> float:
    """Return the same, started anew at every epoch: for harm that begins late.

    ``epochs`` are (number, S, V) of each, rising. Weights as in RestartedEProcess.
    """
    since: list[tuple[int, float]] = []
    s = v = 0.0
    for number, more_s, more_v in reversed(list(epochs)):
        s, v = s + more_s, v + more_v
        since.append((number, effect_log_e(s, v, is_vague=is_vague)))
    return restarted_log_e(since[::-1])


def estimate_log_e(
    estimate: float, variance: float, effect: float, *, sign: float = 1.0, shift: float = 0.0
) -> float:
    """Return log evidence that sign * (true effect + shift) is positive, from an estimator.

    Input:   an estimate of an effect with its variance, both of everything seen so far, and the
             effect that is looked for.
    Process: effect_log_e with S = effect * estimate / variance and V = effect^2 / variance: an
             asymptotically normal estimator with independent increments on the scale of
             information 1 / variance behaves as the sum that effect_log_e is about.
    Promise: asymptotic only; nothing in small samples. 0 where the variance is not positive.
    Source:  statistics of group-sequential designs: Jennison & Turnbull (2000), chapter 11.
    """
    if not 0.0 < variance < math.inf:
        return 0.0
    return effect_log_e(sign * effect * (estimate + shift) / variance, effect * effect / variance)
