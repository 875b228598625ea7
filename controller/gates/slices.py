"""Groups of golden rows: is the challenger worse for one, whatever it is on average? Pure."""

from collections import defaultdict
from collections.abc import Sequence

from controller.gates.goldenspec import SliceSpec
from controller.gates.measured import Answered, Measured, NotMeasured, measure
from controller.gates.verdict import Claim, Judged, judge_together
from evaluator.metric import MetricSpec

MAX_SLICES = 500
"""Chosen: more are no groups, but a number or a name that was taken for one."""

Slice = tuple[str, str]
"""What it is called by, and the value: (country, NL)."""


class TooManySlices(Exception):
    """The rows fall into more groups than anybody could look at."""


def grouped(rows: Sequence[tuple[Sequence[Slice], Answered]]) -> dict[Slice, list[Answered]]:
    """Return the rows of each slice, sorted by its name; TooManySlices beyond MAX_SLICES."""
    found: defaultdict[Slice, list[Answered]] = defaultdict(list)
    for slices, row in rows:
        for one in slices:
            found[one].append(row)
        if len(found) > MAX_SLICES:
            raise TooManySlices(f"more than {MAX_SLICES} slices; the last is {slices[-1]!r}")
    return dict(sorted(found.items()))


def judge_slices(
    groups: dict[Slice, list[Answered]],
    metrics: Sequence[MetricSpec],
    spec: SliceSpec,
    alpha: float,
) -> list[Judged]:
    """Return how every metric stands in every group.

    Null:    of a group: the challenger is as good as it has to be there. All are tested at once.
    Promise: P(any group is called worse although none is) <= alpha (Holm), whatever depends on
             what. A group passes at its own alpha: all must pass, and to be wrong about the whole
             one has to be wrong about each that is bad, so nothing has to be adjusted there
             (intersection-union: Berger 1982, Technometrics 24). Groups below ``spec.at_least``
             rows are unknown.
    """
    claims: list[Claim] = []
    for (key, value), rows in groups.items():
        for metric in metrics:
            name = f"{metric.name} for {key}={value}"
            claims.append((name, metric, _measured(metric, rows, spec)))
    return judge_together(claims, alpha)


def _measured(metric: MetricSpec, rows: Sequence[Answered], spec: SliceSpec) -> Measured | str:
    if len(rows) < spec.at_least:
        return f"{len(rows)} rows, of which nothing is claimed below {spec.at_least}"
    try:
        found = measure(metric, rows, spec.allowed)
    except NotMeasured as error:
        return str(error)
    if found.comparison.n < spec.at_least:
        return f"{found.comparison.n} rows that count, below {spec.at_least}"
    return found
