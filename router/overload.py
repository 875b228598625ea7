"""What a router gives up when it runs short of time, memory or room, and in which order. Pure.

Mirrors go first: nobody waits for them. Then, for memory alone, keep-alive: a closed connection
gives back its buffers, but opening it again costs the time that a slow loop does not have. Then
new requests get 503. Precedent: Envoy's overload manager (keep-alive off at 92 % of the heap, 503
at 95 %). Each rung is left at a lower mark than it is entered, so that it does not flutter.
"""

import enum
from dataclasses import dataclass


class Relief(enum.Flag):
    """What is given up at the moment."""

    NONE = 0
    SHED_MIRRORS = enum.auto()
    END_KEEP_ALIVE = enum.auto()
    REFUSE_REQUESTS = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one router process may take."""

    connections: int = 8192
    """Clients' connections; further ones get 503 and are closed."""
    upstreams: int = 8192
    """Connections to all variants together; further requests wait for one of these."""
    requests: int = 4096
    """Under way at once; at this number further ones get 503."""
    memory_bytes: int | None = None
    """Resident; None sets no budget."""
    lag_s: float = 0.1
    """How late the event loop may be before mirrors are shed; requests are refused at ten times
    this. Chosen: several times what a busy machine of two cores shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far each limit is used up: 1.0 is all of it."""

    lag: float
    memory: float
    requests: float


@dataclass(frozen=True, slots=True)
class Rung:
    """Give ``relief`` from ``enter`` on, until the measure falls below ``leave``."""

    measure: str
    relief: Relief
    enter: float
    leave: float


LADDER = (
    Rung("lag", Relief.SHED_MIRRORS, 1.0, 0.5),
    Rung("lag", Relief.REFUSE_REQUESTS, 10.0, 5.0),
    Rung("memory", Relief.SHED_MIRRORS, 0.80, 0.75),
    Rung("memory", Relief.END_KEEP_ALIVE, 0.90, 0.85),
    Rung("memory", Relief.REFUSE_REQUESTS, 0.95, 0.90),
    Rung("requests", Relief.SHED_MIRRORS, 0.80, 0.70),
    Rung("requests", Relief.REFUSE_REQUESTS, 1.0, 1.0),
)
"""Memory after Envoy; the rest chosen."""


def relieve(reading: Reading, before: Relief) -> Relief:
    """Return what to give up now, where ``before`` is given up already."""
    now = Relief.NONE
    for rung in LADDER:
        mark = rung.leave if rung.relief in before else rung.enter
        if getattr(reading, rung.measure) >= mark:
            now |= rung.relief
    return now


SPARE_DESCRIPTORS = 32
"""Listeners, logs, the line to the controller, and what is open for a moment."""
REFUSED_SHARE = 4
"""For each so many clients one that is refused may stay until it has read why."""


def share_out(wanted: int, max_descriptors: int) -> tuple[int, int]:
    """Return how many clients and how many connections to variants there is room for.

    Half of the descriptors at most are for clients: each may need a connection to a variant.

    >>> share_out(8192, 256), share_out(8192, 1024), share_out(8192, 65536)
    ((128, 64), (512, 352), (8192, 55264))
    """
    clients = max(1, min(wanted, max_descriptors // 2))
    rest = max_descriptors - clients - clients // REFUSED_SHARE - SPARE_DESCRIPTORS
    return clients, max(1, rest)
