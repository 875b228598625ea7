"""What a router counts: plain integers on the hot path, flat names when they leave.

Cumulative since the process started. Label values come from the table only, so the number of
series cannot grow with what clients send.
"""

from bisect import bisect_left
from collections import defaultdict
from typing import Final

LATENCY_BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
# Of any length: mypyc takes a tuple of a known one for unset where it is handed on (mypy 2.4.1).
FIRST_BOUNDS_S: Final[tuple[float, ...]] = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""To the first event. A long prompt is read for many seconds before there is one."""
RATE_BOUNDS: Final[tuple[float, ...]] = (
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0,
)  # fmt: skip
"""Events per second. A person reads about 5 tokens in that time, a fast server writes hundreds."""
STREAM_ENDS: Final = ("complete", "cut", "left")
"""The answer came to its end, the variant broke off, the client went away first."""
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


class Histogram:
    """Counts of values by size. Kept for what is rarer than a request."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count ``value``."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    def values(self, name: str, labels: str) -> dict[str, float]:
        """Return the counts under flat names, each bucket with those below it."""
        found: dict[str, float] = {}
        n = 0
        for bound, count in zip((*self.bounds, "+Inf"), self.buckets, strict=True):
            n += count
            found[f"{name}_bucket{labels}|le={bound}"] = n
        return found | {f"{name}_sum{labels}": self.total, f"{name}_count{labels}": n}


class StreamCounts:
    """Streams of events from one variant in one role."""

    __slots__ = ("by_end", "first_s", "rate")

    def __init__(self) -> None:
        self.by_end = [0] * len(STREAM_ENDS)
        self.first_s = Histogram(FIRST_BOUNDS_S)
        self.rate = Histogram(RATE_BOUNDS)

    def add(self, fault: str, first_byte_s: float, latency_s: float, n_events: int) -> None:
        """Count one stream that is over; its rate is that of the events after the first."""
        self.by_end[2 if fault == "aborted" else int(fault not in ("", "status"))] += 1
        if n_events:
            self.first_s.add(first_byte_s)
        if n_events > 1 and latency_s > first_byte_s:
            self.rate.add((n_events - 1) / (latency_s - first_byte_s))


class Counters:
    """All counts of one router process."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str, str], CallCounts] = {}
        self._streams: dict[tuple[str, str, str], StreamCounts] = {}
        self.events: defaultdict[tuple[str, ...], int] = defaultdict(int)
        """Rare things, by (metric name, label=value, ...)."""

    def calls(self, route: str, variant: str, role: str) -> CallCounts:
        """Return the counts of these calls, made on first use; hold on to them."""
        return self._calls.setdefault((route, variant, role), CallCounts())

    def streams(self, route: str, variant: str, role: str) -> StreamCounts:
        """Return the counts of these streams, made on first use."""
        return self._streams.setdefault((route, variant, role), StreamCounts())

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
        for (route, variant, role), streams in self._streams.items():
            labels = f"|route={route}|variant={variant}|role={role}"
            for end, n in zip(STREAM_ENDS, streams.by_end, strict=True):
                values[f"understudy_streams_total{labels}|end={end}"] = n
            values |= streams.first_s.values("understudy_stream_first_event_seconds", labels)
            values |= streams.rate.values("understudy_stream_events_per_second", labels)
        return values
