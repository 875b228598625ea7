"""Does the challenger treat the declared groups alike? On the answers to the golden set.

Runs in a process of its own (controller/gates/cell.py). The number is fairlearn's; the interval
around it, and what is too few rows, are of controller/gates/groupgap.py.
"""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.gates.finding import SHOWN, Finding, clipped, listed
from controller.gates.groupgap import Gap, Rate, gap, rates
from controller.gates.securityspec import FairnessSpec
from evaluator.evidence import CheckState

MAX_GROUPS = 100
"""Of one column. Chosen: a column with more is an identifier, not a group."""
SAME = 1e-9
"""Two sums in another order differ by less."""


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """What the golden set and the models say, a row each; all sequences are of one length."""

    labels: tuple[str, ...]
    """Classes, as canonical JSON text; so are the predictions."""
    challenger: tuple[str, ...]
    champion: tuple[str, ...] | None
    """None when the champion was not asked."""
    groups: Mapping[str, tuple[str, ...]]
    """For each column of ``by``, the row's group."""
    unanswered: int = 0
    """Rows that are not here because a model did not answer them."""
    left_out: int = 0
    """Rows that are not here because they have no label, or no group in some column."""

    def __post_init__(self) -> None:
        columns = [self.labels, self.challenger, *self.groups.values()]
        if self.champion is not None:
            columns.append(self.champion)
        if len({len(one) for one in columns}) > 1:
            raise ValueError(f"columns must have one length, got {[len(one) for one in columns]}")


def check(spec: FairnessSpec, rows: GoldenRows) -> list[Finding]:
    """Return one finding for each column of ``by``."""
    return [_column(spec, rows, column) for column in spec.by]


def _column(spec: FairnessSpec, rows: GoldenRows, column: str) -> Finding:
    name = f"fairness by {clipped(column, 80)}"
    groups = rows.groups.get(column)
    if groups is None:
        return Finding(name, CheckState.UNKNOWN, f"the golden set has no column {column!r}")
    if spec.worse_by is not None and rows.champion is None:
        return Finding(name, CheckState.UNKNOWN, "the champion's answers are not there")
    if len(set(groups)) > MAX_GROUPS:
        because = f"{len(set(groups))} groups, more than {MAX_GROUPS}: no groups, but names"
        return Finding(name, CheckState.UNKNOWN, because)
    sides = {"challenger": rows.challenger}
    if rows.champion is not None and spec.worse_by is not None:
        sides["champion"] = rows.champion
    seen = {
        side: rates(spec.metric, rows.labels, told, groups, positive=spec.positive)
        for side, told in sides.items()
    }
    numbers = _numbers(spec, rows, groups, seen["challenger"])
    if doubt := _too_thin(spec, groups, rows, seen["challenger"]):
        return Finding(name, CheckState.UNKNOWN, doubt, numbers)
    alpha = spec.alpha / (len(spec.by) * len(sides))
    gaps = {side: gap(found, alpha) for side, found in seen.items()}
    for side, found in gaps.items():
        said = _fairlearn(spec, rows.labels, sides[side], groups)
        if abs(said - found.estimate) > SAME:
            raise AssertionError(f"fairlearn says {said}, we {found.estimate}: a fault of ours")
        numbers[side] = {"estimate": found.estimate, "low": found.low, "high": found.high}
    return _weigh(name, spec, gaps, numbers)


def _too_thin(
    spec: FairnessSpec, groups: tuple[str, ...], rows: GoldenRows, seen: list[Rate]
) -> str:
    """Return why nothing can be said, or nothing."""
    if rows.unanswered:
        return f"{rows.unanswered} rows have no answer"
    if len(set(groups)) < 2:
        return f"{len(set(groups))} group: nothing to compare"
    thin = [one for one in seen if one.rows < spec.at_least]
    if thin:
        few = [f"{clipped(one.group, 40)} has {one.rows} ({one.what})" for one in thin]
        return f"fewer than {spec.at_least} rows: {listed(few)}"
    return ""


def _fairlearn(
    spec: FairnessSpec, labels: tuple[str, ...], told: tuple[str, ...], groups: tuple[str, ...]
) -> float:
    """Return the metric as fairlearn computes it."""
    from fairlearn import metrics

    compute = getattr(metrics, spec.metric)
    if spec.metric == "accuracy_score_difference":
        return float(compute(list(labels), list(told), sensitive_features=list(groups)))
    truth = [int(one == spec.positive) for one in labels]
    selected = [int(one == spec.positive) for one in told]
    return float(compute(truth, selected, sensitive_features=list(groups)))


def _weigh(
    name: str, spec: FairnessSpec, gaps: Mapping[str, Gap], numbers: dict[str, Any]
) -> Finding:
    ours = gaps["challenger"]
    states: list[tuple[CheckState, str]] = []
    if spec.at_most is not None:
        states.append(_limit(spec, "the difference", ours, spec.at_most))
    if spec.worse_by is not None:
        theirs = gaps["champion"]
        more = Gap(ours.estimate - theirs.estimate, ours.low - theirs.high, ours.high - theirs.low)
        numbers["worse_by"] = {"estimate": more.estimate, "low": more.low, "high": more.high}
        states.append(_limit(spec, "the difference beyond the champion's", more, spec.worse_by))
    for wanted in (CheckState.TRIPPED, CheckState.UNDECIDED):
        for state, because in states:
            if state is wanted:
                return Finding(name, state, because, numbers)
    return Finding(name, CheckState.PASSED, "; ".join(because for _, because in states), numbers)


def _limit(spec: FairnessSpec, what: str, found: Gap, limit: float) -> tuple[CheckState, str]:
    said = (
        f"{spec.metric}: {what} is {found.estimate:.2%} "
        f"({found.low:.2%} to {found.high:.2%}), limit {limit:.2%}"
    )
    if spec.judge_by == "estimate":
        return (CheckState.PASSED if found.estimate <= limit else CheckState.TRIPPED), said
    if found.high <= limit:
        return CheckState.PASSED, said
    if found.low > limit:
        return CheckState.TRIPPED, said
    return CheckState.UNDECIDED, f"{said}: more rows would tell"


def _numbers(
    spec: FairnessSpec, rows: GoldenRows, groups: tuple[str, ...], seen: list[Rate]
) -> dict[str, Any]:
    return {
        "metric": spec.metric,
        "library": f"fairlearn {importlib.metadata.version('fairlearn')}",
        "positive": spec.positive,
        "rows": len(rows.labels),
        "unanswered": rows.unanswered,
        "left_out": rows.left_out,
        "judge_by": spec.judge_by,
        "alpha": spec.alpha,
        "groups": [
            {"group": clipped(one.group, 80), "rate": one.what, "hits": one.hits, "rows": one.rows}
            for one in seen[: 5 * SHOWN]
        ],
    }
