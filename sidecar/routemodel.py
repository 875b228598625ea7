"""The whole routing file as a pydantic model; its parts are in sidecar/model/."""

from pydantic import Field

from sidecar.model.event import EventSection
from sidecar.model.process import (
    Admin,
    LabelsFrom,
    ListenTls,
    Log,
    Record,
    RouterLimits,
    Stop,
    Store,
)
from sidecar.model.registry import Registry
from sidecar.model.route import RouteSection
from sidecar.model.section import Section
from sidecar.model.tracing import Tracing
from sidecar.routetype import (
    Address,
    FilePath,
    Workers,
    default,
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
    registry: Registry = Field(
        default=Registry(), description="What model versions must show before they are promoted."
    )
    tracing: Tracing | None = Field(
        default=None,
        description="Send spans of what an experiment sees, where the client records its trace; "
        "off without it, and traceparent is passed on all the same.",
    )
    events: list[EventSection] = Field(
        default=[], max_length=32, description="Who is told of what happens; nobody without it."
    )
    routes: list[RouteSection] = Field(
        min_length=1, max_length=1024, description="The routes; at least one."
    )
