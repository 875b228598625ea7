"""What all routers counted, together: those that run and those that went away.

Each router sends its own counts since it started, under flat names (router/counters.py). A sum
over the running ones alone would fall at each restart of a router, and a rate with it.
"""

from collections.abc import Mapping

MAX_NAMES = 20_000
"""Names in one router's message. 400 routes with two variants make about 16 000."""
MAX_GONE = 64
"""Sources that are away and may come back (a broken connection);
the oldest is added up for good."""
GAUGES = frozenset(
    {
        "understudy_upstream_connections",
        "understudy_downstream_connections",
        "understudy_champion_resting",
        "understudy_mirror_queue_depth",
        "understudy_requests_in_flight",
        "understudy_router_resident_memory_bytes",
        "understudy_event_loop_lag_seconds",
        "understudy_overload",
        "understudy_tunnels_open",
        "understudy_observations_waiting",
        "understudy_certificate_expiry_timestamp_seconds",
    }
)
"""Levels, not counts: a router that is away has none."""
EARLIEST = frozenset({"understudy_certificate_expiry_timestamp_seconds"})
"""Levels of which the least counts, not the sum: one router with an old certificate is enough."""
WORST_OF_ALL = frozenset({"understudy_event_loop_lag_seconds"})
"""A sum of these would mean nothing."""


class Counts:
    """Cumulative counts by source, where a source is one router process."""

    def __init__(self) -> None:
        self._live: dict[str, dict[str, float]] = {}
        self._gone: dict[str, dict[str, float]] = {}
        self._past: dict[str, float] = {}

    def update(self, source: str, values: Mapping[str, float]) -> None:
        """Take in the counts that ``source`` has now; they replace its earlier ones."""
        kept = dict(list(values.items())[:MAX_NAMES])
        self._gone.pop(source, None)
        self._live[source] = kept

    def leave(self, source: str) -> None:
        """Note that ``source`` is away: its counts stay, its levels do not."""
        values = self._live.pop(source, None)
        if values is None:
            return
        counts = {name: n for name, n in values.items() if base_of(name) not in GAUGES}
        self._gone[source] = counts
        if len(self._gone) > MAX_GONE:
            oldest = next(iter(self._gone))
            _add(self._past, self._gone.pop(oldest))

    def total(self) -> dict[str, float]:
        """Return the sum over all routers, by flat name."""
        total = dict(self._past)
        for values in (*self._gone.values(), *self._live.values()):
            _add(total, values)
        return total


def base_of(name: str) -> str:
    """Return the metric's name, without its labels."""
    return name.split("|", 1)[0]


def _add(total: dict[str, float], values: Mapping[str, float]) -> None:
    for name, n in values.items():
        if base_of(name) in EARLIEST:
            total[name] = min(total.get(name, n), n)
            continue
        before = total.get(name, 0.0)
        total[name] = max(before, n) if name in WORST_OF_ALL else before + n
