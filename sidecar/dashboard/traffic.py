"""Traffic of variants, read from the routers' counts: totals, and what lies between two. Pure."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from router.counters import LATENCY_BOUNDS_S

REQUESTS = "understudy_requests_total"
DURATION = "understudy_request_duration_seconds"
BOUNDS = {str(bound): at for at, bound in enumerate((*LATENCY_BOUNDS_S, "+Inf"))}
"""Of the buckets' flat names: where each is."""
FAILED = frozenset({"none", "5xx"})
MIRROR = "mirror"


class Totals(Struct, array_like=True):
    """What one variant answered on one route since counting began, in every role."""

    requests: int = 0
    errors: int = 0
    """Answers 500 and above, and requests without an answer."""
    mirrored: int = 0
    """Of the requests: copies, whose answers nobody saw."""
    latency_s: float = 0.0
    """Sum."""
    buckets: list[int] = []
    """Answers within each of LATENCY_BOUNDS_S, and all: each bucket with those below it."""


Traffic = dict[str, Totals]
"""By variant."""


def traffic_by_route(
    counts: Mapping[str, float], routes: Iterable[str] | None = None
) -> dict[str, Traffic]:
    """Return the totals of every variant by route, from counts under their flat names.

    ``routes``: of these only; None: of all.
    """
    wanted = None if routes is None else frozenset(routes)
    found: dict[str, Traffic] = {}
    for flat, value in counts.items():
        if not flat.startswith((REQUESTS, DURATION)):
            continue
        name, *pairs = flat.split("|")
        labels = dict(pair.partition("=")[::2] for pair in pairs)
        route, variant = labels.get("route"), labels.get("variant")
        if route is None or variant is None or (wanted is not None and route not in wanted):
            continue
        totals = found.setdefault(route, {}).setdefault(variant, Totals())
        _add(totals, name, labels, value)
    return found


def _add(totals: Totals, name: str, labels: Mapping[str, str], value: float) -> None:
    if name == REQUESTS:
        totals.requests += int(value)
        totals.errors += int(value) if labels.get("code") in FAILED else 0
        totals.mirrored += int(value) if labels.get("role") == MIRROR else 0
    elif name == f"{DURATION}_sum":
        totals.latency_s += value
    elif name == f"{DURATION}_bucket" and labels.get("le") in BOUNDS:
        if not totals.buckets:
            totals.buckets = [0] * len(BOUNDS)
        totals.buckets[BOUNDS[labels["le"]]] += int(value)


def between(before: Totals | None, now: Totals, seconds: float) -> dict[str, Any] | None:
    """Return rate, errors and latency of what was counted between two totals, JSON-ready.

    None where nothing can be said: counting began anew in between, or no time has passed.
    Without requests the rate is 0 and the rest is None.
    """
    before = before if before is not None else Totals()
    n = now.requests - before.requests
    if n < 0 or seconds <= 0:
        return None
    errors = max(0, now.errors - before.errors)
    old = before.buckets or [0] * len(now.buckets)
    steps = [max(0, b - a) for a, b in zip(old, now.buckets, strict=True)] if now.buckets else []
    return {
        "requests": n,
        "mirrored": max(0, now.mirrored - before.mirrored),
        "per_s": round(n / seconds, 6),
        "errors": errors,
        "error_share": round(errors / n, 6) if n else None,
        "mean_s": _rounded((now.latency_s - before.latency_s) / n) if n else None,
        "p50_s": _rounded(quantile(steps, 0.5)),
        "p99_s": _rounded(quantile(steps, 0.99)),
    }


def quantile(buckets: list[int], share: float) -> float | None:
    """Return where ``share`` of the answers are within, in seconds; None without any.

    Within a bucket answers are taken to be spread evenly, as PromQL's histogram_quantile does;
    above the last bound it is that bound.
    """
    if not buckets or buckets[-1] <= 0:
        return None
    rank, low, below = share * buckets[-1], 0.0, 0
    for bound, n in zip(LATENCY_BOUNDS_S, buckets, strict=False):
        if n >= rank and n > below:
            return low + (bound - low) * (rank - below) / (n - below)
        low, below = bound, max(below, n)
    return LATENCY_BOUNDS_S[-1]


def _rounded(seconds: float | None) -> float | None:
    return round(seconds, 6) if seconds is not None and math.isfinite(seconds) else None
