"""How many exposures a canary step needs before its share may rise. Pure."""

import math

from router.table import BUCKETS

USUAL_ERROR_RATE = 0.002
"""The champion's error rate that the rule assumes (docs/statistics.md, error guardrail)."""
CATASTROPHE = 50.0
"""The challenger's error rate as a multiple of it: one answer in ten fails."""
FLOOR = 20
"""Never fewer challenger exposures than this: at a share of 1 % the rule gives 22."""
MAX_SHARE = 0.99
"""Above this the champion serves too few for a comparison; the rule stays finite."""


def least_exposures(*, share_buckets: int, alpha: float) -> int:
    """Return the challenger exposures after which a catastrophe would have been seen.

    Event:  a sequential test at level ``alpha`` of "an error is the challenger's with probability
            ``share``" has stopped, when its error rate is CATASTROPHE times the champion's.
    Number: 90 % of such tests stop within 2.0 * a / KL requests, a = log(1 / alpha), KL the
            divergence per request (inverse Gaussian approximation of the SPRT's stopping time);
            of these requests the challenger serves ``share``.
    Source: Wald (1947), Sequential Analysis; the quantile 2.0 is the inverse Gaussian's at a = 3.
    """
    if not 0 < share_buckets <= BUCKETS:
        raise ValueError(f"share_buckets must be in 1..{BUCKETS}, got {share_buckets}")
    share = min(share_buckets / BUCKETS, MAX_SHARE)
    excess = 1.0 - share + share * CATASTROPHE
    seen = share * CATASTROPHE / excess  # P(challenger | error) under the catastrophe
    divergence = seen * math.log(seen / share) + (1 - seen) * math.log((1 - seen) / (1 - share))
    per_request = USUAL_ERROR_RATE * excess * divergence
    requests = 2.0 * math.log(1.0 / alpha) / per_request
    return max(FLOOR, math.ceil(requests * share))
