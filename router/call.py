"""One attempt to have one variant answer one request, and what was measured of it.

A call belongs to whoever made it (an Exchange, or a mirrored copy), which it tells of each thing
that happens, once. It ends exactly once: with its answer's last byte, with a fault, or dropped.
"""

from typing import TYPE_CHECKING, Protocol

from router.message import AnswerHead
from router.observation import Outcome
from router.stream import EVENTS, Stream

if TYPE_CHECKING:
    from router.deadline import Deadlines
    from router.pool import Pool
    from router.upstream import Upstream


class Caller(Protocol):
    """Who makes calls."""

    def on_answer_head(self, call: "Call", payload: bytes, is_last: bool) -> None:
        """The head of an answer, and the part of its body that came with it."""

    def on_answer_payload(self, call: "Call", payload: bytes, is_last: bool) -> None:
        """More of the body; ``payload`` may be empty when ``is_last``."""

    def on_call_failed(self, call: "Call", is_stale: bool) -> None:
        """No complete answer will come; ``call.fault`` says why. ``is_stale``: the connection
        had been idle and closed before it answered, so the variant may never have seen it."""

    def on_switch(self, call: "Call", raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        """The variant says 101 in ``raw``, and ``rest`` follows; return whether it may."""

    def on_request_full(self) -> None:
        """Stop giving the request's body: the variant's side is full."""

    def on_request_room(self) -> None:
        """Go on giving the request's body."""


class Call:
    """A request on its way to a variant, and the answer on its way back."""

    __slots__ = (
        "_caller",
        "_capture_limit",
        "_captured",
        "_deadlines",
        "_is_request_full",
        "_paused_at_s",
        "_unsent",
        "answer_bytes",
        "connection",
        "ended_s",
        "fault",
        "head",
        "is_over",
        "is_sent",
        "method",
        "pool",
        "started_s",
        "stream",
    )  # fmt: skip

    def __init__(
        self, pool: "Pool", method: bytes, request: bytes, caller: Caller, capture_limit: int
    ) -> None:
        self.pool = pool
        self.method = method
        self.connection: Upstream | None = None
        self.head: AnswerHead | None = None
        self.fault = ""
        self.is_over = False
        self.is_sent = True
        """False while more of the request's body will follow."""
        self.answer_bytes = 0
        self.ended_s = 0.0
        """0 before the end; a connection that delivers the answer's last byte sets it."""
        self._caller = caller
        self._unsent = [request]
        self._is_request_full = False
        self._captured: list[bytes] = []
        self._capture_limit = capture_limit
        self.started_s = pool.now_s()
        self._paused_at_s = -1.0
        """When the client stopped taking in the answer; negative while it takes it in."""
        self.stream: Stream | None = None
        """None while no body has come, and where it came at once."""
        self._deadlines: Deadlines = pool.deadlines

    # Towards the variant.

    def take_unsent(self) -> list[bytes]:
        """Hand over what was given to send before there was a connection."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def send(self, payload: bytes) -> None:
        """Send more of the request's body, already framed."""
        if self.connection is not None:
            self.connection.write(payload)
        elif not self.is_over:
            self._unsent.append(payload)

    def complete(self) -> None:
        """Note that the last of the request comes now: from here on the variant has its time."""
        self.is_sent = True
        self._restart_deadline()

    def _restart_deadline(self) -> None:
        self._deadlines.discard(self)
        self._deadlines.add(self, self.pool.now_s())

    def pause(self) -> None:
        """Stop taking in the answer; meanwhile the time is the client's, not the variant's."""
        self._deadlines.discard(self)
        self._paused_at_s = self.pool.now_s()
        if self.connection is not None:
            self.connection.pause_reading()

    def resume(self) -> None:
        """Go on taking in the answer."""
        self._restart_deadline()
        self._leave_out_pause()
        if self.connection is not None:
            self.connection.resume_reading()

    def _leave_out_pause(self) -> None:
        """A client that reads slowly must not make its variant look slow beside the other."""
        if self._paused_at_s >= 0:
            self.started_s += self.pool.now_s() - self._paused_at_s
            self._paused_at_s = -1.0

    @property
    def unsent_bytes(self) -> int:
        """What waits for a connection."""
        return sum([len(piece) for piece in self._unsent])

    def drop(self, fault: str = "aborted") -> None:
        """Give up: nobody wants the answer any more. The caller is not told."""
        if self.is_over:
            return
        self._finish(fault)
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()

    # From the variant.

    def on_head(self, head: AnswerHead, payload: bytes, is_last: bool) -> None:
        """The answer begins."""
        self.head = head
        if not is_last or head.form == EVENTS:
            self._begin_stream(head)
        self._count(payload)
        if is_last:
            self._finish("status" if head.status >= 500 else "")
        self._caller.on_answer_head(self, payload, is_last)

    def on_switch(self, raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        """The variant changes the protocol; return whether the caller has taken it over."""
        return self._caller.on_switch(self, raw, head, rest)

    def switch(self, head: AnswerHead) -> None:
        """End with a 101; the connection belongs to the caller now."""
        self.head = head
        self.connection = None
        self._finish("")

    def _begin_stream(self, head: AnswerHead) -> None:
        is_events = head.form == EVENTS
        self.stream = Stream(is_events, bool(head.encoding))
        if is_events:  # from here on the variant has its time from one byte to the next
            self._deadlines.discard(self)
            self._deadlines = self.pool.silence_deadlines
            self._deadlines.add(self, self.pool.now_s())

    def on_payload(self, payload: bytes, is_last: bool) -> None:
        """The answer goes on."""
        self._count(payload)
        if is_last:
            assert self.head is not None
            self._finish("status" if self.head.status >= 500 else "")
        self._caller.on_answer_payload(self, payload, is_last)

    def _count(self, payload: bytes) -> None:
        self.answer_bytes += len(payload)
        stream = self.stream
        if stream is not None and payload:
            if not stream.first_byte_s:
                stream.first_byte_s = self.pool.now_s() - self.started_s
            stream.note(payload)
        if self.answer_bytes > self._capture_limit:
            self._captured = []  # a part of an answer cannot be compared with anything
        elif payload:
            self._captured.append(payload)

    def fail(self, fault: str, *, is_stale: bool = False) -> None:
        """No complete answer will come."""
        if self.is_over:
            return
        self._finish(fault)
        self._caller.on_call_failed(self, is_stale)

    def on_deadline(self) -> None:
        """The response timeout has passed, or a part of a stream's idle timeout."""
        if self.is_over:
            return
        stream = self.stream
        if stream is not None and not stream.is_silent(self.answer_bytes):
            self._deadlines.add(self, self.pool.now_s())
            return
        if not self.is_sent and not self._is_request_full:
            # The client is still sending and the variant takes it: no fault of the variant's. The
            # client has a deadline of its own.
            self._deadlines.add(self, self.pool.now_s())
            return
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        self.fail("timeout")

    def on_full(self) -> None:
        """The variant's side of the connection is full."""
        self._is_request_full = True
        self._caller.on_request_full()

    def on_room(self) -> None:
        """The variant's side of the connection has room again."""
        self._is_request_full = False
        self._caller.on_request_room()

    def _finish(self, fault: str) -> None:
        self.is_over = True
        self.fault = fault
        if self._paused_at_s >= 0:
            self._leave_out_pause()
        if not self.ended_s:
            self.ended_s = self.pool.now_s()
        self._deadlines.discard(self)

    # Afterwards.

    @property
    def latency_s(self) -> float:
        """From the making of the call to its end, seconds; pauses of the client left out."""
        return self.ended_s - self.started_s

    def outcome(self) -> Outcome:
        """What there is to say about this variant's answer; the call must be over."""
        head, stream = self.head, self.stream
        captured = self._captured
        latency_s = self.ended_s - self.started_s
        first_byte_s = stream.first_byte_s if stream is not None else 0.0
        return Outcome(
            self.pool.name,
            head.status if head is not None else 0,
            latency_s,
            self.fault,
            captured[0] if len(captured) == 1 else b"".join(captured),
            self.answer_bytes,
            head.encoding.decode("latin-1").lower() if head is not None and head.encoding else "",
            head.form if head is not None else "",
            first_byte_s if 0.0 < first_byte_s < latency_s else latency_s,
            stream.n_pieces if stream is not None else int(self.answer_bytes > 0),
        )
