"""The report's pictures as SVG: effects with their intervals, odds, and the challenger's share.

Pure: values in, markup out. Every picture has a title and a description for those who hear it, and
its colours are classes, so that the page may be dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.report.markup import Markup, join, tag

WIDTH = 720
LEFT, RIGHT = 190, 96
ROW = 30
"""Height of one row, in the picture's units."""
STYLE = (
    ".axis{stroke:#8a8f98;stroke-width:1}.grid{stroke:#8a8f98;stroke-opacity:.25}"
    ".mark{stroke-width:2.5;fill:none}.dot{stroke:none}"
    ".passed{stroke:#1a7f37;fill:#1a7f37}.undecided{stroke:#9a6700;fill:#9a6700}"
    ".tripped{stroke:#cf222e;fill:#cf222e}.unknown{stroke:#6e7781;fill:#6e7781}"
    ".line{stroke:#0969da;stroke-width:2;fill:none}.line.dot{fill:#0969da}"
    "text{font:12px system-ui,sans-serif;fill:currentColor}"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of ``effects``: an effect between the ends of its confidence sequence."""

    name: str
    state: str
    effect: float
    low: float | None
    """None: not bounded on this side yet."""
    high: float | None


@dataclass(frozen=True, slots=True)
class Odds:
    """One row of ``odds``."""

    name: str
    state: str
    odds: float
    """Against the check's null, as an e-value; 1 says nothing."""
    needed: float


@dataclass(frozen=True, slots=True)
class Share:
    """From a moment on, the challenger serves this."""

    at_s: float
    """Seconds since the epoch."""
    share: float
    """0..1."""
    label: str


def effects(rows: Sequence[Interval]) -> Markup:
    """Draw each effect on a scale of its own: units differ, and zero is what matters."""
    parts: list[Markup] = []
    middle = (LEFT + WIDTH - RIGHT) / 2
    for number, row in enumerate(rows):
        y = 24 + number * ROW
        ends = [abs(end) for end in (row.effect, row.low, row.high) if end is not None]
        scale = (WIDTH - LEFT - RIGHT) / 2 / (1.1 * max([*ends, 1e-12]))
        low = LEFT if row.low is None else middle + row.low * scale
        high = WIDTH - RIGHT if row.high is None else middle + row.high * scale
        parts += [
            _text(LEFT - 10, y + 4, row.name, "end"),
            _line(low, y, high, y, f"mark {row.state}"),
            tag("circle", cx=_n(middle + row.effect * scale), cy=y, r=4, class_=f"dot {row.state}"),
            _text(WIDTH - RIGHT + 10, y + 4, f"{row.effect:+.3g}", "start"),
        ]
    height = 24 + len(rows) * ROW
    zero = _line(middle, 8, middle, height - 8, "axis")
    about = "; ".join(f"{row.name} {row.effect:+.3g} ({row.state})" for row in rows)
    labels = [_text(LEFT, height + 6, "worse", "start"), _text(WIDTH - RIGHT, height + 6, "better")]
    return _picture(height + 14, "Effects and their intervals", about, [zero, *parts, *labels])


def odds(rows: Sequence[Odds]) -> Markup:
    """Draw odds on a logarithmic scale from 1:100 on, with the odds that each check needs."""
    top = max([math.log10(max(row.odds, row.needed, 10.0)) for row in rows], default=1.0) + 0.3
    bottom = -2.0

    def x_of(value: float) -> float:
        at = min(top, max(bottom, math.log10(value) if value > 0.0 else bottom))
        return LEFT + (at - bottom) / (top - bottom) * (WIDTH - LEFT - RIGHT)

    height = 24 + len(rows) * ROW
    parts = [_line(x_of(1.0), 8, x_of(1.0), height - 8, "axis")]
    for number, row in enumerate(rows):
        y = 24 + number * ROW
        parts += [
            _text(LEFT - 10, y + 4, row.name, "end"),
            _line(x_of(1.0), y, x_of(row.odds), y, f"mark {row.state}"),
            tag("circle", cx=_n(x_of(row.odds)), cy=y, r=4, class_=f"dot {row.state}"),
            _line(x_of(row.needed), y - 8, x_of(row.needed), y + 8, "axis"),
            _text(WIDTH - RIGHT + 10, y + 4, f"{row.odds:.3g}:1", "start"),
        ]
    ticks = [10.0**k for k in range(int(bottom), int(top) + 1, max(1, int(top) // 5))]
    parts += [_text(x_of(tick), height + 6, _ratio(tick), "middle") for tick in ticks]
    about = "; ".join(f"{row.name} {row.odds:.3g}:1 of {row.needed:.3g}:1" for row in rows)
    return _picture(height + 14, "Odds, and the odds that are needed", about, parts)


def shares(rows: Sequence[Share], end_s: float) -> Markup:
    """Draw the challenger's share over time as steps, from the first row to ``end_s``."""
    begin_s = rows[0].at_s if rows else end_s
    span_s = max(1e-9, max([end_s, *(row.at_s for row in rows)]) - begin_s)
    top, bottom = 16, 136

    def x_of(at_s: float) -> float:
        return 56 + max(0.0, at_s - begin_s) / span_s * (WIDTH - 56 - 24)

    def y_of(share: float) -> float:
        return bottom - share * (bottom - top)

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts.append(_line(56, y_of(share), WIDTH - 24, y_of(share), "grid"))
        parts.append(_text(48, y_of(share) + 4, f"{share:.0%}", "end"))
    points: list[str] = []
    for row, after in zip(rows, [*rows[1:], None], strict=False):
        until_s = end_s if after is None else after.at_s
        points += [f"{_n(x)},{_n(y_of(row.share))}" for x in (x_of(row.at_s), x_of(until_s))]
        title = tag("title", row.label)
        dot = {"cx": _n(x_of(row.at_s)), "cy": _n(y_of(row.share)), "r": 3.5}
        parts.append(tag("circle", title, class_="line dot", **dot))
    parts.insert(6, tag("polyline", points=" ".join(points), class_="line"))
    parts.append(_text(56, bottom + 18, _date(begin_s), "start"))
    parts.append(_text(WIDTH - 24, bottom + 18, _date(begin_s + span_s), "end"))
    about = "; ".join(f"{row.label}: {row.share:.0%}" for row in rows)
    return _picture(bottom + 26, "Share of the units that the challenger served", about, parts)


def _picture(height: int, title: str, about: str, parts: Sequence[Markup]) -> Markup:
    return tag(
        "svg",
        tag("title", title),
        tag("desc", about),
        tag("style", Markup(STYLE)),
        join(parts, "\n"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), class_=kind)


def _text(x: float, y: float, words: str, anchor: str = "end") -> Markup:
    short = words if len(words) <= 26 else f"{words[:25]}…"
    return tag("text", short, x=_n(x), y=_n(y), text_anchor=anchor)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _date(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"


def _ratio(tick: float) -> str:
    return f"{tick:g}:1" if tick >= 1 else f"1:{1 / tick:g}"
