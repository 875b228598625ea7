"""Keys at the top of the routing file: what one sidecar is and may take."""

from typing import Literal

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    Address,
    Connections,
    Duration,
    FilePath,
    Flag,
    NatsName,
    NatsSubject,
    NatsUrl,
    PositiveDuration,
    RecordSize,
    Size,
    default,
)


class Admin(Section):
    """The admin port: health, metrics, labels, status, decisions."""

    listen: Address = default("127.0.0.1:8081", "HOST:PORT of the admin port.")
    tokens: FilePath | None = Field(
        default=None,
        description="The file of tokens, as SHA-256 only, relative to the routing file; read "
        "again when it changes. With it labels need a token with the scope label.",
    )
    read_needs_token: Flag = default(
        "false",
        "Whether reading (status, metrics, decisions, audit) needs a token with the "
        "scope read on loopback too; bound elsewhere it always does.",
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
