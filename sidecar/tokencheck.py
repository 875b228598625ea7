"""Checks what a routing file says of exposure tokens, and the key files that it names."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from evaluator.metric import LABELLED
from router.keyfile import KeyFileError, load
from sidecar.model.label import Labels
from sidecar.model.metric import MetricSection
from sidecar.problem import Path, Problem
from sidecar.routecheck import part
from sidecar.routeintent import absolute
from sidecar.yamltree import Tree

EXPECTED = "a file with a key id and a secret a line, of mode 0600 or 0440"


def check_tokens(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with the tokens of every route; files are relative to ``folder``."""
    problems: list[Problem] = []
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        route: Path = ("routes", index)
        labels = part(tree, (*route, "labels"), Labels)
        if labels is None:
            continue
        if labels.token is not None:
            problems += _key_file(tree, (*route, "labels", "token", "keys"), folder)
        if labels.join == "token":
            problems += _join(tree, route, labels)
    return problems


def _key_file(tree: Tree, path: Path, folder: FilePath) -> Iterator[Problem]:
    named = absolute(folder, str(tree.get(path)))
    try:
        load(named)
    except KeyFileError as error:
        yield tree.problem(path, EXPECTED, found=f"{named} ({error})")


def _join(tree: Tree, route: Path, labels: Labels) -> Iterator[Problem]:
    """``join: token`` cannot serve what needs to know which labels are missing."""
    join = (*route, "labels", "join")
    if labels.token is None:
        yield tree.problem(join, "`token: {keys: FILE}` beside it, or `join: store`")
    if labels.missing == "incorrect":
        yield tree.problem(
            (*route, "labels", "missing"),
            "`missing: ignore`: with `join: token` nobody knows which labels are missing, so none "
            "of them can count as incorrect; `join: store` knows",
        )
    if labels.sampled is not None:
        yield tree.problem(
            (*route, "labels", "sampled"),
            "`join: store`: with `join: token` nobody knows which requests were not drawn",
        )
    if labels.scorer is not None:
        yield tree.problem(
            (*route, "labels", "scorer"),
            "`join: store`: a scorer judges the answers that wait in the store",
        )
    metrics = tree.get((*route, "metrics"))
    for name in metrics if isinstance(metrics, dict) else ():
        yield from _paths(tree, (*route, "metrics", name))


def _paths(tree: Tree, path: Path) -> Iterator[Problem]:
    """A token holds the prediction and no other part of the answer."""
    metric = part(tree, path, MetricSection)
    if metric is None or not (metric.kind in LABELLED or metric.source == "label"):
        return
    for key in ("of", "covariate", "proxy"):
        if getattr(metric, key) is not None:
            yield tree.problem(
                (*path, key),
                f"no `{key}`, or `join: store`: of the answer a token holds the route's "
                "`prediction` alone",
            )
