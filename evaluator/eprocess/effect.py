"""A mixture on the effect itself, from sums that estimators leave behind. Pure."""

import math
from collections.abc import Iterable

from evaluator.eprocess.mixture import log_sum_exp
from evaluator.eprocess.normal import tn_log_e

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
    known = list(epochs)
    if not known:
        return 0.0
    terms = [-math.log(known[-1][0] + 2.0)]  # the copies that start later
    s = v = 0.0
    for i in range(len(known) - 1, -1, -1):
        number, more_s, more_v = known[i]
        s, v = s + more_s, v + more_v
        before = known[i - 1][0] if i else -1
        weight = 1.0 / (before + 2.0) - 1.0 / (number + 2.0)
        terms.append(math.log(weight) + effect_log_e(s, v, is_vague=is_vague))
    return log_sum_exp(terms)
