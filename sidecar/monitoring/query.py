"""What a PromQL expression names: enough to find a metric or label that is not there. Pure."""

import re
from collections.abc import Iterable

METRIC = re.compile(r"(?<![\w:])((?:[a-z_]+:)?understudy_[a-z0-9_]+(?::[a-z0-9_]+)?)(?![\w:])")
_LABELS = re.compile(r"\{([^}]*)\}")
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUP = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
TARGET = frozenset({"instance", "job", "le"})
"""Labels that are Prometheus's own."""


def metrics_in(expression: str) -> set[str]:
    """Return the metrics of ours that ``expression`` names, recorded ones too.

    >>> sorted(metrics_in('a:understudy_x:rate5m / understudy_y_total{route="understudy_z"}'))
    ['a:understudy_x:rate5m', 'understudy_y_total']
    """
    return set(METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def labels_in(expression: str) -> set[str]:
    """Return the labels that ``expression`` matches, groups or joins by, but for TARGET.

    >>> sorted(labels_in('sum by (route, le) (rate(x_bucket{role="mirror"}[5m]))'))
    ['role', 'route']
    """
    bare = re.sub(r'"[^"]*"', '""', expression)
    found: set[str] = set()
    for matchers in _LABELS.findall(bare):
        found |= set(_MATCHER.findall(matchers))
    for group in _GROUP.findall(bare):
        found |= {word.strip() for word in group.split(",") if word.strip()}
    return found - TARGET


def faults(expressions: Iterable[str], known: set[str], labels: set[str]) -> list[str]:
    """Return what the expressions name and nothing has; empty if all is well."""
    found = []
    for expression in expressions:
        found += [f"metric {name}: {expression}" for name in metrics_in(expression) - known]
        found += [f"label {name}: {expression}" for name in labels_in(expression) - labels]
    return sorted(found)
