"""From the routing file's models to what the controller works with. Pure."""

from collections.abc import Mapping

from controller.policy import (
    Intent,
    OnFutility,
    OnTimeout,
    RouteIntent,
    ScorerSpec,
    StageKind,
    StageSpec,
)
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from router.table import Match, Variant
from sidecar.protocol import defaults, inference
from sidecar.routemodel import (
    Canary,
    Functional,
    MatchSection,
    MetricSection,
    Production,
    RouteSection,
    RoutingFile,
    Scorer,
    Shadow,
    Stage,
    VariantSection,
)


def intent_of(file: RoutingFile, samples: Mapping[int, tuple[bytes, ...]], digest: str) -> Intent:
    """Return the intent of a file that passed every check.

    ``samples`` maps the index of a route to the request bodies of its functional stage.
    """
    routes = tuple(_route(route, samples.get(index, ())) for index, route in enumerate(file.routes))
    return Intent(routes=routes, digest=digest)


def _route(route: RouteSection, samples: tuple[bytes, ...]) -> RouteIntent:
    by_protocol = defaults(route.protocol, route.match.path)
    labels, limits, rollout = route.labels, route.limits, route.rollout
    missing = labels.missing if labels is not None else "ignore"
    stages = rollout.stages if rollout is not None else []
    return RouteIntent(
        name=route.name,
        match=_match(route.match),
        champion=_variant(route.champion),
        challengers=tuple(_variant(challenger) for challenger in route.challengers),
        standby=_variant(route.standby) if route.standby is not None else None,
        metrics=tuple(_metric(name, metric, missing) for name, metric in route.metrics.items()),
        stages=tuple(_stage(stage, samples, by_protocol.ready_path) for stage in stages),
        prediction=route.prediction if route.prediction is not None else by_protocol.prediction,
        unit_header=route.unit.header.lower() if route.unit is not None else None,
        alpha=rollout.alpha if rollout is not None else 0.05,
        maturity_s=labels.maturity if labels is not None else 0.0,
        window_s=labels.window if labels is not None else 0.0,
        label_rate=labels.sampled if labels is not None else None,
        scorer=_scorer(labels.scorer) if labels is not None and labels.scorer else None,
        on_futility=OnFutility(rollout.on_futility) if rollout is not None else OnFutility.HOLD,
        capture_bytes=limits.capture,
        body_limit_bytes=limits.body,
        replay_bytes=limits.replay,
        eject_after=limits.eject_after,
        response_header=route.response_header,
        inference=inference(route.protocol, route.inference),
        copy_strip=tuple(name.lower() for name in route.mirror_headers.strip),
        copy_only=_lower(route.mirror_headers.only),
        upgrade=tuple(route.upgrade),
    )


def _lower(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(name.lower() for name in names)


def _scorer(scorer: Scorer) -> ScorerSpec:
    return ScorerSpec(scorer.url, scorer.function, scorer.batch, scorer.deadline)


def _match(match: MatchSection) -> Match:
    header = match.header
    return Match(
        path=match.path,
        host=match.host.lower() if match.host is not None else None,
        header=(header.name.lower(), header.value) if header is not None else None,
    )


def _variant(variant: VariantSection) -> Variant:
    host, port = variant.url
    return Variant(
        name=variant.name,
        host=host,
        port=port,
        connect_timeout_s=variant.timeouts.connect,
        response_timeout_s=variant.timeouts.response,
        idle_timeout_s=variant.timeouts.idle,
        max_connections=variant.max_connections,
        max_pending=variant.max_pending,
    )


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
    if stage.shadow is not None:
        return _shadow(stage.shadow)
    if stage.canary is not None:
        return _canary(stage.canary)
    if stage.production is not None:
        return _production(stage.production)
    raise AssertionError("routecheck refuses a stage without a kind")


def _functional(stage: Functional, samples: tuple[bytes, ...], ready_path: str | None) -> StageSpec:
    return StageSpec(
        kind=StageKind.FUNCTIONAL,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        samples=samples,
        ready_path=stage.ready if stage.ready is not None else ready_path,
    )


def _shadow(stage: Shadow) -> StageSpec:
    return StageSpec(
        kind=StageKind.SHADOW,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        at_least=stage.at_least,
        for_at_least_s=stage.for_at_least,
        mirror_buckets=stage.share,
    )


def _canary(stage: Canary) -> StageSpec:
    return StageSpec(
        kind=StageKind.CANARY,
        at_most_s=stage.at_most,
        on_timeout=OnTimeout(stage.on_timeout),
        at_least=stage.at_least,
        for_at_least_s=stage.for_at_least,
        shares_buckets=tuple(stage.shares),
    )


def _production(stage: Production) -> StageSpec:
    return StageSpec(
        kind=StageKind.PRODUCTION,
        watch_s=stage.watch,
        holdback_buckets=stage.holdback,
        alarm_every=stage.false_alarm_every,
    )
