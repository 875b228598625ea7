"""A test with an end: more power until then, nothing after. Pure."""

import math
from collections.abc import Mapping
from functools import lru_cache

from evaluator.eprocess.mixture import log_sum_exp
from evaluator.eprocess.normal import log_ndtr

GIVEN_UP = -50.0
"""Log evidence when the horizon has passed without a decision: it will not come any more."""


SLOPE = 1.0
"""How far the boundary falls until the end, as a multiple of S's standard deviation there. Power at
the size at which one look has .80, and mean size over the horizon, of a Brownian motion: .775 and
.73 at 0 (a level boundary), .784 and .75 at 1/2, .789 and .77 at 1, .794 and .82 at 2. On some
dozens of pairs, whose S moves in steps of one, a level boundary has .73, and 1 has .78."""


def horizon_log_e(s: float, v: float, v_end: float, alpha: float) -> float:
    """Return log evidence that h has a positive mean, if it is to be decided by ``v_end``.

    Input:   S = sum of h, V = sum of h^2, and the V at which the test ends, fixed beforehand.
    Null:    E[h | past] <= 0 for every h.
    Process: the chance, given what was seen, that a Brownian motion without drift at (V, S) still
             reaches the falling boundary b(V) by v_end, over alpha. With m = b(V) - S, the rest
             r = v_end - V and the fall c of the boundary per unit of V that chance is
             Phi((c r - m) / sqrt(r)) + exp(2 c m) Phi(-(c r + m) / sqrt(r)), and alpha at the
             start. It is a martingale: an e-process that is 1/alpha exactly where the boundary is
             reached. Beyond v_end there is no evidence.
    Promise: asymptotic, level ``alpha`` only. About .78 power at the size at which a test with one
             look has .80. Read it at the alpha it was made for.
    Cost:    O(1).
    Source:  boundary in intrinsic time, as in YEAST (Kurennoy, 2024), arXiv 2406.16523, which is
             level; first passage over a line: Siegmund (1985), Sequential Analysis, chapter III;
             the fall and the form as an e-process are ours.
    """
    if not (math.isfinite(s) and 0.0 <= v < math.inf and 0.0 < v_end < math.inf):
        raise ValueError(f"s {s!r}, v {v!r} or its end {v_end!r} out of range")
    if v > v_end:
        return GIVEN_UP
    top = -math.log(alpha)
    missing, left = boundary(v, v_end, alpha) - s, v_end - v
    if missing <= 0.0:
        return top
    if left == 0.0:
        return GIVEN_UP
    reached = _log_passage(missing, SLOPE / math.sqrt(v_end), left)
    return max(GIVEN_UP, top + min(0.0, reached))


def boundary(v: float, v_end: float, alpha: float) -> float:
    """Return the S that must be reached at ``v``."""
    return math.sqrt(v_end) * (_start(alpha) - SLOPE * v / v_end)


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


def _log_passage(missing: float, fall: float, left: float) -> float:
    """Return the log of the chance to reach a line ``missing`` above, falling, within ``left``."""
    root = math.sqrt(left)
    return log_sum_exp(
        (
            log_ndtr((fall * left - missing) / root),
            2.0 * fall * missing + log_ndtr(-(fall * left + missing) / root),
        )
    )


@lru_cache
def _start(alpha: float) -> float:
    """Return where the boundary begins, in standard deviations of S at the end, by bisection."""
    low, high = SLOPE, SLOPE + 40.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if _log_passage(middle, SLOPE, 1.0) > math.log(alpha):
            low = middle
        else:
            high = middle
    return high
