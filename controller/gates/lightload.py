"""Latency when one request is asked after the other: quantiles, held against limits. Pure."""

import math
from collections.abc import Sequence

from controller.gates.functionalspec import LatencyLimit


def quantile(latencies_s: Sequence[float], share: float) -> float:
    """Return the least latency that at least ``share`` of them do not exceed; no interpolation.

    >>> quantile([0.1, 0.2, 0.3, 0.4], 0.5)
    0.2
    """
    ranked = sorted(latencies_s)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def fault_of(latencies_s: Sequence[float], limit: LatencyLimit) -> str:
    """Return which quantile is over its limit, or nothing."""
    for share, limit_s in limit.limits_s:
        found_s = quantile(latencies_s, share)
        if found_s > limit_s:
            return f"p{share * 100:g} is {_ms(found_s)}, at most {_ms(limit_s)} allowed"
    return ""


def numbers_of(latencies_s: Sequence[float], limit: LatencyLimit) -> dict[str, float]:
    """Return the quantiles that have a limit, in seconds, by name."""
    found = {f"p{share * 100:g}_s": quantile(latencies_s, share) for share, _ in limit.limits_s}
    return found | {"requests": float(len(latencies_s))}


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
