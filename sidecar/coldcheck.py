"""What a route without a champion must declare: checks between the keys of the routing file."""

import re
from collections.abc import Iterator
from typing import Any

from sidecar import quantity
from sidecar.model.coldstart import AbsoluteCheck, ColdStart
from sidecar.model.metric import MetricSection
from sidecar.problem import Path, Problem
from sidecar.yamltree import Tree

BOUNDS: dict[str, tuple[str, ...]] = {
    "correct": ("at_least",),
    "error": ("at_most",),
    "latency": ("at_most",),
    "mean": ("at_least", "at_most"),
    "loss": ("at_most",),
}
"""The kinds that say something of one variant alone, and by which keys."""
FORMS = {"correct": "a share, such as 90%", "error": "a share, such as 2%"}


def check_cold_start(
    tree: Tree, route: Path, cold: ColdStart | None, metrics: dict[str, MetricSection | None]
) -> Iterator[Problem]:
    """Yield what is wrong with a route's ``champion`` and ``cold_start``.

    ``cold``: None if there is none, or none that is sound by itself. ``metrics``: None for one that
    is at fault.
    """
    has_champion = tree.get((*route, "champion")) is not None
    is_cold = tree.get((*route, "cold_start")) is not None
    if not has_champion and not is_cold:
        yield tree.problem(
            (*route, "champion"),
            "`champion`, the variant that answers users: {name, url}; or `cold_start`, if there "
            "is none yet",
            found="no `champion`",
        )
    if has_champion and is_cold:
        yield tree.problem(
            (*route, "cold_start"),
            "either `champion` or `cold_start`: a version that is proven by numbers alone stands "
            "under `challengers`",
            found="both",
            at_key=True,
        )
    if is_cold and not tree.get((*route, "challengers")):
        yield tree.problem(
            (*route, "challengers"),
            "`challengers`: the first of them is the first version",
            found="no `challengers`",
        )
    if cold is not None:
        for name, one in cold.checks.items():
            yield from _check_one(tree, (*route, "cold_start", "checks", name), one, metrics)
        if cold.for_at_least > cold.at_most:
            at_most = quantity.duration_text(cold.at_most)
            yield tree.problem(
                (*route, "cold_start", "for_at_least"), f"no more than at_most ({at_most})"
            )


def _check_one(
    tree: Tree, path: Path, one: AbsoluteCheck, metrics: dict[str, MetricSection | None]
) -> Iterator[Problem]:
    name = str(path[-1])
    if name not in metrics:
        yield tree.problem(
            path, f"the name of a metric of this route ({', '.join(metrics) or 'there is none'})"
        )
    metric = metrics.get(name)
    if metric is None:
        return
    bounds = BOUNDS.get(metric.kind)
    if bounds is None:
        yield tree.problem(
            path,
            f"a metric of kind {', '.join(BOUNDS)}: {metric.kind} says nothing of one variant "
            "alone",
        )
        return
    given = [key for key in ("at_least", "at_most") if getattr(one, key) is not None]
    if len(given) != 1 or given[0] not in bounds:
        yield tree.problem(
            path,
            f"`{'` or `'.join(bounds)}` for a metric of kind {metric.kind}",
            found=", ".join(given) or "no limit",
        )
        return
    yield from _check_form(tree, (*path, given[0]), getattr(one, given[0]), metric)
    if one.quantile is not None and metric.kind != "latency":
        yield tree.problem((*path, "quantile"), "no `quantile`: it is for latency", at_key=True)


def _check_form(tree: Tree, path: Path, value: float, metric: MetricSection) -> Iterator[Problem]:
    """Shares carry their sign, times their unit, and a number needs a range."""
    text: Any = tree.get(path)
    is_time = re.fullmatch(quantity.DURATION, str(text), re.ASCII) is not None
    if metric.kind in FORMS:
        if not str(text).endswith("%") or not 0.0 < value < 1.0:
            yield tree.problem(path, FORMS[metric.kind])
    elif metric.kind == "latency":
        if not is_time or value <= 0.0:
            yield tree.problem(path, "a time, such as 300ms")
    elif is_time:
        yield tree.problem(path, "a number in the metric's own unit")
    elif metric.range is None:
        yield tree.problem(
            path,
            "`range: [0, 10]` on the metric: without one nothing is known of a number alone",
        )
