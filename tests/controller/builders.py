"""Values and doubles that the controller's tests share."""

from collections.abc import Sequence

from controller.policy import Intent, OnTimeout, RouteIntent, StageKind, StageSpec
from evaluator.evidence import CheckState, Evidence, Reading, Role
from evaluator.metric import MetricSpec
from router.table import Match, Variant

NOW_S = 1_800_000_000.0


class SettableClock:
    """Both clocks stand still until a test moves them."""

    def __init__(self, wall_s: float = NOW_S) -> None:
        self.wall_s = wall_s
        self.mono_s = 1_000.0

    def wall_ns(self) -> int:
        return round(self.wall_s * 1e9)

    def monotonic_s(self) -> float:
        return self.mono_s

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.wall_s += seconds
        self.mono_s += seconds


def variant(name: str, port: int = 9001) -> Variant:
    return Variant(name=name, host="127.0.0.1", port=port)


METRICS = (
    MetricSpec(name="accuracy", kind="correct", role=Role.OBJECTIVE, detect=0.05),
    MetricSpec(name="errors", kind="error", role=Role.GUARDRAIL, margin=0.05),
)

FUNCTIONAL = StageSpec(kind=StageKind.FUNCTIONAL, at_most_s=60.0)
PERFORMANCE = StageSpec(kind=StageKind.PERFORMANCE, at_most_s=600.0)
SECURITY = StageSpec(kind=StageKind.SECURITY, at_most_s=600.0)
SHADOW = StageSpec(
    kind=StageKind.SHADOW, at_most_s=3600.0, at_least=50, for_at_least_s=5.0, mirror_buckets=10_000
)
CANARY = StageSpec(
    kind=StageKind.CANARY, at_most_s=7200.0, for_at_least_s=2.0, shares_buckets=(500, 2500, 5000)
)
PRODUCTION = StageSpec(kind=StageKind.PRODUCTION, watch_s=30.0, holdback_buckets=100)
STAGES = (FUNCTIONAL, SHADOW, CANARY, PRODUCTION)
ALL_STAGES = (FUNCTIONAL, PERFORMANCE, SECURITY, SHADOW, CANARY, PRODUCTION)


def route_intent(
    *,
    name: str = "digits",
    champion: str = "digits-1",
    challengers: Sequence[str] = ("digits-2",),
    stages: tuple[StageSpec, ...] = STAGES,
    metrics: tuple[MetricSpec, ...] = METRICS,
    path: str = "/digits",
    on_timeout: OnTimeout | None = None,
) -> RouteIntent:
    if on_timeout is not None:
        stages = tuple(
            StageSpec(
                kind=stage.kind,
                at_most_s=stage.at_most_s,
                on_timeout=on_timeout,
                at_least=stage.at_least,
                for_at_least_s=stage.for_at_least_s,
                mirror_buckets=stage.mirror_buckets,
                shares_buckets=stage.shares_buckets,
                watch_s=stage.watch_s,
                holdback_buckets=stage.holdback_buckets,
            )
            for stage in stages
        )
    return RouteIntent(
        name=name,
        match=Match(path=path),
        champion=variant(champion),
        challengers=tuple(variant(other, 9002 + n) for n, other in enumerate(challengers)),
        metrics=metrics,
        stages=stages,
        prediction="prediction",
        maturity_s=1.0,
        window_s=60.0,
    )


def intent(*routes: RouteIntent, digest: str = "d1") -> Intent:
    return Intent(routes=routes or (route_intent(),), digest=digest)


def reading(
    check: str,
    state: CheckState,
    role: Role = Role.GUARDRAIL,
    *,
    because: str = "for a reason",
    log_e: float = 0.0,
) -> Reading:
    return Reading(check, check, role, state, because, log_e=log_e)


def integrity(**states: CheckState) -> tuple[Reading, ...]:
    """The built-in checks, sound unless told otherwise."""
    return tuple(
        reading(check, states.get(check, CheckState.PASSED), Role.INTEGRITY)
        for check in ("srm", "readable", "harm", "delivery")
    )


def evidence(
    *readings: Reading,
    counts: dict[str, int] | None = None,
    last_observation_s: float | None = NOW_S,
    **states: CheckState,
) -> Evidence:
    """Evidence with sound built-in checks, plus ``readings``."""
    return Evidence(
        experiment="x",
        at_s=NOW_S,
        readings=(*readings, *integrity(**states)),
        counts=counts or {},
        last_observation_s=last_observation_s,
    )
