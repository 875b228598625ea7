"""The plots of docs/statistics.md from what was measured: SVG, equal bytes for equal numbers.

White cards with dark text, so that they read on a light and on a dark page; the colours are Okabe
and Ito's, which people with any colour vision can tell apart. Lines are labelled where they end.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tests.statistics.bars import Measured, parts

BLUE, SKY, GREEN, ORANGE, RED, PINK = (
    "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
)  # fmt: skip
DARK, GREY, LIGHT = "#222222", "#6b6b6b", "#dddddd"
CREATOR = f"Matplotlib {matplotlib.__version__}"
SIZE_IN = (7.4, 3.9)
STYLE = {
    "svg.hashsalt": "understudy",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": DARK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": DARK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": DARK,
    "ytick.labelcolor": DARK,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
}


def draw(measured: Measured, folder: Path) -> list[Path]:
    """Write every plot whose parts were measured; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, plot in PLOTS.items():
        path = folder / f"{name}.svg"
        try:
            with _saved(path) as figure:
                plot(measured, figure)
        except KeyError:  # a part that was not measured
            continue
        found.append(path)
    return found


@contextmanager
def _saved(path: Path) -> Iterator[Figure]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr]
        yield figure
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": CREATOR})


def error_over_time(m: Measured, figure: Figure) -> None:
    """Draw how often each test has promoted a useless challenger by then."""
    part = m["split null: both 10 %"]
    axes = _axes(figure, "A challenger that is no better: how often has it been promoted by then?")
    _ends(
        axes,
        part["at"],
        [
            (part["methods"][name]["over"], label, colour)
            for name, label, colour in (
                ("usual test, every 100", "usual test, each 100", RED),
                ("ours, learning", "Understudy, each one", BLUE),
                ("GrowthBook, as shipped", "GrowthBook", GREEN),
                ("Statsig, as shipped", "Statsig", ORANGE),
            )
        ],
    )
    _allowed(axes, 400)
    _thousands(axes, (100, 1_000, 10_000, 100_000))
    axes.set_ylim(0, None)
    axes.set_xlabel("requests (split 50/50, both variants 10 % right)")
    axes.set_ylabel("false promotions, % of runs")


def sample_size(m: Measured, figure: Figure) -> None:
    """Draw mean sample sizes as multiples of the oracle's."""
    gains = parts(m, "split gain")
    rows = (
        ("ours, with futility", "Understudy, may give up", SKY),
        ("ours", "Understudy", BLUE),
        ("ours, learning", "Understudy, nothing known", BLUE),
        ("savvi regression, tuned", "savvi, tuned", PINK),
        ("GrowthBook, tuned", "GrowthBook, tuned", GREEN),
        ("GrowthBook, as shipped", "GrowthBook, as shipped", GREEN),
        ("Statsig, one-sided", "Statsig, one-sided", ORANGE),
        ("Statsig, as shipped", "Statsig, as shipped", ORANGE),
        ("savvi regression, as shipped", "savvi, as shipped", PINK),
    )
    axes = _axes(figure, "Requests until a better challenger is promoted, on average")
    for y, (name, _, colour) in enumerate(rows):
        found = [p["methods"][name]["ratio"] for p in gains.values() if name in p["methods"]]
        axes.plot([min(found), max(found)], [y, y], color=colour, linewidth=2, zorder=2)
        axes.scatter(found, [y] * len(found), color=colour, s=34, zorder=3, edgecolor="white",
                     linewidth=0.6)  # fmt: skip
        axes.annotate(f"{np.mean(found):.2f}", (max(found), y), (8, 0), va="center",
                      textcoords="offset points", fontsize=9, color=DARK)  # fmt: skip
    axes.axvline(1.0, color=DARK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate("the oracle, which knows the effect", (1.0, -0.75), (5, 0), fontsize=9,
                  textcoords="offset points", va="center", color=DARK)  # fmt: skip
    axes.set_yticks(range(len(rows)), [label for _, label, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -1.2)
    axes.set_xlim(0.7, 2.6)
    axes.set_xlabel("mean number of requests over the oracle's; a dot is one situation")


def ramp(m: Measured, figure: Figure) -> None:
    """Draw what a ramp does to tests that pool all requests."""
    part = m["ramp null: rising"]
    axes = _axes(figure, "No better, while the share is raised and requests get easier")
    for name, label, colour, at, side in (
        ("usual test, every 100", "usual test", RED, 0.55, -1),
        ("GrowthBook, tuned", "GrowthBook", GREEN, 0.6, -1),
        ("Statsig, one-sided", "Statsig", ORANGE, 0.4, 1),
        ("ours, learning", "Understudy", BLUE, None, 1),
    ):
        over = np.array(part["methods"][name]["over"])
        axes.plot(part["at"], over, color=colour, linewidth=2)
        if at is None:
            place, offset, align = (part["at"][-1], 0.05), (-4, 3), "right"
            vertical = "bottom"
        else:
            first = int((over >= at).argmax())
            place, offset = (part["at"][first], over[first]), (7 * side, 0)
            align, vertical = "left" if side > 0 else "right", "center"
        axes.annotate(label, place, offset, textcoords="offset points", color=colour, ha=align,
                      va=vertical, fontweight="bold", fontsize=9)  # fmt: skip
    _allowed(axes, 90_000)
    start = 0
    for end, share in ((20_000, "1 %"), (40_000, "5 %"), (60_000, "25 %"), (160_000, "50 %")):
        if start:
            axes.axvline(start, color=LIGHT, linewidth=1, zorder=0)
        axes.annotate(share, ((start + end) / 2, 1.06), ha="center", color=GREY, fontsize=9)
        start = end
    axes.set_xlim(0, 160_000)
    axes.set_ylim(0, 1.12)
    axes.xaxis.set_major_locator(FixedLocator([0, 40_000, 80_000, 120_000, 160_000]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel("requests; above: the challenger's share. Both variants' rate: 10 to 14 %")
    axes.set_ylabel("false promotions, % of runs")


def delays(m: Measured, figure: Figure) -> None:
    """Draw what late labels do when the challenger's only come sooner."""
    part = m["delays"]
    axes = _axes(figure, "No better, but its labels come after 2 days instead of 4")
    _ends(
        axes,
        part["days"],
        [
            (part["methods"][name]["over"], label, colour)
            for name, label, colour in (
                ("ours, as arrived", "used as they arrive", RED),
                ("ours, 7 days old", "judged at 7 days", ORANGE),
                ("ours, 14 days old", "judged at 14 days", BLUE),
            )
        ],
    )
    _allowed(axes, 3.0)
    axes.set_xlim(0, 30)
    axes.set_ylim(0, 1.06)
    axes.set_xlabel("days of the experiment (5,000 requests a day, 10 % convert in the end)")
    axes.set_ylabel("false promotions, % of runs")


def sticky(m: Measured, figure: Figure) -> None:
    """Draw what many requests of one user do."""
    part = m["sticky"]
    axes = _axes(figure, "No better, 20 requests from each user, who keeps their variant")
    _ends(
        axes,
        part["at"],
        [
            (part["methods"][name]["over"], label, colour)
            for name, label, colour in (
                ("by requests, ICC 0.2", "requests, ICC .2", RED),
                ("by requests, ICC 0.05", "requests, ICC .05", ORANGE),
                ("by users, ICC 0.05", "users, ICC .05", SKY),
                ("by users, ICC 0.2", "users, ICC .2", BLUE),
            )
        ],
    )
    _allowed(axes, 150)
    axes.set_xlim(0, part["at"][-1])
    axes.set_ylim(0, None)
    axes.xaxis.set_major_locator(FixedLocator(range(0, part["at"][-1] + 1, 2_000)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.set_xlabel("requests (split 50/50 of the users, 90 % right)")
    axes.set_ylabel("false promotions, % of runs")


PLOTS: dict[str, Callable[[Measured, Figure], None]] = {
    "error-over-time": error_over_time,
    "sample-size": sample_size,
    "ramp": ramp,
    "delays": delays,
    "sticky": sticky,
}


def _axes(figure: Figure, title: str) -> Axes:
    axes = figure.add_subplot()
    axes.set_title(title, pad=10)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.0f}"))
    axes.grid(axis="y", color=LIGHT, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _ends(
    axes: Axes, x: Sequence[float], lines: Sequence[tuple[Sequence[float], str, str]]
) -> None:
    """Draw lines, with labels beside their ends that do not run into each other."""
    top = 1.08 * max(max(y) for y, _, _ in lines)
    below = -math.inf
    for y, label, colour in sorted(lines, key=lambda line: line[0][-1]):
        axes.plot(x, y, color=colour, linewidth=2)
        below = max(y[-1], below + 0.055 * top)
        axes.annotate(label, (x[-1], below), (7, 0), textcoords="offset points", va="center",
                      color=colour, fontweight="bold", fontsize=9,
                      annotation_clip=False)  # fmt: skip


def _allowed(axes: Axes, x: float) -> None:
    axes.axhline(0.05, color=DARK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate("5 % allowed", (x, 0.05), (0, 4), textcoords="offset points", fontsize=9)


def _thousands(axes: Axes, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(ticks[0], ticks[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
