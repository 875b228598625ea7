"""From the keys of the stages before traffic to what their gates work with. Pure."""

import os.path
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.gates.functionalspec import FunctionalSpec, LatencyLimit
from controller.gates.goldenspec import Allowed, GoldenSpec, PerformanceSpec, SliceSpec
from controller.policy import StageSpec
from sidecar.gatecheck import compared
from sidecar.model.functional import Functional, LightLatency
from sidecar.model.performance import GateMetric, Performance
from sidecar.model.route import RouteSection
from sidecar.model.stage import Stage
from sidecar.protocol import metadata_path
from sidecar.securityintent import security_of

Schemas = Mapping[str, dict[str, Any]]
"""By the key that names the file."""


def with_gates(
    spec: StageSpec, stage: Stage, route: RouteSection, folder: Path, schemas: Schemas
) -> StageSpec:
    """Return ``spec`` with what its stage declares for a gate; files are relative to ``folder``."""
    if stage.functional is not None:
        return replace(spec, functional=_functional(stage.functional, route, schemas))
    if stage.performance is not None:
        return replace(spec, performance=_performance(stage.performance, route, folder))
    if stage.security is not None:
        return replace(spec, security=security_of(stage.security, folder, route.protocol))
    return spec


def _functional(stage: Functional, route: RouteSection, schemas: Schemas) -> FunctionalSpec:
    path = metadata_path(route.protocol, route.match.path) if stage.metadata else None
    return FunctionalSpec(
        request_schema=schemas.get("request_schema"),
        response_schema=schemas.get("response_schema"),
        metadata_path=path,
        protocol=route.protocol,
        batch=tuple(stage.batch),
        bad_input=stage.bad_input,
        latency=None if stage.latency is None else _latency(stage.latency),
        deterministic=stage.deterministic,
    )


def _latency(section: LightLatency) -> LatencyLimit:
    limits = ((0.5, section.p50), (0.95, section.p95), (0.99, section.p99))
    known = tuple((share, limit_s) for share, limit_s in limits if limit_s is not None)
    return LatencyLimit(known, section.requests)


def _performance(stage: Performance, route: RouteSection, folder: Path) -> PerformanceSpec:
    columns = stage.columns
    return PerformanceSpec(
        golden=GoldenSpec(
            path=_absolute(folder, stage.golden),
            digest=None if stage.digest is None else stage.digest.removeprefix("sha256:"),
            label=columns.label,
            request=columns.request,
            features=None if columns.features is None else tuple(columns.features),
            template=stage.template,
            protocol=route.protocol,
            by=tuple(stage.by),
        ),
        metrics=tuple(
            (name, _allowed(name, stage, route)) for name in compared(route.metrics, stage)
        ),
        slices=SliceSpec(
            allowed=Allowed(relative=stage.slices.margin_relative),
            at_least=stage.slices.at_least,
            small=stage.slices.small,
            undecided=stage.slices.undecided,
        ),
        at_least=stage.at_least,
        skip_shadow_from=stage.skip_shadow_when,
        concurrency=stage.concurrency,
        training=tuple(
            (name, tuple(_absolute(folder, file) for file in files))
            for name, files in stage.training.items()
        ),
        require_training_data=stage.require_training_data,
    )


def _allowed(name: str, stage: Performance, route: RouteSection) -> Allowed:
    """Return a metric's margin: the gate's for it, else its own, else the gate's for all."""
    own, metric = stage.metrics.get(name, GateMetric()), route.metrics[name]
    for said in (own, metric):
        if said.margin is not None or said.margin_relative is not None:
            return Allowed(said.margin, said.margin_relative)
    return Allowed(relative=stage.margin_relative)


def _absolute(folder: Path, file: str) -> str:
    return os.path.normpath(folder / file)
