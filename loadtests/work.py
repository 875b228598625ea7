"""What is asked of every peer: the sizes of request and answer, the shape of the load, the split.

Pure: no I/O. A row of the table is a peer, a mode and a work; a further work is a further record
here and a suffix in the row's name.
"""

import enum
from dataclasses import dataclass

PATH = "/v1/models/bench:predict"
UNIT_HEADER = "x-user-id"
USERS = 1024
"""Different values of the unit header: enough for a hash to come out near one half."""


class Mode(enum.Enum):
    """What the proxy does with a request."""

    SPLIT = "split"
    """Each user is served by one of two upstreams, by hash of the unit header, half and half."""
    MIRROR = "mirror"
    """The champion answers; a copy of the request with its body goes to the challenger."""
    RELAY = "relay"
    """Bytes to the champion and back; nothing is read. The floor."""


class Shape(enum.Enum):
    """How the load comes, and what is looked at."""

    CLOSED = "closed"
    """Connections that each send the next request once they are answered: what one costs."""
    STREAM = "stream"
    """The same, and each answer is a stream of paced events: when does each arrive?"""
    PACED = "paced"
    """A constant rate, whatever the answers do: the latency at a load well below capacity."""
    IDLE = "idle"
    """Connections that have asked once and then say nothing: what they keep in memory."""
    SHARED = "shared"
    """CLOSED, with the load on the workers' own cores: what a second worker is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One kind of request."""

    suffix: str
    """Appended to the row's name; empty for the plain prediction."""
    request_bytes: int = 1024
    answer_bytes: int = 200
    """0 for a stream of events."""
    users: int = USERS
    """The generator keeps one whole request per user in memory."""
    connections: int = 32
    shape: Shape = Shape.CLOSED
    workers: int = 1
    """Router processes, or threads of a peer."""

    def __post_init__(self) -> None:
        if self.request_bytes < 64 or 0 < self.answer_bytes < 128:
            raise ValueError(f"at least 64 bytes are asked and 128 answered, got {self!r}")

    @property
    def name(self) -> str:
        """How the command line calls it."""
        return self.suffix.removeprefix("-") or "predict"


PREDICT = Work(suffix="")
BODY_64K = Work(suffix="-64k", request_bytes=64 * 1024, answer_bytes=64 * 1024, users=512)
BODY_1M = Work(suffix="-1m", request_bytes=1024 * 1024, answer_bytes=1024 * 1024, users=256)
STREAM = Work(suffix="-sse", answer_bytes=0, shape=Shape.STREAM)
PACED = Work(suffix="-open", connections=64, shape=Shape.PACED)
IDLE = Work(suffix="-idle", connections=1000, shape=Shape.IDLE)
ONE_WORKER = Work(suffix="-1w", connections=256, shape=Shape.SHARED)
TWO_WORKERS = Work(suffix="-2w", connections=256, shape=Shape.SHARED, workers=2)

EVENTS = 200
"""In one stream."""
PACE_MS = 2
"""Between two events of a stream: 0.4 s for the whole, a fast language model."""


def request_body(size_bytes: int) -> bytes:
    """Return a KServe v1 request of exactly ``size_bytes``."""
    head, tail = b'{"instances": [[', b"]]}"
    numbers = b"0.125, " * (size_bytes // 7)
    room = size_bytes - len(head) - len(tail)
    fitting = numbers[: room // 7 * 7].removesuffix(b", ")
    return head + fitting + b" " * (room - len(fitting)) + tail


def answer_body(size_bytes: int, variant: str) -> bytes:
    """Return a KServe v1 answer of exactly ``size_bytes`` that names the variant."""
    head = b'{"predictions": [7], "model_name": "bench", "model_version": "%s", "padding": "'
    head %= variant.encode()
    return head + b"x" * (size_bytes - len(head) - 2) + b'"}'
