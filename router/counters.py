"""What a router counts: plain integers on the hot path, flat names when they leave.

Cumulative since the process started. Label values come from the table only, so the number of
series cannot grow with what clients send.
"""

from collections import defaultdict
from typing import Final

LATENCY_BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
CODES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx", "other")


class CallCounts:
    """Calls to one variant in one role: champion, challenger, fallback or mirror."""

    __slots__ = ("buckets", "by_code", "latency_sum_s")

    def __init__(self) -> None:
        self.by_code = [0] * len(CODES)
        self.buckets = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.latency_sum_s = 0.0

    def add(self, status: int, latency_s: float) -> None:
        """Count one call that is over; ``status`` 0 when no answer came."""
        self.by_code[min(status // 100, 6)] += 1
        at = 0
        for bound_s in LATENCY_BOUNDS_S:  # compiled, a third of bisect's time
            if latency_s <= bound_s:
                break
            at += 1
        self.buckets[at] += 1
        self.latency_sum_s += latency_s


class Counters:
    """All counts of one router process."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str, str], CallCounts] = {}
        self.events: defaultdict[tuple[str, ...], int] = defaultdict(int)
        """Rare things, by (metric name, label=value, ...)."""

    def calls(self, route: str, variant: str, role: str) -> CallCounts:
        """Return the counts of these calls, made on first use; hold on to them."""
        return self._calls.setdefault((route, variant, role), CallCounts())

    def event(self, name: str, *labels: str) -> None:
        """Count something rare: ``event("understudy_fallbacks_total", "route=fraud", ...)``."""
        self.events[(name, *labels)] += 1

    def values(self) -> dict[str, float]:
        """Return every count under its flat name, ``name|label=value|...``."""
        values: dict[str, float] = {"|".join(key): n for key, n in self.events.items()}
        for (route, variant, role), counts in self._calls.items():
            labels = f"|route={route}|variant={variant}|role={role}"
            for code, n in zip(CODES, counts.by_code, strict=True):
                if n:
                    values[f"understudy_requests_total{labels}|code={code}"] = n
            name = "understudy_request_duration_seconds"
            total = 0
            for bound, n in zip((*LATENCY_BOUNDS_S, "+Inf"), counts.buckets, strict=True):
                total += n
                values[f"{name}_bucket{labels}|le={bound}"] = total
            values[f"{name}_sum{labels}"] = counts.latency_sum_s
            values[f"{name}_count{labels}"] = total
        return values
