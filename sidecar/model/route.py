"""Keys of a route: its match, its variants, its limits."""

from pydantic import Field

from sidecar.model.coldstart import ColdStart
from sidecar.model.dashboard import Dashboard
from sidecar.model.label import Labels
from sidecar.model.metric import MetricSection
from sidecar.model.registry import Reports
from sidecar.model.section import Section
from sidecar.model.stage import RolloutSection
from sidecar.model.variant import VariantSection
from sidecar.routetype import (
    Expression,
    Failures,
    Flag,
    HeaderName,
    HeaderValue,
    HostName,
    InferencePath,
    MatchPath,
    Name,
    Protocol,
    Size,
    UpgradeToken,
    default,
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


class Unit(Section):
    """Who is randomised."""

    header: HeaderName = Field(
        description="The header that names the unit, such as x-user-id: one unit always gets the "
        "same variant at the same share."
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
    champion: VariantSection | None = Field(
        default=None,
        description="The variant that answers users, and comes back on a rollback: {name, url}. "
        "A route without one has `cold_start`.",
    )
    standby: VariantSection | None = Field(
        default=None,
        description="Who answers when the champion cannot be connected, or has failed "
        "limits.eject_after times in a row: {name, url}. Without it clients get 502 or 504.",
    )
    cold_start: ColdStart | None = Field(
        default=None,
        description="In place of `champion`: nobody answers users yet. The first of `challengers` "
        "passes the gates before traffic, then serves everybody, and becomes the champion when it "
        "has reached these numbers by itself.",
    )
    feeds: list[Name] = Field(
        default=[],
        max_length=8,
        description="Routes of this file that are given this one's answers. Who passes them on "
        "sends the field x-understudy-versions of the answer with them; a promotion here then "
        "waits for the checks of those routes too.",
    )
    challengers: list[VariantSection] = Field(
        default=[], max_length=16, description="Tried one after the other, in this order."
    )
    reports: Reports | None = Field(
        default=None,
        description="Where variants say which registered version they run; they are asked before "
        "traffic, then once a minute.",
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
    dashboard: Dashboard = Field(
        default=Dashboard(), description="What the dashboard may show of requests and answers."
    )
    rollout: RolloutSection | None = Field(
        default=None, description="How challengers are judged; needed as soon as there is one."
    )
