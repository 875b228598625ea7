"""Traffic of variants, read from the routers' counts: totals, and what lies between two. Pure."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from router.counters import LATENCY_BOUNDS_S

REQUESTS = "understudy_requests_total"
DURATION = "understudy_request_duration_seconds"
BOUNDS = {str(bound): at for at, bound in enumerate((*LATENCY_BOUNDS_S, "+Inf"))}
"""Of the buckets' flat names: where each is."""
FAILED = frozenset({"none", "5xx"})
MIRROR = "mirror"
MAX_REMEMBERED = 65_536
"""Flat names of which we remember what they count; others are read again."""


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


def traffic_by_route(counts: Mapping[str, float], route: str | None = None) -> dict[str, Traffic]:
    """Return the totals of every variant by route, from counts under their flat names.

    ``route``: of this one only; None: of all. Names are read once and remembered: there are some
    34,000 with a thousand routes, and they are asked for again and again.
    """
    found: dict[str, Traffic] = {}
    part = None if route is None else f"|route={route}|"
    for flat, value in counts.items():
        if part is not None and part not in flat:
            continue
        place = _place(flat)
        if place is not None:
            name, variant, field = place
            totals = found.setdefault(name, {}).setdefault(variant, Totals())
            _add(totals, field, value)
    return found


@lru_cache(MAX_REMEMBERED)
def _place(flat: str) -> tuple[str, str, str | int] | None:
    """Return route, variant and what a flat name counts (a bucket by its index); None if it is
    about something else."""
    if not flat.startswith((REQUESTS, DURATION)):
        return None
    name, *pairs = flat.split("|")
    labels = dict(pair.partition("=")[::2] for pair in pairs)
    field = _field(name, labels)
    if field is None or "route" not in labels or "variant" not in labels:
        return None
    return labels["route"], labels["variant"], field


def _field(name: str, labels: Mapping[str, str]) -> str | int | None:
    if name == REQUESTS:
        fate = "failed" if labels.get("code") in FAILED else "answered"
        return f"{fate} copy" if labels.get("role") == MIRROR else fate
    if name == f"{DURATION}_sum":
        return "seconds"
    return BOUNDS.get(labels.get("le", "")) if name == f"{DURATION}_bucket" else None


def _add(totals: Totals, field: str | int, value: float) -> None:
    if isinstance(field, int):
        if not totals.buckets:
            totals.buckets = [0] * len(BOUNDS)
        totals.buckets[field] += int(value)
    elif field == "seconds":
        totals.latency_s += value
    else:
        totals.requests += int(value)
        totals.errors += int(value) if field.startswith("failed") else 0
        totals.mirrored += int(value) if field.endswith("copy") else 0


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
