"""The bar of a check: what its effect must exceed, where effect and bar have one unit. Pure."""

from controller.policy import RouteIntent
from evaluator.evidence import Role
from evaluator.metric import MetricSpec

ABSOLUTE = frozenset({"correct", "error", "mean", "loss", "precision", "recall", "f1", "auc"})
"""Kinds whose ``margin`` is on the scale of the effect; a latency's is relative."""

DECLARED = frozenset({"agreement", "divergence"})
"""Kinds whose effect is measured from a declared number."""


def bars(policy: RouteIntent) -> dict[str, float]:
    """Return what the effect of each check must exceed to pass, by check.

    0 for "better than the champion" and for effects that are measured from a declared number,
    minus the margin for "not worse by more". A check without an entry has no such number.
    """
    found = {metric.name: _bar(metric) for metric in policy.metrics}
    return {name: bar for name, bar in found.items() if bar is not None}


def _bar(metric: MetricSpec) -> float | None:
    if metric.is_one_sample or metric.kind in DECLARED:
        return 0.0
    if metric.within is not None or metric.margin_relative is not None:
        return None
    if metric.role is Role.OBJECTIVE:
        return 0.0
    if metric.margin is None or metric.kind not in ABSOLUTE:
        return None
    return -metric.margin
