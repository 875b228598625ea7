"""The declared ladder: stages, and what each needs. Pure values, made from the routing file."""

import enum
from dataclasses import dataclass, field

from controller.gates.functionalspec import FunctionalSpec
from controller.gates.goldenspec import PerformanceSpec
from controller.gates.securityspec import SecuritySpec
from evaluator.journal import MAX_BYTES
from evaluator.metric import MetricSpec
from router.table import Match, Variant


class StageKind(enum.Enum):
    """The stages a routing file may declare, in the order a challenger passes them."""

    FUNCTIONAL = "functional"
    PERFORMANCE = "performance"
    SECURITY = "security"
    SHADOW = "shadow"
    CANARY = "canary"
    PRODUCTION = "production"


class OnTimeout(enum.Enum):
    """What happens when a stage has lasted ``at_most`` without a decision."""

    HOLD = "hold"
    ROLLBACK = "rollback"


class OnFutility(enum.Enum):
    """What happens when the improvement that was looked for is shown not to be there."""

    HOLD = "hold"
    STOP = "stop"


class OnHookTimeout(enum.Enum):
    """What happens when a webhook has not confirmed a move within its time."""

    HOLD = "hold"  # it goes on waiting, until the stage's own limit
    ABORT = "abort"  # the rollout ends
    PROCEED = "proceed"  # the move goes on without it


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """Somebody outside who must confirm that a stage may be left."""

    name: str
    url: str
    timeout_s: float
    """From the first question to the last, not of one request."""
    on_timeout: OnHookTimeout
    each_step: bool = False
    """canary: asked before every step, not only before the stage is left."""
    namespace: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    """Sent along as they are."""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One entry under ``stages:``; fields that a kind does not use stay at their defaults."""

    kind: StageKind
    at_most_s: float | None = None
    on_timeout: OnTimeout = OnTimeout.ROLLBACK
    at_least: int = 0
    """Pairs (shadow) or challenger exposures per step (canary) before the stage may be left."""
    for_at_least_s: float = 0.0
    """Time (shadow) or time per step (canary) before the stage may be left."""
    mirror_buckets: int = 0
    """shadow: share of the units whose requests are mirrored."""
    shares_buckets: tuple[int, ...] = ()
    """canary: the ladder, rising."""
    watch_s: float = 0.0
    """production: how long the old champion stays warm beside the new one."""
    holdback_buckets: int = 0
    """production: the units that stay with the old champion meanwhile."""
    alarm_every: int = 1_000_000
    """production: answers between false alarms of the watch, on average at least."""
    samples: tuple[bytes, ...] = ()
    """functional: request bodies (JSON) that the challenger must answer with 200."""
    ready_path: str | None = None
    """functional: GET must answer 200; None asks only that the port accepts connections."""
    functional: FunctionalSpec = field(default_factory=FunctionalSpec)
    """functional: what is asked beside samples and readiness."""
    performance: PerformanceSpec | None = None
    """performance: the golden set, and what must be shown on it."""
    security: SecuritySpec | None = None
    """security: what the model must not have."""
    approvals: int = 0
    """So many different people must approve before the stage is left with success."""
    webhooks: tuple[WebhookSpec, ...] = ()
    """All must confirm before the stage is left with success."""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """Who makes the labels of a route: a service or a Python function that judges answers."""

    url: str | None
    """POST here; None calls ``function``."""
    function: str | None
    """package.module:function, or the name of an entry point in group understudy.scorers."""
    batch: int
    """Answers (or pairs of them) in one call, at most."""
    deadline_s: float
    """For one call; what is not there then is missing."""


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """Who is answered gets a signed token, to send back with the label."""

    keys: str
    """Absolute path of the key file (``router/keyfile.py``)."""
    hold_bytes: int
    """Answers up to this size are held back until they are whole."""
    joins: bool
    """Whether the token alone joins a label to its exposure: nothing of it is kept meanwhile."""


@dataclass(frozen=True, slots=True)
class ColdStartSpec:
    """What a route's first version must show by itself: there is no champion to compare it with."""

    checks: tuple[MetricSpec, ...]
    """Each with one of ``at_least`` and ``at_most``."""
    at_least: int
    """Answers before it may become champion."""
    for_at_least_s: float
    at_most_s: float
    on_timeout: OnTimeout = OnTimeout.HOLD
    """A rollback closes the route; the next challenger is then tried as the first version."""


@dataclass(frozen=True, slots=True)
class BrokenSpec:
    """When a champion is broken: a hard limit of the service, not a comparison."""

    max_failed: float
    """Share of the answers that may fail."""
    for_s: float
    """How long it must have been broken before a fix may pass it."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A route that is given the answers of another one, and how it judges what comes of them."""

    route: str
    metrics: tuple[MetricSpec, ...]
    prediction: str | None
    maturity_s: float
    window_s: float
    label_rate: float | None


@dataclass(frozen=True, slots=True)
class ReportsSpec:
    """Where a variant says which model version it runs."""

    path: str
    """GET of it must answer 200; {name} and {version} stand for those of the registered version."""
    version: str | None = None
    """JMESPath to the version in the answer's JSON; None: it is not looked for there."""
    digest: str | None = None
    """JMESPath to the digest."""
    version_header: str | None = None
    """Header of the answer that holds the version."""
    digest_header: str | None = None
    """Header of the answer that holds the digest."""


@dataclass(frozen=True, slots=True)
class MlflowSpec:
    """The MLflow registry that is told where its versions stand."""

    url: str
    """Of the tracking server, without a slash at its end."""


@dataclass(frozen=True, slots=True)
class RegistrySpec:
    """What model versions must show."""

    required: bool = False
    """Whether a challenger that is not registered is refused by the rollout."""
    keys: str = ""
    """Absolute path of the public keys that are trusted; empty: signatures are not asked for."""
    mlflow: MlflowSpec | None = None
    """None: nobody is told."""


@dataclass(frozen=True, slots=True)
class RouteIntent:
    """One route of the file: what the people who wrote it want. State never changes it."""

    name: str
    match: Match
    champion: Variant
    """On a route that starts without one: its first version, as yet unproven."""
    challengers: tuple[Variant, ...]
    """Tried one after the other, in this order."""
    metrics: tuple[MetricSpec, ...]
    stages: tuple[StageSpec, ...]
    standby: Variant | None = None
    """Who answers when the champion cannot."""
    prediction: str | None = None
    unit_header: str | None = None
    alpha: float = 0.05
    maturity_s: float = 0.0
    window_s: float = 0.0
    label_rate: float | None = None
    """Share of the requests whose label is drawn at random; None if that is not declared."""
    labels_wanted: str = "all"
    """"all" or "disagreements", as in ``evaluator.metric.ExperimentPlan``."""
    on_futility: OnFutility = OnFutility.HOLD
    scorer: ScorerSpec | None = None
    """Makes labels; None: they come from elsewhere."""
    capture_bytes: int = 65_536
    body_limit_bytes: int = 64 * 1024 * 1024
    replay_bytes: int = 1024 * 1024
    eject_after: int = 5
    response_header: bool = False
    """Whether clients see ``x-understudy-variant``."""
    inference: tuple[str, ...] = ()
    """Which requests are tried on a challenger, as in ``router.table.Route``."""
    copy_strip: tuple[str, ...] = ()
    copy_only: tuple[str, ...] | None = None
    """Which fields a copy carries, as in ``router.table.Route``."""
    upgrade: tuple[str, ...] = ()
    """Protocols that clients may change to, as in ``router.table.Route``."""
    token: TokenSpec | None = None
    """None gives no exposure tokens."""
    feeds: tuple[Feed, ...] = ()
    """Routes of the same file that are given its answers."""
    fed_by: tuple[str, ...] = ()
    """Routes of the same file whose answers it is given."""
    champion_broken: BrokenSpec | None = None
    """None: no limit is declared, and a broken champion is compared with as any other."""
    cold_start: ColdStartSpec | None = None
    """How ``champion`` becomes one; None: the file says that it is."""
    models: tuple[tuple[str, str], ...] = ()
    """Variant and NAME:VERSION of the registered version that it runs."""
    reports: ReportsSpec | None = None
    """Where variants say what they run; None: they are not asked."""
    shown: str = "nothing"
    """What people see of a pair that disagrees: "predictions" or "nothing"."""
    tracing: bool = False
    """As in ``router.table.Route``."""
    cool_down_s: float = 0.0
    """After a rollback from production: so long nothing is promoted on this route by evidence."""

    @property
    def has_experiment(self) -> bool:
        """Whether there is anything to try."""
        return bool(self.challengers)


@dataclass(frozen=True, slots=True)
class TracingSpec:
    """Where spans are sent."""

    endpoint: str
    """http://HOST:PORT or https://, the base of an OTLP/HTTP receiver."""
    service: str
    """``service.name`` of the spans."""


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """Where what the evaluators are given is recorded."""

    folder: str
    """Absolute."""
    size_bytes: int
    """Of all its files together."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A whole routing file, as the controller sees it."""

    routes: tuple[RouteIntent, ...]
    digest: str
    """SHA-256 of the file's bytes, hex; goes into every audit record."""
    record: RecordSpec | None = None
    """None: nothing is recorded."""
    tracing: TracingSpec | None = None
    """None: no spans."""
    store_bytes: int = MAX_BYTES
    """Size of the store's file from which on no observation is taken in."""
    registry: RegistrySpec = RegistrySpec()
