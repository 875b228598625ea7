"""The challengers of one file share its alpha: each is held to what e-Holm asks of it. Pure.

They are tried one after the other for the champion's place. Promise: that any of them is promoted
although it is no better has a probability of alpha at most, for all the file declares together, and
not alpha for each. Guardrails and harm keep the file's alpha: a promotion needs its objectives
*too*, and a rollback should not wait for the others. Source and proof: ``evaluator/holm.py``.
"""

import math
from collections.abc import Sequence

from controller.policy import RouteIntent
from controller.store import Finished
from evaluator.evidence import Evidence, Role
from evaluator.holm import alpha_beside


def alpha_objective(
    route: RouteIntent, challenger: str, history: Sequence[Finished]
) -> float | None:
    """Return the level of ``challenger``'s objectives beside the others that ``route`` declares;
    None when it has no company. ``history``: rollouts that have ended, the latest last."""
    claims = {ending.challenger: ending.claimed_log_e for ending in history}
    others = [other.name for other in route.challengers if other.name != challenger]
    if not others:
        return None
    log_es = [_known(claims.get(other)) for other in others]
    return alpha_beside(log_es, route.alpha)


def least_claim(evidence: Evidence | None) -> float | None:
    """Return the log e-value of the objective that is shown least surely; None without any."""
    readings = evidence.readings if evidence is not None else ()
    return min((r.log_e for r in readings if r.role is Role.OBJECTIVE), default=None)


def _known(log_e: float | None) -> float:
    """Return 0, the least e-value, for what is not known yet, or ended without a claim."""
    return -math.inf if log_e is None else log_e
