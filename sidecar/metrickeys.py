"""Which keys a metric of the routing file needs, by its kind and role.

Every check of one metric by itself is here; what it needs from the rest of the file is in
sidecar/routecheck.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.model.metric import MetricSection
from sidecar.problem import Path, Problem
from sidecar.yamltree import Tree


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one kind in one role; all others are refused."""

    needs: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """Exactly one of these."""
    may: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.one_of, *self.needs, *self.may)


_NUMBER = ("value", "source", "direction", "range", "covariate", "proxy", "horizon")
_LOSS = ("of", "range", "quantile", "covariate", "proxy", "horizon")
_ALONE = ("at_least", "at_most")
_BETTER, _NOT_WORSE = ("detect", "within"), ("margin", "margin_relative", "within")

METRIC_KEYS: dict[tuple[str, str], Keys] = {
    ("correct", "objective"): Keys(one_of=(*_BETTER, "at_least"), may=("horizon",)),
    ("correct", "guardrail"): Keys(one_of=(*_NOT_WORSE, "at_least"), may=("horizon",)),
    ("error", "objective"): Keys(one_of=(*_BETTER, "at_most"), may=("horizon",)),
    ("error", "guardrail"): Keys(one_of=(*_NOT_WORSE, "at_most"), may=("horizon",)),
    ("latency", "guardrail"): Keys(needs=("quantile", "margin")),
    ("mean", "objective"): Keys(one_of=(*_BETTER, *_ALONE), may=_NUMBER),
    ("mean", "guardrail"): Keys(one_of=(*_NOT_WORSE, *_ALONE), may=_NUMBER),
    ("mean", "proxy"): Keys(one_of=(*_NOT_WORSE, *_ALONE), may=_NUMBER),
    ("loss", "objective"): Keys(needs=("loss",), one_of=(*_BETTER, "at_most"), may=_LOSS),
    ("loss", "guardrail"): Keys(needs=("loss",), one_of=(*_NOT_WORSE, "at_most"), may=_LOSS),
    **{
        ("agreement", role): Keys(needs=("at_least",))
        for role in ("proxy", "guardrail", "objective")
    },
    **{
        ("divergence", role): Keys(needs=("at_most",), may=("distance", "of", "range"))
        for role in ("proxy", "guardrail", "objective")
    },
    **{("drift", role): Keys(needs=("at_most",), may=("of",)) for role in ("proxy", "guardrail")},
    **{
        (kind, role): Keys(needs=("positive", key))
        for kind in ("precision", "recall", "f1")
        for role, key in (("objective", "detect"), ("guardrail", "margin"))
    },
    ("auc", "objective"): Keys(needs=("positive", "detect"), may=("of",)),
    ("auc", "guardrail"): Keys(needs=("positive", "margin"), may=("of",)),
}
ALL_KEYS = tuple(key for key in MetricSection.model_fields if key not in ("kind", "role"))
EXAMPLES = {
    "detect": "1%",
    "margin": "0.5%",
    "margin_relative": "10%",
    "within": "1%",
    "at_least": "90%",
    "at_most": "5%",
    "quantile": "0.95",
    "loss": "absolute",
    "positive": "fraud",
}
SHARES_ONLY = frozenset(
    ("correct", "error", "latency", "agreement", "drift", "precision", "recall", "f1", "auc")
)
"""Kinds whose numbers are shares: their amounts carry a percent sign and are at most 100 %."""
AMOUNTS = ("detect", "margin", "within", "at_least", "at_most")


def check_metric(tree: Tree, path: Path, metric: MetricSection) -> Iterator[Problem]:
    """Yield what is wrong with the keys of one metric."""
    keys = METRIC_KEYS.get((metric.kind, metric.role))
    if keys is None:
        roles = [role for kind, role in METRIC_KEYS if kind == metric.kind]
        yield tree.problem(
            (*path, "role"), f"{' or '.join(roles)} for a metric of kind {metric.kind}"
        )
        return
    yield from _presence(tree, path, metric, keys)
    yield from _amounts(tree, path, metric)
    yield from _ranges(tree, path, metric)
    if metric.kind == "latency" and metric.quantile is not None and metric.quantile < 0.5:
        yield tree.problem((*path, "quantile"), "a number from 0.5 to 0.999, such as 0.95")
    if metric.loss == "pinball" and metric.quantile is None:
        yield _lacks(tree, path, "quantile")


def _presence(tree: Tree, path: Path, metric: MetricSection, keys: Keys) -> Iterator[Problem]:
    given = [key for key in ALL_KEYS if getattr(metric, key) is not None]
    for key in keys.needs:
        if key not in given:
            yield _lacks(tree, path, key)
    chosen = [key for key in keys.one_of if key in given]
    if keys.one_of and not chosen:
        yield tree.problem(
            (*path, keys.one_of[0]),
            f"`{keys.one_of[0]}`, such as {keys.one_of[0]}: {EXAMPLES[keys.one_of[0]]}"
            f" (or {', '.join(keys.one_of[1:])})",
            found=f"no `{keys.one_of[0]}`",
        )
    for key in given:
        if key not in keys.known:
            expected = f"only {', '.join(keys.known)} for {metric.kind} as {metric.role}"
            yield tree.problem((*path, key), expected, found=f"`{key}`", at_key=True)
        elif key in chosen[1:]:
            yield tree.problem(
                (*path, key), f"one of {', '.join(keys.one_of)}", found="more", at_key=True
            )


def _lacks(tree: Tree, path: Path, key: str) -> Problem:
    example = f"`{key}`, such as {key}: {EXAMPLES[key]}"
    return tree.problem((*path, key), example, found=f"no `{key}`")


def _amounts(tree: Tree, path: Path, metric: MetricSection) -> Iterator[Problem]:
    """Shares carry their sign, and stay within 100 %."""
    if metric.kind not in SHARES_ONLY:
        return
    for key in AMOUNTS:
        value, text = getattr(metric, key), tree.get((*path, key))
        if value is None or metric.kind == "latency":
            continue
        if not str(text).endswith("%") or not 0.0 < value <= 1.0:
            yield tree.problem((*path, key), "a share above 0% and at most 100%, such as 1%")


def _ranges(tree: Tree, path: Path, metric: MetricSection) -> Iterator[Problem]:
    is_mean = metric.kind == "mean"
    is_alone = metric.at_most is not None or (is_mean and metric.at_least is not None)
    if metric.range is not None:
        low, high = metric.range
        if not low < high:
            yield tree.problem((*path, "range"), "[lowest, highest], the second one larger")
        elif metric.margin_relative is not None and low < 0.0:
            yield tree.problem(
                (*path, "margin_relative"), "a range from 0 on: a share of less than 0 is nothing"
            )
    elif metric.kind in ("mean", "loss") and is_alone:
        yield tree.problem(
            (*path, "range"), "`range: [0, 10]`: without one nothing is known of a number alone"
        )
    is_lower = metric.kind == "loss" or metric.direction == "lower"
    if metric.margin_relative is not None and not is_lower and metric.kind != "error":
        if metric.margin_relative >= 1.0:
            yield tree.problem((*path, "margin_relative"), "less than 100% where higher is better")
