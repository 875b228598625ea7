"""The routing file as pydantic models: every key, its default and what it is for.

What needs two keys to judge is in sidecar/routecheck.py. config/schema.json is generated from
these models (`make schema`); the descriptions are its documentation.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic import WithJsonSchema as As

from sidecar.routetype import (
    Address,
    Amount,
    AtLeast,
    BatchSize,
    Bound,
    Buckets,
    Class,
    Connections,
    Duration,
    Expression,
    Failures,
    FalseAlarm,
    FilePath,
    Finite,
    Flag,
    FunctionName,
    HalfBuckets,
    HeaderName,
    HeaderValue,
    HoldbackBuckets,
    Horizon,
    HostName,
    InferencePath,
    Kind,
    Level,
    Margin,
    MatchPath,
    Name,
    NatsName,
    NatsSubject,
    NatsUrl,
    NeverBuilt,
    PositiveDuration,
    Protocol,
    Quantile,
    ReadyPath,
    RecordSize,
    RoleName,
    ScorerUrl,
    Share,
    Size,
    Timeout,
    UpgradeToken,
    Url,
    Watch,
    Workers,
    default,
    not_built,
)


class Section(BaseModel):
    """A mapping of the file. Unknown keys are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)


class Admin(Section):
    """The admin port: health, metrics, labels, status, decisions."""

    listen: Address = default("127.0.0.1:8081", "HOST:PORT of the admin port.")
    tokens: FilePath | None = Field(
        default=None,
        description="The file of tokens, as SHA-256 only, relative to the routing file; read "
        "again when it changes. With it labels need a token with the scope label.",
    )


class Log(Section):
    """What is logged (JSON lines on standard error)."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe line that is still written."
    )


class Stop(Section):
    """How the sidecar stops after SIGTERM."""

    delay: Duration = default(
        "0s",
        "How long it goes on as before, but for /readyz: as long as it takes until nobody sends "
        "new clients here. With a load balancer or a Kubernetes Service about 5s.",
    )
    drain: PositiveDuration = default("10s", "How long requests under way then have to finish.")


class RouterLimits(Section):
    """What one router process may take."""

    connections: Connections = default(
        "8192",
        "Connections of clients; further ones get 503. Never more than half of the open files "
        "that the process may have.",
    )
    requests: Connections = default(
        "4096", "Requests under way at once; at this number new ones get 503."
    )
    memory: Size | None = Field(
        default=None,
        description="Resident memory: at 80% of it mirrors are shed, at 90% connections are not "
        "kept, at 95% requests get 503. Without it half of the container's memory limit, shared "
        "between the workers; without that limit there is no budget.",
    )
    lag: PositiveDuration = default(
        "100ms",
        "How late the event loop may be before mirrors are shed; at ten times this requests get "
        "503.",
    )


class Record(Section):
    """What the evaluator is given is written down, to be evaluated again (`understudy replay`)."""

    folder: FilePath = Field(
        description="The folder of the recording, relative to the routing file. It holds what the "
        "variants answered, up to `limits.capture` a request: keep it as you keep the answers."
    )
    size: RecordSize = default(
        "1GiB", "How large it may grow; then its oldest eighth is deleted, again and again."
    )


class Store(Section):
    """What the embedded store may take."""

    size: RecordSize = default(
        "8GiB",
        "How large its file may grow. At this size no observation is taken in to wait for its "
        "label (it is counted as `refused`), and at a quarter more no label; moves of traffic are "
        "always recorded. An observation that waits takes about 200 bytes.",
    )


class NatsTls(Section):
    """What a broker must show, and what it is shown. Always verified."""

    ca: FilePath | None = Field(
        default=None,
        description="PEM file of who may have signed its certificate; without it, whoever the "
        "system trusts.",
    )
    cert: FilePath | None = Field(
        default=None, description="PEM file of our own certificate, if it asks for one."
    )
    key: FilePath | None = Field(default=None, description="PEM file of the key of `cert`.")


class NatsSection(Section):
    """A subject of a NATS JetStream stream whose messages are bodies of labels."""

    servers: list[NatsUrl] = Field(
        min_length=1, max_length=16, description="Brokers, tried in turn: nats://HOST:PORT."
    )
    stream: NatsName = Field(description="The stream; it is never made here.")
    subject: NatsSubject = Field(description="The subject, such as labels or labels.>.")
    durable: NatsName = Field(
        default="understudy",
        description="The durable consumer, made if it is not there. One for each sidecar.",
    )
    ack_wait: PositiveDuration = default(
        "30s", "What was not acknowledged for so long is delivered again."
    )
    credentials: FilePath | None = Field(
        default=None,
        description="The user's .creds file (a JWT and a seed), relative to the routing file.",
    )
    tls: NatsTls | None = Field(
        default=None, description="What the broker must show; for tls:// servers."
    )


class LabelsFrom(Section):
    """Where labels are fetched from, beside those that are sent to the admin port."""

    nats: NatsSection | None = Field(
        default=None, description="A subject of a NATS JetStream stream."
    )


class HeaderMatch(Section):
    """A header that a request must carry."""

    name: HeaderName = Field(description="The header's name; case does not matter.")
    value: HeaderValue = Field(description="The header's exact value.")


class MatchSection(Section):
    """Which requests belong to the route; every part that is given must hold."""

    path: MatchPath = Field(
        description="The exact path, or a prefix when it ends in *: /v1/models/*."
    )
    host: HostName | None = Field(
        default=None, description="The Host header without its port; case does not matter."
    )
    header: HeaderMatch | None = Field(
        default=None, description="A header with its value: {name: x-tenant, value: gold}."
    )


class Timeouts(Section):
    """How long to wait for a variant."""

    connect: PositiveDuration = default("2s", "Until a connection is open, with its TLS handshake.")
    response: PositiveDuration = default(
        "30s",
        "From the request's last byte sent to the answer's last byte received; to its head, where "
        "the answer is a stream of events (text/event-stream).",
    )
    idle: PositiveDuration = default(
        "60s", "Within a stream of events or an upgraded connection: how long no byte may come."
    )


class VariantTls(Section):
    """What a variant with an https url must show, and what it is shown. Always verified."""

    ca: FilePath | None = Field(
        default=None,
        description="PEM file of who may have signed its certificate; without it, whoever the "
        "system trusts. Relative to the routing file, as all files here.",
    )
    cert: FilePath | None = Field(
        default=None,
        description="PEM file of our own certificate and its chain, if it asks for one.",
    )
    key: FilePath | None = Field(default=None, description="PEM file of the key of `cert`.")
    server_name: HostName | None = Field(
        default=None, description="The name that its certificate must be for; without it, its host."
    )


class ListenTls(Section):
    """The certificate that clients are shown. Read again when the files change."""

    cert: FilePath = Field(
        description="PEM file of the certificate, then its chain. Relative to the routing file."
    )
    key: FilePath = Field(description="PEM file of its private key, without a password.")
    client_ca: FilePath | None = Field(
        default=None,
        description="PEM file of who signs clients' certificates; with it, clients without one "
        "are refused.",
    )


class VariantSection(Section):
    """One deployed model version, reachable at one address."""

    name: Name = Field(description="The version's name, such as fraud-7; unique in its route.")
    url: Url = Field(
        description="Where it answers: http://HOST:PORT, https://HOST:PORT or unix:///PATH, "
        "nothing more."
    )
    tls: VariantTls | None = Field(
        default=None,
        description="Only with https. Without it the system says whose certificates are trusted, "
        "and the host is the name that the variant must show.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait for it.")
    max_connections: Connections = default(
        "256", "Open connections to it from one router process; further requests wait."
    )
    max_pending: Connections = default(
        "1024", "Requests that may wait for one of these connections; further ones get 503."
    )


class Unit(Section):
    """Who is randomised."""

    header: HeaderName = Field(
        description="The header that names the unit, such as x-user-id: one unit always gets the "
        "same variant at the same share."
    )


class MetricSection(Section):
    """What is compared between champion and challenger."""

    kind: Kind = Field(
        description="correct: the prediction equals the label. error: status 5xx or no answer. "
        "latency: seconds to the whole answer. agreement: a mirrored pair has equal answers. "
        "mean: a number in the answer or the label. loss: how far the prediction is from the "
        "label. divergence: how far the answers of a mirrored pair are apart. drift: how far the "
        "distributions of a score are apart. precision, recall, "
        "f1: of one class. auc: how well a score ranks one class."
    )
    role: RoleName = Field(
        description="objective: must improve before a promotion. guardrail: must not worsen. "
        "proxy: may hold or roll back, never promotes."
    )
    detect: Amount | None = Field(
        default=None,
        description="objective: the improvement worth finding, absolute. Evidence that it is not "
        "there is told, and may stop the rollout (on_futility).",
    )
    margin: Amount | None = Field(
        default=None,
        description="guardrail: how much worse is still acceptable, absolute; for latency "
        "relative to the champion's value at the same time.",
    )
    margin_relative: Margin | None = Field(
        default=None,
        description="The same as a share of the champion's value at the same time, in place of "
        "margin: 10% allows 110 errors where the champion has 100.",
    )
    within: Amount | None = Field(
        default=None,
        description="In place of detect or margin: the challenger must be shown to be neither "
        "better nor worse by this, absolute.",
    )
    at_least: Bound | None = Field(
        default=None,
        description="agreement: the share of pairs that must agree. correct, mean, loss: what the "
        "challenger must reach by itself, whatever the champion does (cold start).",
    )
    at_most: Bound | None = Field(
        default=None,
        description="divergence: what the mean distance must stay below. drift: what the shares of "
        "answers at or below a score may differ by. error, mean, loss: what "
        "the challenger must stay below by itself.",
    )
    quantile: Quantile | None = Field(
        default=None,
        description="latency: the quantile that the margin is about, such as 0.95. pinball loss: "
        "the quantile that is predicted.",
    )
    value: Expression | None = Field(
        default=None,
        description="mean: JMESPath to the number. Without it the route's prediction, or the "
        "whole label.",
    )
    source: Literal["answer", "label", "scorer"] | None = Field(
        default=None,
        description="mean: where the number is; answer if it is not said. scorer: in what "
        "labels.scorer says of the variant's answer.",
    )
    direction: Literal["higher", "lower"] | None = Field(
        default=None, description="mean: which is better; higher if it is not said."
    )
    range: list[Finite] | None = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="mean, loss, divergence: [lowest, highest] number there can be; then the test "
        "is exact. Without it numbers are held back to the champion's earlier quantiles 0.1 % and "
        "99.9 %.",
    )
    loss: Literal["absolute", "squared", "log", "brier", "pinball"] | None = Field(
        default=None, description="loss: how the distance of prediction and label is counted."
    )
    distance: Literal["absolute", "total_variation", "cosine"] | None = Field(
        default=None,
        description="divergence: |a - b| of two numbers, total variation of two vectors of "
        "probabilities (0 to 1), or 1 - cosine of two vectors (0 to 2).",
    )
    of: Expression | None = Field(
        default=None,
        description="loss, divergence, drift, auc: JMESPath to what is compared in the answer (a "
        "number, a vector, a score). Without it the route's prediction.",
    )
    positive: Class | None = Field(
        default=None,
        description="precision, recall, f1, auc: the class they are about, as labels write it.",
    )
    covariate: Expression | None = Field(
        default=None,
        description="mean, loss: JMESPath to a number in the answer or the label that goes with "
        "the metric and that the variant cannot have changed, such as the user's past; it lowers "
        "the number of requests needed. Split mode only.",
    )
    proxy: Expression | None = Field(
        default=None,
        description="mean (from labels), loss: JMESPath in the answer to a guess of the number, "
        "for requests whose label was not drawn; needs labels.sampled.",
    )
    horizon: Horizon | None = Field(
        default=None,
        description="Give up after so many observations (pairs, or requests at a share of 50%), "
        "and need fewer until then. Without it the test goes on for ever.",
    )


class Scorer(Section):
    """A service, or a Python function, that judges answers and so makes their labels."""

    url: ScorerUrl | None = Field(
        default=None,
        description='POST {"items": [{"request_id", "champion", "challenger"}]} with predictions '
        '(null where there is none); the answer is {"scores": [{"champion", "challenger"}]}.',
    )
    function: FunctionName | None = Field(
        default=None,
        description="In place of url: package.module:function, or the name of an entry point in "
        "the group understudy.scorers. It takes the list of items and returns the list of scores.",
    )
    batch: BatchSize = default("32", "Items in one call, at most.")
    deadline: PositiveDuration = default(
        "10s", "For one call. What is not scored then has no label."
    )


class TokenSection(Section):
    """Whoever is answered by a variant drawn by lot gets a signed token with the answer."""

    keys: FilePath = Field(
        description="File with the keys, one a line: a key id and 32 to 64 secret bytes in base64. "
        "The first signs, all verify. Mode 0600 or 0440; read again when it changes."
    )
    hold: Size = default(
        "64KiB",
        "Answers up to this size (and up to `limits.capture`) are held back until they are whole, "
        "so that the token holds the prediction. Larger ones and streams of events are not.",
    )


class Labels(Section):
    """When the truth arrives."""

    window: PositiveDuration = Field(
        description="A label is accepted until the request is this old; then it is late."
    )
    maturity: PositiveDuration = Field(
        description="A request is judged when it is this old; its label must be there by then."
    )
    missing: Literal["ignore", "incorrect"] = Field(
        default="ignore",
        description="What a request without a label at maturity counts as. ignore assumes that "
        "labels go missing alike for both variants.",
    )
    sampled: Share | None = Field(
        default=None,
        description="The share of the requests, drawn at random by whoever labels, that get one. "
        "Only then may a `proxy` stand in for the others. GET /v1/labels/wanted draws them.",
    )
    wanted: Literal["all", "disagreements"] = Field(
        default="all",
        description="disagreements: of mirrored pairs only those whose answers differ are "
        "labelled (all of them, or with `sampled` those that GET /v1/labels/wanted draws), and "
        "equal answers count as no difference. One that has no label at maturity then counts "
        "against whatever is claimed, unless `missing` says incorrect.",
    )
    scorer: Scorer | None = Field(
        default=None,
        description="Who makes the labels, for `mean` with `source: scorer`; without it they come "
        "to the admin port.",
    )
    token: TokenSection | None = Field(
        default=None,
        description="Answers carry x-understudy-exposure, to be sent back with the label.",
    )
    join: Literal["store", "token"] = Field(
        default="store",
        description="store: what waits for its label waits in the store; a token helps where it is "
        "not there. token: of what was given a token nothing is stored before its label comes.",
    )


class Limits(Section):
    """What one request may cost."""

    body: Size = default("64MiB", "Larger request bodies are refused with 413.")
    replay: Size = default(
        "1MiB",
        "Request bodies up to this size are kept until the challenger has answered, so that the "
        "champion can answer instead. Larger ones go to the champion and are not compared.",
    )
    capture: Size = default(
        "64KiB", "Answers up to this size are kept to be compared. 0B keeps nothing."
    )
    eject_after: Failures = default(
        "5",
        "Consecutive failures after which a router stops asking the challenger by itself, or a "
        "champion that has a standby.",
    )


class MirrorHeaders(Section):
    """Which request headers a mirrored copy carries: never authorization, never cookie."""

    strip: list[HeaderName] = Field(
        default=["x-api-key", "api-key", "x-auth-token", "x-amz-security-token"],
        max_length=64,
        description="Headers that are left out, beside authorization and cookie, which always are.",
    )
    only: list[HeaderName] | None = Field(
        default=None,
        max_length=64,
        description="The only headers that are carried, such as [content-type, accept]; without "
        "it all but the stripped ones. Host, length, x-request-id and traceparent always are.",
    )


class Functional(Section):
    """Before any traffic: is the challenger there, and does it answer the sample requests?"""

    samples: FilePath | None = Field(
        default=None,
        description="JSON Lines, one request body a line, each to be answered with 200. Relative "
        "to the routing file.",
    )
    ready: ReadyPath | None = Field(
        default=None,
        description="GET of this path must answer 200. Without it the protocol's own path is "
        "asked; protocols that have none ask only for an open port.",
    )
    at_most: PositiveDuration = default("10m", "How long it may take to pass.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")


class Shadow(Section):
    """The challenger gets copies of live requests; nobody is served by it."""

    share: Buckets = default("100%", "The share of the units whose requests are mirrored.")
    at_least: AtLeast = default("0", "Pairs before the stage may be left. 0: no number of its own.")
    for_at_least: Duration = default("0s", "Time before the stage may be left.")
    at_most: PositiveDuration = default("7d", "How long the stage may last.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")


class Canary(Section):
    """The challenger serves a share of the units, raised step by step."""

    shares: list[HalfBuckets] = Field(
        min_length=1, max_length=20, description="The ladder, rising, up to 50%."
    )
    at_least: AtLeast = default(
        "0",
        "Requests that the challenger must have served at a step before the next one. 0: as many "
        "as it takes to notice a catastrophe.",
    )
    for_at_least: Duration = default("0s", "Time at a step before the next one.")
    at_most: PositiveDuration = default("14d", "How long the whole stage may last.")
    on_timeout: Timeout = Field(default="rollback", description="What happens then.")


class Production(Section):
    """The challenger becomes champion; the old one stays warm for a while."""

    watch: Watch = Field(
        description="How long the old champion stays ready to come back, such as 24h; without it "
        "there is no way back."
    )
    holdback: HoldbackBuckets = Field(
        description="The share of the units that stays with the old champion meanwhile, such as "
        "1%, to be compared with. 0%: nobody; the new champion's errors and correct answers are "
        "held against what was usual at this hour of the week."
    )
    false_alarm_every: FalseAlarm = default(
        "1000000",
        "Answers that pass, on average at least, before the watch calls the new champion worse "
        "than the holdback (or than is usual) although it is not. Fewer: harm is seen sooner.",
    )


class Stage(Section):
    """One stage: a mapping with exactly one key, the stage's name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    functional: Functional | None = None
    shadow: Shadow | None = None
    canary: Canary | None = None
    production: Production | None = None
    performance: Annotated[
        NeverBuilt,
        not_built(
            "the stages without `performance` (this version has not built it: remove the line; "
            "the later gates still run)"
        ),
        As({"not": {}, "description": "Not built in this version."}),
    ] = Field(default=None, validate_default=False)
    security: Annotated[
        NeverBuilt,
        not_built(
            "the stages without `security` (this version has not built it: remove the line; "
            "the later gates still run)"
        ),
        As({"not": {}, "description": "Not built in this version."}),
    ] = Field(default=None, validate_default=False)


class RolloutSection(Section):
    """What a challenger must show, stage by stage, before it becomes champion."""

    alpha: Level = default(
        "5%", "The chance we accept of ever passing a check that should fail, for each check."
    )
    on_futility: Literal["hold", "stop"] = Field(
        default="hold",
        description="What happens when odds of 5:1 say that an objective's `detect` is not there: "
        "hold goes on waiting, stop rolls back.",
    )
    stages: list[Stage] = Field(
        min_length=1,
        max_length=6,  # with those that are not built: each is refused by name, not by its number
        description="Any of functional, shadow, canary, production, in this order. Without "
        "production nothing is ever promoted.",
    )


class RouteSection(Section):
    """Requests of one kind, the champion that answers them, and who wants its place."""

    name: Name = Field(description="The route's name in status, metrics and audit records.")
    match: MatchSection = Field(description="Which requests belong to the route.")
    protocol: Protocol = Field(
        default="json",
        description="What the servers speak. Decides which requests are inference, and two "
        "defaults: the path that the functional stage asks for readiness, and `prediction`. "
        "Requests pass unchanged.",
    )
    inference: list[InferencePath] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Which requests ask for a prediction, instead of the protocol's own list: "
        "paths with * (no slash) and ** (anything), POST or with a method. `protocol` among them "
        "stands for that list. Everything else is the champion's alone, and not compared.",
    )
    upgrade: list[UpgradeToken] = Field(
        default=[],
        max_length=8,
        description="Protocols that a client may change its connection to, such as websocket: the "
        "champion's 101 makes it a tunnel of bytes. Never mirrored, split or compared.",
    )
    unit: Unit | None = Field(
        default=None, description="Who is randomised; without it each request is a unit."
    )
    prediction: Expression | None = Field(
        default=None,
        description="JMESPath to the prediction in the JSON answer, such as predictions[0]. "
        "Without it (and without a protocol that decides it) whole bodies are compared.",
    )
    champion: VariantSection = Field(
        description="The variant that answers users, and comes back on a rollback: {name, url}."
    )
    standby: VariantSection | None = Field(
        default=None,
        description="Who answers when the champion cannot be connected, or has failed "
        "limits.eject_after times in a row: {name, url}. Without it clients get 502 or 504.",
    )
    cold_start: Annotated[
        NeverBuilt,
        not_built(
            "a `champion` (this version has not built cold_start: remove it, name a champion)"
        ),
        As({"not": {}, "description": "Not built in this version."}),
    ] = Field(default=None, validate_default=False)
    challengers: list[VariantSection] = Field(
        default=[], max_length=16, description="Tried one after the other, in this order."
    )
    metrics: dict[Name, MetricSection] = Field(
        default={},
        max_length=32,
        description="What is compared, by name.",
        json_schema_extra={"additionalProperties": False},
    )
    labels: Labels | None = Field(
        default=None, description="When the truth arrives; `correct` needs it."
    )
    limits: Limits = Field(default=Limits(), description="What one request may cost.")
    mirror_headers: MirrorHeaders = Field(
        default=MirrorHeaders(), description="Which request headers a mirrored copy carries."
    )
    response_header: Flag = default(
        "false", "Whether clients are told in x-understudy-variant which variant answered."
    )
    rollout: RolloutSection | None = Field(
        default=None, description="How challengers are judged; needed as soon as there is one."
    )


class RoutingFile(Section):
    """The whole routing file. It is intent: shares in force are state, the file stays as it is."""

    listen: Address = default("127.0.0.1:8080", "HOST:PORT for the clients' requests.")
    tls: ListenTls | None = Field(
        default=None, description="Serve clients over TLS; without it, plain HTTP."
    )
    admin: Admin = Field(default=Admin(), description="The admin port.")
    state: FilePath = Field(
        default="./understudy-state",
        description="The folder of the embedded store, relative to the routing file.",
    )
    store: Store = Field(default=Store(), description="What the embedded store may take.")
    workers: Workers = default("1", "Router processes.")
    stop: Stop = Field(default=Stop(), description="How it stops after SIGTERM.")
    limits: RouterLimits = Field(
        default=RouterLimits(), description="What one router process may take."
    )
    log: Log = Field(default=Log(), description="What is logged.")
    record: Record | None = Field(
        default=None, description="Record what the evaluator is given; off without it."
    )
    labels_from: LabelsFrom | None = Field(
        default=None, description="Fetch labels from a broker; off without it."
    )
    routes: list[RouteSection] = Field(
        min_length=1, max_length=1024, description="The routes; at least one."
    )
