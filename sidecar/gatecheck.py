"""What the keys of the functional and performance stages need of the rest of the routing file.

As sidecar/routecheck.py: reads the sound parts, returns Problems, never raises. It looks at the
files that the stages name, too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from controller.gates.goldenspec import OFFLINE
from controller.rowfile import format_of
from sidecar.model.functional import Functional
from sidecar.model.metric import MetricSection
from sidecar.model.performance import Performance
from sidecar.problem import Path, Problem
from sidecar.protocol import metadata_path
from sidecar.routecheck import part, stages_of
from sidecar.schemafile import SchemaFileError, read_schema
from sidecar.yamltree import Tree

SCHEMAS = ("request_schema", "response_schema")
DEFAULT_KINDS = ("correct", "precision", "recall", "f1", "auc", "loss", "mean")
"""Of the metrics that a gate compares where it names none: those that look at predictions. Errors
and latency are shown better by traffic, and errors count as wrong answers in any case."""

Schemas = dict[int, dict[str, dict[str, Any]]]
"""By the index of the route and the key of its functional stage."""


def check_gates(tree: Tree, folder: FilePath) -> tuple[list[Problem], Schemas]:
    """Return what is wrong with the stages of all routes, and the schemas that they name."""
    problems: list[Problem] = []
    schemas: Schemas = {}
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        stages = stages_of(tree, ("routes", index))
        if path := stages.get("functional"):
            problems += _functional(tree, ("routes", index), path)
            problems += _schemas(tree, index, path, folder, schemas)
        if path := stages.get("performance"):
            problems += _performance(tree, ("routes", index), path, folder)
    return problems, schemas


def compared(metrics: Mapping[str, MetricSection], stage: Performance) -> tuple[str, ...]:
    """Return the names of the metrics that a performance stage compares."""
    if stage.metrics:
        return tuple(stage.metrics)
    return tuple(
        name
        for name, metric in metrics.items()
        if metric.kind in DEFAULT_KINDS and metric.source not in ("label", "scorer")
    )


def _functional(tree: Tree, route: Path, path: Path) -> Iterator[Problem]:
    functional = part(tree, path, Functional)
    if functional is None:
        return
    for key in ("batch", "latency", "deterministic", *SCHEMAS):
        if getattr(functional, key) and functional.samples is None:
            yield tree.problem(
                (*path, key), "`samples` beside it: they are what is asked", at_key=True
            )
    protocol, match = tree.get((*route, "protocol")), tree.get((*route, "match", "path"))
    if functional.metadata and metadata_path(str(protocol), str(match)) is None:
        yield tree.problem(
            (*path, "metadata"),
            "`protocol: open-inference-v2` and a match such as /v2/models/NAME/infer",
            found=f"metadata with {protocol or 'json'} at {match}",
        )
    quick = functional.latency
    if quick is not None and quick.p50 is None and quick.p95 is None and quick.p99 is None:
        yield tree.problem(
            (*path, "latency"), "a limit: p50, p95 or p99, such as p99: 200ms", found="no limit"
        )


def _schemas(
    tree: Tree, index: int, path: Path, folder: FilePath, schemas: Schemas
) -> Iterator[Problem]:
    functional = part(tree, path, Functional)
    for key in SCHEMAS:
        named = None if functional is None else getattr(functional, key)
        if named is None:
            continue
        try:
            schemas.setdefault(index, {})[key] = read_schema(folder / named)
        except SchemaFileError as exc:
            yield tree.problem((*path, key), "a file with a JSON Schema", found=str(exc))


def _performance(tree: Tree, route: Path, path: Path, folder: FilePath) -> Iterator[Problem]:
    performance = part(tree, path, Performance)
    if performance is None:
        return
    yield from _golden(tree, path, performance, folder)
    names = tree.get((*route, "metrics"))
    metrics = {
        name: metric
        for name in (names if isinstance(names, dict) else {})
        if (metric := part(tree, (*route, "metrics", name), MetricSection)) is not None
    }
    for name, own in performance.metrics.items():
        at = (*path, "metrics", name)
        if own.margin is not None and own.margin_relative is not None:
            yield tree.problem(at, "either `margin` or `margin_relative`", found="both")
        if isinstance(names, dict) and name not in names:
            yield tree.problem(at, "a metric of the route", found=name, at_key=True)
        elif name in metrics and not _is_offline(metrics[name]):
            yield tree.problem(
                at,
                "a metric of the answers alone: of users or scores there is nothing offline",
                found=f"{name}, of kind {metrics[name].kind}",
                at_key=True,
            )
    if isinstance(names, dict) and len(metrics) == len(names):
        if not compared(metrics, performance):
            yield tree.problem(
                path,
                f"a metric of the route that is one of {', '.join(DEFAULT_KINDS)}, or `metrics`",
                found="a performance stage that compares nothing",
            )
    if performance.skip_shadow_when is not None and "canary" not in stages_of(tree, route):
        yield tree.problem(
            (*path, "skip_shadow_when"), "a canary stage: a promotion needs traffic", at_key=True
        )


def _golden(
    tree: Tree, path: Path, performance: Performance, folder: FilePath
) -> Iterator[Problem]:
    if format_of(FilePath(performance.golden)) is None:
        yield tree.problem(
            (*path, "golden"), "a file whose name ends in .ndjson, .jsonl, .csv or .parquet"
        )
    elif not (folder / performance.golden).is_file():
        yield tree.problem(
            (*path, "golden"), "a file", found=f"no file {folder / performance.golden}"
        )
    for name, files in performance.training.items():
        for number, file in enumerate(files):
            if not (folder / file).is_file():
                at = (*path, "training", name, number)
                yield tree.problem(at, "a file", found=f"no file {folder / file}")


def _is_offline(metric: MetricSection) -> bool:
    return metric.kind in OFFLINE and metric.source not in ("label", "scorer")
