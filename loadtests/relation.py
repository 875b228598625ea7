"""Figures that take two turns of one round: against no proxy, and against one worker. Pure.

A difference within a round is taken over some seconds; a difference of medians over minutes.
"""

import dataclasses
from collections.abc import Mapping

from loadtests.report import Turn

DIRECT = "direct"
"""The row without a proxy."""
_STREAM = ("first_p50_ms", "first_p99_ms", "journey_p50_ms", "journey_p99_ms")
_GAPS = ("gap_p50_ms", "gap_p99_ms")


def relate(turns: Mapping[str, Turn]) -> dict[str, Turn]:
    """Return one round's turns, by row, with the figures that need a second turn added."""
    return {name: _related(name, turn, turns) for name, turn in turns.items()}


def _related(name: str, turn: Turn, turns: Mapping[str, Turn]) -> Turn:
    figures = dict(turn.figures)
    suffix = name.rpartition("-")[2]
    direct = turns.get(f"{DIRECT}-{suffix}")
    if direct is not None and direct is not turn:
        figures |= added(turn, direct)
    single = turns.get(name.removesuffix("-2w") + "-1w") if name.endswith("-2w") else None
    if single is not None and turn.cpu_us_per_request > 0:
        figures["two_over_one"] = 2 * single.cpu_us_per_request / turn.cpu_us_per_request
        figures["throughput_ratio"] = turn.requests_per_s / max(single.requests_per_s, 1e-9)
    return dataclasses.replace(turn, figures=figures)


def added(turn: Turn, direct: Turn) -> dict[str, float]:
    """Return what the proxy adds to the times of the same load without it, in milliseconds."""
    names = [name for name in (*_STREAM, *_GAPS) if name in turn.figures]
    if names:
        return {f"added_{name}": turn.figures[name] - direct.figures[name] for name in names}
    return {
        "added_p50_ms": turn.p50_ms - direct.p50_ms,
        "added_p99_ms": turn.p99_ms - direct.p99_ms,
    }
