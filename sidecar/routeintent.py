"""From the routing file's models to what the controller works with. Pure."""

import os.path
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from controller.policy import (
    BrokenSpec,
    ColdStartSpec,
    Feed,
    Intent,
    MlflowSpec,
    OnFutility,
    OnHookTimeout,
    OnTimeout,
    RecordSpec,
    RegistrySpec,
    ReportsSpec,
    RouteIntent,
    ScorerSpec,
    StageKind,
    StageSpec,
    TokenSpec,
    TracingSpec,
    WebhookSpec,
)
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from router.certificate import ServerTls
from router.table import Match, Tls, Variant
from sidecar.gateintent import Schemas, with_gates
from sidecar.model.coldstart import AbsoluteCheck, ColdStart
from sidecar.model.functional import Functional
from sidecar.model.gated import Gated
from sidecar.model.label import Labels, Scorer
from sidecar.model.metric import MetricSection
from sidecar.model.performance import Performance
from sidecar.model.process import ListenTls
from sidecar.model.registry import Registry, Reports
from sidecar.model.route import MatchSection, RouteSection
from sidecar.model.security import Security
from sidecar.model.stage import Canary, Production, RolloutSection, Shadow, Stage
from sidecar.model.variant import VariantSection, VariantTls
from sidecar.protocol import defaults, inference
from sidecar.routemodel import RoutingFile


def intent_of(
    file: RoutingFile,
    samples: Mapping[int, tuple[bytes, ...]],
    digest: str,
    folder: Path,
    schemas: Mapping[int, Schemas] = MappingProxyType({}),
) -> Intent:
    """Return the intent of a file that passed every check.

    ``samples`` maps the index of a route to the request bodies of its functional stage, ``schemas``
    to the JSON Schemas that it names; files are relative to ``folder``.
    """
    routes = linked(
        tuple(
            replace(
                _route(route, samples.get(index, ()), folder, schemas.get(index, {})),
                tracing=file.tracing is not None,
            )
            for index, route in enumerate(file.routes)
        ),
        {route.name: tuple(route.feeds) for route in file.routes},
    )
    return Intent(
        routes=routes,
        digest=digest,
        record=_record(file, folder),
        tracing=_tracing(file),
        store_bytes=file.store.size,
        registry=_registry(file.registry, folder),
    )


def _registry(section: Registry, folder: Path) -> RegistrySpec:
    return RegistrySpec(
        required=section.required,
        keys=absolute(folder, section.keys),
        mlflow=None if section.mlflow is None else MlflowSpec(section.mlflow.url),
    )


def _models(route: RouteSection) -> tuple[tuple[str, str], ...]:
    variants = (route.champion, *route.challengers)
    return tuple(
        (one.name, one.model) for one in variants if one is not None and one.model is not None
    )


def _reports(section: Reports) -> ReportsSpec:
    return ReportsSpec(
        path=section.path,
        version=section.version,
        digest=section.digest,
        version_header=section.version_header,
        digest_header=section.digest_header,
    )


def _tracing(file: RoutingFile) -> TracingSpec | None:
    if file.tracing is None:
        return None
    return TracingSpec(file.tracing.endpoint, file.tracing.service)


def linked(
    routes: tuple[RouteIntent, ...], feeds: Mapping[str, tuple[str, ...]]
) -> tuple[RouteIntent, ...]:
    """Return ``routes``, each knowing which ones it feeds and which feed it."""
    by_name = {route.name: route for route in routes}
    return tuple(
        replace(
            route,
            feeds=tuple(_feed(by_name[name]) for name in feeds[route.name]),
            fed_by=tuple(name for name, fed in feeds.items() if route.name in fed),
        )
        for route in routes
    )


def _feed(route: RouteIntent) -> Feed:
    return Feed(
        route=route.name,
        metrics=route.metrics,
        prediction=route.prediction,
        maturity_s=route.maturity_s,
        window_s=route.window_s,
        label_rate=route.label_rate,
    )


def _record(file: RoutingFile, folder: Path) -> RecordSpec | None:
    if file.record is None:
        return None
    return RecordSpec(os.path.abspath(folder / file.record.folder), file.record.size)


def _route(
    route: RouteSection, samples: tuple[bytes, ...], folder: Path, schemas: Schemas
) -> RouteIntent:
    by_protocol = defaults(route.protocol, route.match.path)
    labels, limits, rollout = route.labels, route.limits, route.rollout
    missing = labels.missing if labels is not None else "ignore"
    stages = rollout.stages if rollout is not None else []
    metrics = tuple(_metric(name, metric, missing) for name, metric in route.metrics.items())
    champion, challengers = _variants(route, folder)
    return RouteIntent(
        name=route.name,
        match=_match(route.match),
        champion=champion,
        challengers=challengers,
        standby=_variant(route.standby, folder) if route.standby is not None else None,
        metrics=metrics,
        champion_broken=_broken(rollout) if rollout is not None else None,
        cold_start=_cold_start(route.cold_start, metrics) if route.cold_start else None,
        stages=tuple(
            with_gates(
                _stage(stage, samples, by_protocol.ready_path), stage, route, folder, schemas
            )
            for stage in stages
        ),
        prediction=route.prediction if route.prediction is not None else by_protocol.prediction,
        unit_header=route.unit.header.lower() if route.unit is not None else None,
        alpha=rollout.alpha if rollout is not None else 0.05,
        maturity_s=labels.maturity if labels is not None else 0.0,
        window_s=labels.window if labels is not None else 0.0,
        label_rate=labels.sampled if labels is not None else None,
        labels_wanted=labels.wanted if labels is not None else "all",
        scorer=_scorer(labels.scorer) if labels is not None and labels.scorer else None,
        on_futility=OnFutility(rollout.on_futility) if rollout is not None else OnFutility.HOLD,
        cool_down_s=rollout.cool_down if rollout is not None else 0.0,
        capture_bytes=limits.capture,
        body_limit_bytes=limits.body,
        replay_bytes=limits.replay,
        eject_after=limits.eject_after,
        response_header=route.response_header,
        inference=inference(route.protocol, route.inference),
        copy_strip=tuple(name.lower() for name in route.mirror_headers.strip),
        copy_only=_lower(route.mirror_headers.only),
        upgrade=tuple(route.upgrade),
        token=_token(labels, folder) if labels is not None else None,
        models=_models(route),
        reports=_reports(route.reports) if route.reports is not None else None,
        shown=route.dashboard.show,
    )


def _broken(rollout: RolloutSection) -> BrokenSpec | None:
    spec = rollout.champion_broken
    return None if spec is None else BrokenSpec(max_failed=spec.errors, for_s=spec.for_)


def _variants(route: RouteSection, folder: Path) -> tuple[Variant, tuple[Variant, ...]]:
    """Return who is champion, or is to be the first one, and who comes after it."""
    declared = [route.champion] if route.champion is not None else []
    first, *others = (_variant(one, folder) for one in (*declared, *route.challengers))
    return first, tuple(others)


def _cold_start(cold: ColdStart, metrics: tuple[MetricSpec, ...]) -> ColdStartSpec:
    """Return the checks as metrics without a champion; limits of the same name replace theirs."""
    by_name = {metric.name: metric for metric in metrics}
    return ColdStartSpec(
        checks=tuple(_alone(by_name[name], one) for name, one in cold.checks.items()),
        at_least=cold.at_least,
        for_at_least_s=cold.for_at_least,
        at_most_s=cold.at_most,
        on_timeout=OnTimeout(cold.on_timeout),
    )


def _alone(metric: MetricSpec, one: AbsoluteCheck) -> MetricSpec:
    return replace(
        metric,
        role=Role.GUARDRAIL,
        detect=None,
        margin=None,
        margin_relative=None,
        within=None,
        horizon=None,
        at_least=one.at_least,
        at_most=one.at_most,
        quantile=metric.quantile if one.quantile is None else one.quantile,
    )


def _lower(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(name.lower() for name in names)


def _token(labels: Labels, folder: Path) -> TokenSpec | None:
    token = labels.token
    if token is None:
        return None
    return TokenSpec(absolute(folder, token.keys), token.hold, labels.join == "token")


def _scorer(scorer: Scorer) -> ScorerSpec:
    return ScorerSpec(scorer.url, scorer.function, scorer.batch, scorer.deadline)


def _match(match: MatchSection) -> Match:
    header = match.header
    return Match(
        path=match.path,
        host=match.host.lower() if match.host is not None else None,
        header=(header.name.lower(), header.value) if header is not None else None,
    )


def _variant(variant: VariantSection, folder: Path) -> Variant:
    target = variant.url
    return Variant(
        name=variant.name,
        host=target.host,
        port=target.port,
        socket=target.socket,
        tls=tls_of(variant.tls, folder) if target.is_tls else None,
        connect_timeout_s=variant.timeouts.connect,
        response_timeout_s=variant.timeouts.response,
        idle_timeout_s=variant.timeouts.idle,
        max_connections=variant.max_connections,
        max_pending=variant.max_pending,
    )


def tls_of(section: VariantTls | None, folder: Path) -> Tls:
    """Return what a variant's ``tls`` says, with absolute paths."""
    if section is None:
        return Tls()
    return Tls(
        ca=absolute(folder, section.ca),
        cert=absolute(folder, section.cert),
        key=absolute(folder, section.key),
        server_name=section.server_name or "",
    )


def listen_tls_of(section: ListenTls, folder: Path) -> ServerTls:
    """Return what the listener's ``tls`` says, with absolute paths."""
    return ServerTls(
        cert=absolute(folder, section.cert),
        key=absolute(folder, section.key),
        client_ca=absolute(folder, section.client_ca),
    )


def absolute(folder: Path, file: str | None) -> str:
    """Return the path of a file that is named relative to ``folder``; empty if none is.

    Links are not followed: a mounted secret is a link that changes at each update.
    """
    return "" if file is None else os.path.normpath(folder / file)


def _metric(name: str, metric: MetricSection, missing: str) -> MetricSpec:
    quantity = ("detect", "margin", "margin_relative", "within", "at_least", "at_most", "quantile")
    return MetricSpec(
        name=name,
        kind=metric.kind,
        role=Role(metric.role),
        missing=missing if metric.kind == "correct" else "ignore",
        value=metric.value if metric.of is None else metric.of,
        source=metric.source or "answer",
        direction=metric.direction or "higher",
        range=(metric.range[0], metric.range[1]) if metric.range is not None else None,
        measure=metric.loss if metric.kind == "loss" else metric.distance,
        positive=metric.positive,
        covariate=metric.covariate,
        proxy=metric.proxy,
        horizon=metric.horizon,
        **{key: getattr(metric, key) for key in quantity},
    )


def _stage(stage: Stage, samples: tuple[bytes, ...], ready_path: str | None) -> StageSpec:
    if stage.functional is not None:
        return _functional(stage.functional, samples, ready_path)
    if stage.performance is not None:
        return _performance(stage.performance)
    if stage.security is not None:
        return _security(stage.security)
    if stage.shadow is not None:
        return _shadow(stage.shadow)
    if stage.canary is not None:
        return _canary(stage.canary)
    if stage.production is not None:
        return _production(stage.production)
    raise AssertionError("routecheck refuses a stage without a kind")


def _approvals(stage: Gated) -> int:
    return 0 if stage.approval is None else stage.approval.by


def _webhooks(stage: Gated) -> tuple[WebhookSpec, ...]:
    return tuple(
        WebhookSpec(
            name=hook.name,
            url=hook.url,
            timeout_s=hook.timeout,
            on_timeout=OnHookTimeout(hook.on_timeout),
            each_step=hook.each_step,
            namespace=hook.namespace,
            metadata=tuple(sorted(hook.metadata.items())),
        )
        for hook in stage.webhooks
    )


def _functional(stage: Functional, samples: tuple[bytes, ...], ready_path: str | None) -> StageSpec:
    return StageSpec(
        kind=StageKind.FUNCTIONAL,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
        samples=samples,
        ready_path=stage.ready if stage.ready is not None else ready_path,
    )


def _performance(stage: Performance) -> StageSpec:
    return StageSpec(
        kind=StageKind.PERFORMANCE,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
    )


def _security(stage: Security) -> StageSpec:
    return StageSpec(
        kind=StageKind.SECURITY,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
    )


def _shadow(stage: Shadow) -> StageSpec:
    return StageSpec(
        kind=StageKind.SHADOW,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
        at_least=stage.at_least,
        for_at_least_s=stage.for_at_least,
        mirror_buckets=stage.share,
    )


def _canary(stage: Canary) -> StageSpec:
    return StageSpec(
        kind=StageKind.CANARY,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
        at_least=stage.at_least,
        for_at_least_s=stage.for_at_least,
        shares_buckets=tuple(stage.shares),
    )


def _production(stage: Production) -> StageSpec:
    return StageSpec(
        kind=StageKind.PRODUCTION,
        approvals=_approvals(stage),
        webhooks=_webhooks(stage),
        watch_s=stage.watch,
        holdback_buckets=stage.holdback,
        alarm_every=stage.false_alarm_every,
    )
