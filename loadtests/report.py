"""From turns to rows (medians), and from rows to ratios, tables and the JSON. Pure.

A row that did not do its work is shown, and is compared with nothing.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loadtests.grid import Grid

RIVALS = ("envoy", "nginx", "haproxy", "relay")
"""The columns of ratios: each row against the rival's row of the same work."""
FLOOR = "relay"
"""The one that every row is compared with, whatever its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One peer's measurement in one round."""

    cpu_us_per_request: float
    """User plus system time of the data plane, microseconds; 0 where none is taken."""
    control_cpu_us_per_request: float
    """The same for processes beside the requests' path; 0 for a peer without such."""
    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    """Of the data plane, at the end of the load, 10^6 bytes."""
    busy: float
    """Share of the load's time for which the data plane was computing; near 1 when its core was
    the narrow place, less when the load generator's was."""
    challenger_share: float
    """Requests that reached the challenger, over requests sent; copies in mirror mode."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What only this kind of work shows, by the JSON's name for it."""
    faults: tuple[str, ...] = ()
    """Why this measurement does not count, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A peer's medians over the rounds."""

    name: str
    cpu_us_per_request: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    controller_cpu_us_per_request: float
    busy: float
    cpu_us_low: float
    """The cheapest round; with ``cpu_us_high`` it shows the noise."""
    cpu_us_high: float
    requests: int
    """Of all rounds together."""
    challenger_share: float
    faults: tuple[str, ...]
    """Of any round. The row is invalid when there is one."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Medians, each by itself."""

    @property
    def is_valid(self) -> bool:
        return not self.faults

    def value(self, key: str) -> float | None:
        """Return a figure by the JSON's name for it; None if this row has none such."""
        if key in ("cpu_us_per_request", "rss_mb"):
            return float(getattr(self, key))
        return self.figures.get(key)


def summarise(name: str, turns: Sequence[Turn]) -> Row:
    """Return the medians of at least one turn."""
    costs = [turn.cpu_us_per_request for turn in turns]
    return Row(
        name=name,
        cpu_us_per_request=statistics.median(costs),
        requests_per_s=statistics.median(turn.requests_per_s for turn in turns),
        p50_ms=statistics.median(turn.p50_ms for turn in turns),
        p99_ms=statistics.median(turn.p99_ms for turn in turns),
        rss_mb=statistics.median(turn.rss_mb for turn in turns),
        controller_cpu_us_per_request=statistics.median(
            turn.control_cpu_us_per_request for turn in turns
        ),
        busy=statistics.median(turn.busy for turn in turns),
        cpu_us_low=min(costs),
        cpu_us_high=max(costs),
        requests=sum(turn.requests for turn in turns),
        challenger_share=statistics.median(turn.challenger_share for turn in turns),
        faults=tuple(dict.fromkeys(fault for turn in turns for fault in turn.faults)),
        figures=_medians([turn.figures for turn in turns]),
    )


def _medians(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each figure's median over the rounds that have it."""
    keys = dict.fromkeys(key for each in figures for key in each)
    return {key: statistics.median(each[key] for each in figures if key in each) for key in keys}


def to_json(rounds: int, rows: Sequence[Row]) -> dict[str, object]:
    """Return the JSON-ready report; figures to three decimals."""
    return {"rounds": rounds, "rows": [_row_json(row) for row in rows]}


def _row_json(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "cpu_us_per_request": round(row.cpu_us_per_request, 3),
        "requests_per_s": round(row.requests_per_s, 1),
        "p50_ms": round(row.p50_ms, 3),
        "p99_ms": round(row.p99_ms, 3),
        "rss_mb": round(row.rss_mb, 1),
        "controller_cpu_us_per_request": round(row.controller_cpu_us_per_request, 3),
        "busy": round(row.busy, 3),
        "cpu_us_low": round(row.cpu_us_low, 3),
        "cpu_us_high": round(row.cpu_us_high, 3),
        "requests": row.requests,
        "challenger_share": round(row.challenger_share, 4),
        "valid": row.is_valid,
        "faults": list(row.faults),
        **{key: round(value, 4) for key, value in row.figures.items()},
    }


def rival_of(name: str, rival: str, rows: Sequence[Row]) -> Row | None:
    """Return the rival's row for ``name``, or None if it was not measured or is invalid.

    A name is PEER-MODE, with -WORK for another work; the floor has no mode and serves for all.
    """
    peer, _, work = name.partition("-")
    if rival == FLOOR and peer != FLOOR:
        work = work.partition("-")[2]
    wanted = f"{rival}-{work}" if work else rival
    return next((row for row in rows if row.name == wanted and row.is_valid), None)


def ratio(row: Row, rival: str, rows: Sequence[Row]) -> float | None:
    """Return the row's processor time per request over the rival's; None if not comparable."""
    other = rival_of(row.name, rival, rows)
    if other is None or not row.is_valid or other.cpu_us_per_request <= 0:
        return None
    return row.cpu_us_per_request / other.cpu_us_per_request


def cost_grid(rounds: int, rows: Sequence[Row], bars: Mapping[str, str]) -> Grid:
    """Return the table of costs, cheapest first within a work; ``bars`` is a word for a row."""
    shown = [row for row in rows if row.cpu_us_per_request > 0 or not row.is_valid]
    return Grid(
        title=f"CPU per request, medians of {rounds} round{'s' * (rounds != 1)}",
        columns=(
            *("proxy", "CPU us/req", "low..high", "control us", "busy", "req/s"),
            *("p50 ms", "p99 ms", "RSS MB", "chall.", *(f"/{rival}" for rival in RIVALS), "bar"),
        ),
        rows=tuple(
            (*_cells(row, rows), bars.get(row.name, "")) for row in sorted(shown, key=_order)
        ),
        red=frozenset(f"{row.name} INVALID" for row in rows if not row.is_valid),
    )


def _order(row: Row) -> tuple[str, float]:
    return row.name.partition("-")[2], row.cpu_us_per_request


def faults_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (row, why it does not count) for every fault."""
    return [(row.name, fault) for row in rows for fault in row.faults]


def _cells(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    control = row.controller_cpu_us_per_request
    ratios = [ratio(row, rival, rows) for rival in RIVALS]
    return (
        row.name if row.is_valid else f"{row.name} INVALID",
        f"{row.cpu_us_per_request:.1f}",
        f"{row.cpu_us_low:.1f}..{row.cpu_us_high:.1f}",
        f"{control:.1f}" if control else "",
        f"{row.busy:.0%}",
        f"{row.requests_per_s:,.0f}",
        f"{row.p50_ms:.2f}",
        f"{row.p99_ms:.2f}",
        f"{row.rss_mb:.0f}",
        f"{row.challenger_share:.0%}",
        *("" if each is None else f"{each:.2f}" for each in ratios),
    )


DROPPED = "observations_dropped_share"
FIGURES: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "sse": (
        "Streams of 200 events: milliseconds added to a load without a proxy",
        (
            *(("first event p50", "added_first_p50_ms"), ("p99", "added_first_p99_ms")),
            *(("an event's journey p50", "added_journey_p50_ms"), ("p99", "added_journey_p99_ms")),
            *(("between events p50", "added_gap_p50_ms"), ("p99", "added_gap_p99_ms")),
            ("merged", "merged_share"),
        ),
    ),
    "open": (
        "A constant rate, 30 % of our capacity: milliseconds added to a load without a proxy",
        (
            *(("req/s", "rate_per_s"), ("p50", "added_p50_ms"), ("p99", "added_p99_ms")),
            ("generator late p99", "generator_late_p99_ms"),
        ),
    ),
    "idle": (
        "Memory with 1,000 idle connections, 10^6 bytes",
        (
            *(("RSS", "rss_mb"), ("RSS without", "rss_empty_mb")),
            ("kB a connection", "kb_per_connection"),
        ),
    ),
    "2w": (
        "Two workers, a core each, by processor time",
        (
            ("CPU us/req", "cpu_us_per_request"),
            ("times one worker", "two_over_one"),
            ("req/s over one worker's", "throughput_ratio"),
            ("busiest worker's connections", "busiest_worker_share"),
        ),
    ),
}
"""The tables of works with figures of their own, by the end of the rows' names."""


def figure_grids(rows: Sequence[Row]) -> list[Grid]:
    """Return the tables of the works that were measured and have figures of their own."""
    grids = []
    for suffix, (title, columns) in FIGURES.items():
        of_work = [row for row in rows if row.name.endswith(f"-{suffix}") and row.is_valid]
        cells = [(row.name, *(_figure(row.value(key)) for _, key in columns)) for row in of_work]
        if cells:
            names = ("proxy", *(name for name, _ in columns))
            grids.append(Grid(title=title, columns=names, rows=tuple(cells)))
    if losing := [row for row in rows if row.figures.get(DROPPED, 0.0) > 0]:
        cells = [(row.name, f"{row.figures[DROPPED]:.1%}") for row in losing]
        title = "Observations dropped: the controller could not keep up at this rate"
        grids.append(Grid(title=title, columns=("row", "of the requests"), rows=tuple(cells)))
    return grids


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
