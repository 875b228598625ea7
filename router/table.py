"""What the data plane is told to do: variants, routes and shares, frozen and versioned.

Pure: no I/O, no clock. A table is checked as a whole when it is built, so a router never holds
one that it cannot serve. A request reads the table once; a new table is one reference assignment.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

BUCKETS = 10_000
"""One bucket is 0.01 % of a route's units."""
MAX_SALT_BYTES = 64
"""The longest key that BLAKE2b takes (RFC 7693 section 2.1)."""

Buckets = Annotated[int, Meta(ge=0, le=BUCKETS)]


class Tls(Struct, frozen=True, kw_only=True):
    """How connections to a variant are encrypted. It must always show a valid certificate.

    Paths are absolute, of PEM files; every router process reads them itself.
    """

    ca: str = ""
    """Who may have signed the variant's certificate; empty trusts whom the system trusts."""
    cert: str = ""
    """Our own certificate, for a variant that asks for one; with ``key``."""
    key: str = ""
    server_name: str = ""
    """The name that the variant must show; empty for its host."""


class Variant(Struct, frozen=True, kw_only=True):
    """One deployed model version, reachable at one address."""

    name: str
    host: str
    port: Annotated[int, Meta(ge=1, le=65535)]
    socket: str = ""
    """Absolute path of a Unix socket; host and port are not dialled then."""
    tls: Tls | None = None
    """None speaks plain HTTP."""
    connect_timeout_s: float = 2.0
    """Longer than one lost SYN takes, which is sent again after 1 s (RFC 6298, section 2)."""
    response_timeout_s: float = 30.0
    """From the request's last byte sent to the response's last byte received; to the head, where
    the response is a stream of events."""
    idle_timeout_s: float = 60.0
    """Within a stream of events or a tunnel: time without a byte. Precedent: nginx, 60 s."""
    max_connections: int = 256
    """Open connections to this variant from one router process; further requests wait."""
    max_pending: int = 1024
    """Requests that may wait for a connection; further ones are refused at once."""
    keepalive_s: float = 4.0
    """Idle connections are closed after this; below uvicorn's 5 s, so that we close first."""

    @property
    def authority(self) -> str:
        """What stands in for a missing Host: HOST:PORT, or localhost for a Unix socket."""
        if self.socket:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def where(self) -> str:
        """Where it is, for people: 127.0.0.1:9001, https://models:8443, unix:///run/m.sock."""
        if self.socket:
            return f"unix://{self.socket}"
        return f"https://{self.authority}" if self.tls is not None else self.authority


class Match(Struct, frozen=True, kw_only=True):
    """Which requests belong to a route. All parts that are given must hold."""

    path: str
    """Exact, or a prefix when it ends in ``*``."""
    host: str | None = None
    """Compared without its port, lower case."""
    header: tuple[str, str] | None = None
    """Name in lower case, and the exact value."""


class Split(Struct, frozen=True, kw_only=True):
    """Who answers a route's users.

    The challenger owns the lowest buckets, so raising its share moves units from the champion to
    the challenger and never back.
    """

    champion: str
    challenger: str | None = None
    challenger_buckets: Buckets = 0


class Mirror(Struct, frozen=True, kw_only=True):
    """Who gets a copy of what the champion serves. The copy's answer is measured, never sent."""

    variant: str
    buckets: Buckets = BUCKETS


class Signing(Struct, frozen=True, kw_only=True):
    """How exposures are signed, so that whoever was answered can tell us of them again."""

    keys: str
    """Absolute path of the key file (keyfile.py); every router process reads it itself."""
    hold_bytes: int = 65_536
    """An answer is held back until it is whole, up to this size and to ``capture_bytes``: its
    prediction stands in its head. A larger one, or a stream of events, passes with a token
    that knows no prediction."""
    prediction: str | None = None
    """JMESPath to the prediction; None stands for whole bodies, by their digest."""


class Chain(Struct, frozen=True, kw_only=True):
    """How a route takes part in a chain of routes (chain.py)."""

    key: bytes
    """Seals the sets of versions; a secret of this sidecar, the same for all its routes."""
    fed_by: tuple[str, ...] = ()
    """Routes whose experiments are judged by the answers of this one too."""


def chained_name(upstream: str, downstream: str) -> str:
    """Return how observations name what ``downstream`` made of ``upstream``'s answers.

    No route can have that name: ``>`` is in none.
    """
    return f"{upstream}>{downstream}"


class Route(Struct, frozen=True, kw_only=True):
    """A match, the variants behind it, and how its units are shared between them."""

    name: str
    match: Match
    variants: tuple[Variant, ...]
    split: Split
    mirror: Mirror | None = None
    standby: Variant | None = None
    """Who answers when the champion cannot; never measured, and no part of any comparison."""
    experiment: str = ""
    """Names the comparison under way; empty when there is none."""
    salt: bytes = b""
    """Secret, one per experiment: assignments of two experiments are independent, and a client
    that does not know it cannot choose its bucket."""
    unit_header: str | None = None
    """Lower-case name of the header that names the unit; without it each request is a unit."""
    capture_bytes: int = 65_536
    """Answers with bodies up to this size travel with their observation. 0 captures nothing."""
    body_limit_bytes: int = 64 * 1024 * 1024
    replay_bytes: int = 1024 * 1024
    """Request bodies up to this size are kept until the challenger has answered, so that the
    champion can answer instead. Larger bodies are outside the experiment: champion, no mirror."""
    eject_after: int = 5
    """Consecutive failures after which a router stops using the challenger by itself."""
    show_variant: bool = False
    """Whether the client is told, in ``x-understudy-variant``, who answered."""
    inference: tuple[str, ...] = ()
    """What asks for a prediction: ``POST /v2/models/*/infer`` (inference.py). Only that is split,
    mirrored and observed; the rest is the champion's. Empty: every request is inference."""
    copy_strip: tuple[str, ...] = ()
    """Fields, in lower case, that never cross to a copy, beside the credentials that none does."""
    copy_only: tuple[str, ...] | None = None
    """The only fields that cross to a copy, in lower case; None for all but those above."""
    upgrade: tuple[str, ...] = ()
    """Protocols, in lower case, that a client may change to with the champion (``websocket``)."""
    signing: Signing | None = None
    """None gives no exposure tokens."""
    tracing: bool = False
    """Whether exchanges of an experiment get spans, where the client records their trace."""
    chain: Chain | None = None
    """None on a route that neither feeds another one nor is fed."""
    is_closed: bool = False
    """Nobody may answer yet: clients get 503, and no variant is asked."""

    def variant(self, name: str) -> Variant:
        """Return the variant called ``name``; KeyError if the route has none such."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise KeyError(f"route {self.name!r} has no variant {name!r}")


class RoutingTable(Struct, frozen=True, kw_only=True):
    """All routes at one version. Raises ValueError when it does not hold together."""

    version: int
    routes: tuple[Route, ...] = ()

    def __post_init__(self) -> None:
        claimed: dict[Match, str] = {}
        for route in self.routes:
            if route.match in claimed:
                raise ValueError(
                    f"routes {claimed[route.match]!r} and {route.name!r} match the same requests"
                )
            claimed[route.match] = route.name
            _check(route)
        if len({route.name for route in self.routes}) != len(self.routes):
            raise ValueError("two routes have the same name")


def _check(route: Route) -> None:
    names = [variant.name for variant in route.variants]
    if route.standby is not None and route.standby.name in names:
        raise ValueError(f"route {route.name!r}: {route.standby.name!r} cannot be its own standby")
    if len(set(names)) != len(names):
        raise ValueError(f"route {route.name!r}: two variants have the same name")
    split, mirror = route.split, route.mirror
    wanted = [split.champion]
    wanted += [split.challenger] if split.challenger is not None else []
    wanted += [mirror.variant] if mirror is not None else []
    for name in wanted:
        if name not in names:
            raise ValueError(f"route {route.name!r} has no variant {name!r}")
    # msgspec checks ranges when it decodes; a table that is built here goes out without that.
    for buckets in (split.challenger_buckets, mirror.buckets if mirror is not None else 0):
        if not 0 <= buckets <= BUCKETS:
            raise ValueError(f"route {route.name!r}: buckets in 0..{BUCKETS}, got {buckets}")
    if len(route.salt) > MAX_SALT_BYTES:
        raise ValueError(f"route {route.name!r}: a salt of {len(route.salt)} bytes")
    if split.challenger is None and split.challenger_buckets:
        raise ValueError(f"route {route.name!r}: a share without a challenger")
    if split.challenger == split.champion:
        raise ValueError(f"route {route.name!r}: {split.champion!r} cannot challenge itself")
    if mirror is not None and mirror.variant == split.champion:
        raise ValueError(f"route {route.name!r}: the mirror is the champion")


def to_bytes(table: RoutingTable) -> bytes:
    """Encode ``table`` for the wire and the disk (MessagePack)."""
    return msgspec.msgpack.encode(table)


def from_bytes(raw: bytes) -> RoutingTable:
    """Decode and check a table; msgspec.ValidationError or ValueError if it is not one."""
    return msgspec.msgpack.decode(raw, type=RoutingTable)
