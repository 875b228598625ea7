"""Keys of a variant: where it is reached, and how long it may take."""

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    Connections,
    FilePath,
    HostName,
    ModelName,
    Name,
    PositiveDuration,
    Url,
    default,
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


class VariantSection(Section):
    """One deployed model version, reachable at one address."""

    name: Name = Field(description="The version's name, such as fraud-7; unique in its route.")
    url: Url = Field(
        description="Where it answers: http://HOST:PORT, https://HOST:PORT or unix:///PATH, "
        "nothing more."
    )
    model: ModelName | None = Field(
        default=None,
        description="The registered version that it runs, such as fraud:7 (`understudy register`).",
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
