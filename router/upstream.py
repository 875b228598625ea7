"""One connection to one variant: sends a call's bytes, reads its answer, says how it ended.

A connection carries one call at a time. It never decides who answers the client: it reports to
its call, and the call to whoever made it.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from router.body import Body, body_reader
from router.dial import said_goodbye
from router.errors import AnswerError
from router.message import AnswerHead
from router.parser import find_answer_head, parse_answer

if TYPE_CHECKING:
    from router.call import Call
    from router.pool import Pool

MAX_INTERIM_ANSWERS = 16
"""1xx heads before the answer; an endless series of them would never end the wait otherwise."""
READ_BYTES: Final = 96 * 1024
"""The most that is taken from a variant at once, and so the most that comes for a client after its
side was found to be full. With the 16 KiB that may be waiting already (``router/downstream.py``) a
client that does not read holds less than twice 64 KiB here, connections and all; uvloop, left to
itself, reads 256,000 bytes.
Smaller reads are dear: with 56 KiB an answer of 1 MiB costs a fifth more."""
_LANDING: Final = memoryview(bytearray(1024 * 1024))
"""Where bytes from any variant land. One for the process: the loop asks for it, fills it and tells
of it in one go, for TCP, for Unix sockets and for TLS (uvloop: ``__uv_stream_buffered_on_read``,
``SSLProtocol._do_read__buffered``), and nothing else of ours runs in between.

TLS is given room for all that it can have, 528 KiB: what it had to keep for its next turn would be
lost when the variant ends the connection before that. What nobody has written to is not resident.
"""
_PLAIN_LANDING: Final = _LANDING[:READ_BYTES]


class Upstream:
    """Owner: a Pool, which makes it and forgets it in ``connection_lost``.

    An asyncio.Protocol in all but ancestry, as the Downstream is. On uvloop, where a
    BufferedProtocol need not be one by ancestry either, the variant's bytes land in a buffer of
    ours; asyncio's own loop asks for ancestry, and hands over what it has read.
    """

    __slots__ = (
        "_body", "_buffer", "_has_ended", "_head", "_landing", "_n_interim", "_seen", "address",
        "call", "idle_since_s", "is_closed", "is_forgotten", "is_retired", "is_reused", "pool",
        "transport",
    )  # fmt: skip

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.transport: asyncio.Transport | None = None
        self.call: Call | None = None
        self.is_closed = False
        self.is_forgotten = False
        """Whether the pool has stopped counting it."""
        self.is_reused = False
        self.is_retired = False
        """Whether the variant has moved away from where this leads: no new call."""
        self.address = ""
        """Which of the variant's addresses this leads to."""
        self._has_ended = False
        """Whether the variant has said that it sends no more: FIN, or TLS's own goodbye."""
        self._landing = _PLAIN_LANDING
        self.idle_since_s = 0.0
        self._start_reading()

    def _start_reading(self) -> None:
        self._buffer = b""
        self._seen = 0
        self._head: AnswerHead | None = None
        self._body: Body | None = None
        self._n_interim = 0

    # What the pool and the call ask of it.

    def start(self, call: "Call") -> None:
        """Carry ``call``: write what it has to send so far."""
        self.call = call
        call.connection = self
        assert self.transport is not None
        for piece in call.take_unsent():
            self.transport.write(piece)
        if not call.is_sent:
            call.on_room()

    def write(self, payload: bytes) -> None:
        """Send more of the current call's request body."""
        assert self.transport is not None
        self.transport.write(payload)

    def abort(self) -> None:
        """End the connection at once; a call under way is not told (its maker knows)."""
        self.call = None
        self.is_closed = True
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self) -> None:
        """The client's side is full: stop taking in the answer."""
        if self.transport is not None and not self.is_closed:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """The client's side has room again."""
        if self.transport is not None and not self.is_closed:
            self.transport.resume_reading()

    # asyncio.Protocol, and BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transports in all but ancestry.
        self.transport = cast(asyncio.Transport, transport)
        if transport.get_extra_info("ssl_object") is not None:
            self._landing = _LANDING

    def get_buffer(self, size_hint: int) -> memoryview:
        return self._landing

    def buffer_updated(self, n_bytes: int) -> None:
        self.data_received(_LANDING[:n_bytes].tobytes())

    def data_received(self, received: bytes) -> None:
        call = self.call
        if call is None:
            # Nobody asked for these bytes. Kept, they would answer the next request.
            self.abort()
            return
        try:
            if self._head is None:
                self._read_head(call, received)
            else:
                assert self._body is not None
                payload, rest = self._body.feed(received)
                self._deliver(call, payload, rest)
        except AnswerError as error:
            self.abort()
            call.fail(error.fault)

    def _read_head(self, call: "Call", received: bytes) -> None:
        buffer = self._buffer + received if self._buffer else received
        while True:
            end = find_answer_head(buffer, self._seen)
            if end < 0:
                self._buffer, self._seen = buffer, len(buffer)
                return
            raw, buffer = buffer[:end], buffer[end:]
            head = parse_answer(raw, call.method)
            self._buffer, self._seen = b"", 0
            if head.status >= 200:
                break
            if head.status == 101 and call.on_switch(raw, head, buffer):
                self.call = None
                return
            # We asked for no upgrade, and the client's 100 was answered when its head was read.
            self._n_interim += 1
            if head.status == 101 or self._n_interim > MAX_INTERIM_ANSWERS:
                raise AnswerError(f"interim answer {head.status} where none may be")
            if not buffer:
                return
        if head.body_length == len(buffer):  # the whole answer came at once, as most do
            self._end(call, head, buffer, b"")
            return
        self._head = head
        self._body = body_reader(head.body_length, AnswerError)
        payload, rest = self._body.feed(buffer)
        self._deliver(call, payload, rest)

    def _deliver(self, call: "Call", payload: bytes, rest: bytes) -> None:
        head, body = self._head, self._body
        assert head is not None and body is not None
        if not body.is_done:
            if call.head is None:
                call.on_head(head, payload, False)
            elif payload:
                call.on_payload(payload, False)
            return
        self._end(call, head, payload, rest)

    def _end(self, call: "Call", head: AnswerHead, payload: bytes, rest: bytes) -> None:
        self.call = None
        call.ended_s = self.idle_since_s = self.pool.now_s()
        self._start_reading()
        # Bytes behind the answer belong to no request: such a connection is not used again.
        if head.keep_alive and not rest and call.is_sent:
            if head.idle_s is not None:
                self.pool.learn_idle(head.idle_s)
            self.pool.release(self)
        else:
            self.abort()
        if call.head is None:
            call.on_head(head, payload, True)
        else:
            call.on_payload(payload, True)

    def eof_received(self) -> bool:
        self._has_ended = said_goodbye(self.transport)
        if self.call is None:
            # Under TLS the connection lives on for its goodbye; no call may go out on it.
            self.is_closed = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        call, self.call = self.call, None
        self.pool.forget(self)
        if call is None:
            return
        head = self._head
        # Under TLS an end without a goodbye may be anybody's who can cut the wire: not whole.
        if head is not None and head.body_length == -2 and error is None and self._has_ended:
            call.on_payload(b"", True)
            return
        untouched = head is None and not self._buffer and not self._n_interim
        # On a connection that had carried an answer, the variant may have said goodbye before it
        # saw our request. On a new one it took the request and gave up on it.
        call.fail("reset", is_stale=untouched and self.is_reused)

    def pause_writing(self) -> None:
        if self.call is not None:
            self.call.on_full()

    def resume_writing(self) -> None:
        if self.call is not None:
            self.call.on_room()
