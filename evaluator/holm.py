"""Several challengers for one place: what must each show, so that alpha holds for all? Pure."""

import math
from collections.abc import Mapping, Sequence

from evaluator.eprocess.mixture import log_sum_exp


def passed(log_es: Mapping[str, float], alpha: float) -> frozenset[str]:
    """Return the names whose null falls, with P(any of them falsely) <= alpha.

    Input:   log e-values of any number of nulls, all *at one common time* and from what was seen
             by then: the present values of their e-processes.
    Null:    those that are true; any of them, in any number.
    Process: a name passes when the mean of the e-values of every set of names that holds it is
             1/alpha or more (closed testing with arithmetic means). The hardest sets for a name
             are it and the j least of the others, so K sets are looked at for each.
    Promise: the family-wise error rate is at most alpha whatever the dependence, at a time chosen
             in any way. Not for running maxima: the largest values ever seen are no e-values
             together.
    Cost:    O(K^2).
    Source:  e-Holm: Vovk & Wang (2021), Ann. Statist. 49(3), as analysed by Hartog & Lei (2025),
             arXiv 2501.09015; why not maxima: Tavyrikov, Goeman & de Heide (2025), arXiv
             2501.19360.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if any(math.isnan(log_e) for log_e in log_es.values()):
        raise ValueError("an e-value is not a number")
    return frozenset(name for name in log_es if _worst_mean(log_es, name) >= -math.log(alpha))


def alpha_beside(others: Sequence[float], alpha: float) -> float:
    """Return the level at which one more null falls, beside others whose log e-values stand.

    Input:   the log e-value of each other null of the family, as it will be when all have ended,
             or less: -inf for one that is not known yet, or that ended without a claim.
    Process: the new null passes e-Holm among them as soon as its e-value is one over the result.
    Promise: the family-wise error rate of all of them is at most alpha, at the one time when the
             last has ended: an e-process that was stopped keeps its value until then, and one that
             counted as 0 only makes every mean larger when it turns out to be more.
    Cost:    K nulls without a claim yet: alpha / K, log(K / alpha) / log(1 / alpha) as many
             observations. Each that was claimed with room to spare makes it alpha / (K - 1), ...
    Source:  ``passed``, solved for one of its names.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if not others:
        return alpha
    needed, total = 1.0 / alpha, 0.0
    for j, log_e in enumerate(sorted(others), start=1):
        total += math.exp(min(log_e, 700.0))
        needed = max(needed, (j + 1.0) / alpha - total)
    return 1.0 / needed


def _worst_mean(log_es: Mapping[str, float], name: str) -> float:
    """Return the log of the least mean over all sets that hold ``name``."""
    others = sorted(log_e for other, log_e in log_es.items() if other != name)
    return min(
        log_sum_exp([log_es[name], *others[:j]]) - math.log(j + 1.0) for j in range(len(others) + 1)
    )
