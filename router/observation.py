"""What the data plane saw: exposures, mirrored pairs and their outcomes, and their wire form.

Pure: no I/O, no clock. It is the one file of the router that the evaluator may import.
"""

import msgspec
from msgspec import Struct

FAULTS = (
    "",  # answered below 500
    "status",  # answered 500 or above
    "connect",  # refused, unreachable, or not within the connect timeout
    "timeout",  # no complete answer within the response timeout
    "reset",  # the connection ended before the answer did
    "protocol",  # the answer was not HTTP/1.1 that we may forward
    "overload",  # too many requests were waiting for this variant
    "aborted",  # the client went away first: nobody's fault, and not counted as an error
)

LOSSES = (
    "",
    "queue_full",  # too many copies under way, by count
    "budget",  # too many copies under way, by bytes
    "body_too_large",
    "incomplete",  # the exchange ended before the whole request had come
    "circuit_open",  # the challenger is resting after consecutive failures
    "shutdown",
)
"""Why an observation lacks the challenger's answer. Two more reasons are counted only, in
``understudy_mirror_dropped_total``: ``not_mirrorable`` (the request is no inference, so there is
no observation) and ``deadline`` (the copy was sent and its answer did not come in time: the pair
has an outcome, with the fault ``timeout``)."""


class Outcome(Struct, frozen=True, array_like=True):
    """What was measured about one variant's answer at once."""

    variant: str
    status: int
    """0 when no response head arrived."""
    latency_s: float
    """From the request's dispatch to the answer's last byte (or to its failure)."""
    fault: str
    """One of FAULTS."""
    body: bytes = b""
    """The answer's body as sent (content-encoding not undone); empty when it is over the limit."""
    body_bytes: int = 0
    """The body's size; it was over the limit, and is not here, if this is more than len(body)."""
    encoding: str = ""
    """Content-Encoding, lower case; empty for identity."""
    form: str = ""
    """``sse`` for a stream of events (text/event-stream); ``json:N`` for N bytes of JSON with raw
    tensors behind them (Open Inference's binary extension); else empty."""
    first_byte_s: float = 0.0
    """From the request's dispatch to the first byte of the answer's body; ``latency_s`` when the
    body came at once, or never. In a stream of tokens it is the time to the first one."""
    n_pieces: int = 0
    """Events of a stream of events; else in how many pieces the body came from the network."""

    @property
    def is_complete(self) -> bool:
        """Whether the answer came to the end that its framing gives it; else it was cut."""
        return self.fault in ("", "status")


class Exposure(Struct, frozen=True, array_like=True, tag="exposure"):
    """A unit was served a variant, under a table version."""

    route: str
    experiment: str
    request_id: str
    unit: int
    """64-bit hash of what is randomised; equal units have equal hashes within an experiment."""
    is_challenger: bool
    """What was *assigned*: it stays true when the champion answered instead."""
    propensity: float
    """P(challenger) with which the unit was assigned. 0 or 1 means: no comparison."""
    table_version: int
    at_ns: int
    """Wall clock at dispatch, nanoseconds since the epoch."""
    outcome: Outcome
    """Of the assigned variant."""
    fallback: Outcome | None = None
    """Of the champion, when it answered for a failing challenger."""
    loss: str = ""
    """Why an assigned challenger was not asked (it was resting), one of LOSSES."""
    trace: str = ""
    """TRACEPARENT/SPAN (router/trace.py) of a request that is traced; most are not."""


class MirroredPair(Struct, frozen=True, array_like=True, tag="pair"):
    """The champion's answer and the challenger's to a copy of the same request."""

    route: str
    experiment: str
    request_id: str
    unit: int
    table_version: int
    at_ns: int
    champion: Outcome
    challenger: Outcome | None
    """None when no copy was made; ``loss`` says why."""
    loss: str = ""
    trace: str = ""
    """As in Exposure."""


Observation = Exposure | MirroredPair


class Batch(Struct, frozen=True, array_like=True, tag="batch"):
    """Observations of one router, numbered so that taking them in twice changes nothing."""

    source: str
    """The router process that saw them: a fresh name at each start."""
    sequence: int
    """1, 2, 3, ... within a source."""
    observations: tuple[Observation, ...]


def to_bytes(batch: Batch) -> bytes:
    """Encode a batch (MessagePack)."""
    return msgspec.msgpack.encode(batch)


def from_bytes(raw: bytes) -> Batch:
    """Decode a batch; msgspec.ValidationError if it is not one."""
    return msgspec.msgpack.decode(raw, type=Batch)
