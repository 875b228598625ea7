"""The bars of the data plane: what a row may be of a rival's in the same run. Pure.

No test asserts a time; the report says met or not met.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.grid import Grid
from loadtests.report import Row

COST = "cpu_us_per_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: ``figure`` of ``row`` against ``limit`` times the rival's."""

    row: str
    rival: str = ""
    """Empty: ``limit`` is the figure itself, and the least that will do."""
    figure: str = COST
    limit: float = 1.0

    @property
    def text(self) -> str:
        if not self.rival:
            return f"{self.figure} >= {self.limit:g}"
        return f"{self.figure} <= {self.limit:g} x {self.rival}"


BARS = (
    Bar(row="understudy-split", rival="envoy-split", limit=0.60),
    Bar(row="understudy-split", rival="haproxy-split", limit=1.8),
    Bar(row="understudy-split", rival="relay", limit=1.9),
    Bar(row="understudy-mirror", rival="envoy-mirror", limit=0.50),
    Bar(row="understudy-mirror", rival="nginx-mirror", limit=0.75),
    Bar(row="understudy-split-64k", rival="envoy-split-64k"),
    Bar(row="understudy-split-1m", rival="envoy-split-1m"),
    Bar(row="understudy-split-sse", rival="envoy-split-sse"),
    *(
        Bar(row="understudy-split-sse", rival="envoy-split-sse", figure=figure)
        for figure in (
            *("added_first_p50_ms", "added_first_p99_ms", "added_journey_p99_ms"),
            *("added_gap_p99_ms", "merged_share"),
        )
    ),
    Bar(row="understudy-split-open", rival="envoy-split-open", figure="added_p99_ms"),
    Bar(row="understudy-split-idle", rival="envoy-split-idle", figure="rss_mb"),
    Bar(row="understudy-split-2w", figure="two_over_one", limit=1.8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a bar came out."""

    bar: Bar
    ours: float
    theirs: float | None
    """None: the bar has no rival."""

    @property
    def is_met(self) -> bool:
        if self.theirs is None:
            return self.ours >= self.bar.limit
        return self.ours <= self.bar.limit * self.theirs


def judge(rows: Sequence[Row], bars: Sequence[Bar] = BARS) -> list[Verdict]:
    """Return a verdict for each bar whose rows were measured and did their work."""
    by_name = {row.name: row for row in rows if row.is_valid}
    verdicts = []
    for bar in bars:
        ours = _value(by_name.get(bar.row), bar.figure)
        theirs = _value(by_name.get(bar.rival), bar.figure)
        if ours is not None and (theirs is not None or not bar.rival):
            verdicts.append(Verdict(bar=bar, ours=ours, theirs=theirs))
    return verdicts


def _value(row: Row | None, figure: str) -> float | None:
    return row.value(figure) if row is not None else None


def words(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Return a row's word for the table of costs: its bars on cost, met or not."""
    found: dict[str, list[bool]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.bar.row, []).append(verdict.is_met)
    return {
        name: "met" if all(met) else f"not met ({met.count(False)} of {len(met)})"
        for name, met in found.items()
    }


def bar_grid(verdicts: Sequence[Verdict]) -> Grid:
    """Return the table of the bars."""
    return Grid(
        title="Bars",
        columns=("row", "bar", "ours", "rival's", "ratio", "verdict"),
        rows=tuple(_cells(verdict) for verdict in verdicts),
    )


def _cells(verdict: Verdict) -> tuple[str, ...]:
    theirs = verdict.theirs
    return (
        verdict.bar.row,
        verdict.bar.text,
        f"{verdict.ours:.3f}",
        "" if theirs is None else f"{theirs:.3f}",
        f"{verdict.ours / theirs:.2f}" if theirs is not None and theirs > 0 else "",
        "met" if verdict.is_met else "NOT MET",
    )


def to_json(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """Return the verdicts for the JSON."""
    return [
        {
            "row": verdict.bar.row,
            "bar": verdict.bar.text,
            "ours": round(verdict.ours, 4),
            "rival": None if verdict.theirs is None else round(verdict.theirs, 4),
            "met": verdict.is_met,
        }
        for verdict in verdicts
    ]
