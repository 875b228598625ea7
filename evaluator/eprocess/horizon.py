"""A test with an end: more power until then, nothing after. Pure."""

import math
from collections.abc import Mapping

from evaluator.eprocess.normal import log_ndtr

GIVEN_UP = -50.0
"""Log evidence when the horizon has passed without a decision: it will not come any more."""


def horizon_log_e(s: float, v: float, v_end: float, alpha: float) -> float:
    """Return log evidence that h has a positive mean, if it is to be decided by ``v_end``.

    Input:   S = sum of h, V = sum of h^2, and the V at which the test ends, fixed beforehand.
    Null:    E[h | past] <= 0 for every h.
    Process: the chance, given what was seen, that a Brownian motion without drift at (V, S) still
             reaches b = z sqrt(v_end) by v_end, over alpha; z is the normal quantile 1 - alpha/2.
             By the reflection principle that chance is 2 Phi(-(b - S) / sqrt(v_end - V)), and
             alpha at the start. It is a martingale: an e-process that is 1/alpha exactly where
             the boundary is reached. Beyond v_end there is no evidence.
    Promise: asymptotic, level ``alpha`` only. About .76 power at the size at which a test with one
             look has .80. Read it at the alpha it was made for.
    Cost:    O(1).
    Source:  reflection boundary in intrinsic time, as in YEAST (Kurennoy, 2024), arXiv 2406.16523;
             written as an e-process by us.
    """
    if not (math.isfinite(s) and 0.0 <= v < math.inf and 0.0 < v_end < math.inf):
        raise ValueError(f"s {s!r}, v {v!r} or its end {v_end!r} out of range")
    top = -math.log(alpha)
    missing = boundary(v_end, alpha) - s
    if v > v_end:
        return GIVEN_UP
    if missing <= 0.0:
        return top
    left = v_end - v
    if left == 0.0:
        return GIVEN_UP
    reached = math.log(2.0) + log_ndtr(-missing / math.sqrt(left))
    return max(GIVEN_UP, top + min(0.0, reached))


def boundary(v_end: float, alpha: float) -> float:
    """Return the S that must be reached: the quantile 1 - alpha/2 of its size at the end."""
    return _quantile(1.0 - 0.5 * alpha) * math.sqrt(v_end)


def settled_epoch(counts: Mapping[int, int], horizon: int) -> int | None:
    """Return the epoch whose baseline says what the horizon is worth in information.

    It is the first one that begins when a tenth of the horizon has been seen, so that it is known
    well and then stays; None before. ``counts`` are observations by epoch.
    """
    seen = 0
    for epoch in sorted(counts):
        if seen >= 0.1 * horizon:
            return epoch
        seen += counts[epoch]
    return None


def _quantile(p: float) -> float:
    """Return z with P(Z <= z) = p, by bisection; p from 0.5 on."""
    low, high, wanted = 0.0, 40.0, math.log1p(-(1.0 - p))
    for _ in range(100):
        middle = 0.5 * (low + high)
        if log_ndtr(middle) < wanted:
            low = middle
        else:
            high = middle
    return high
