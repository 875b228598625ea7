"""One client connection: requests in, one at a time and in order; answers out.

It owns the bytes that have come and not been used, and the request under way. What a request
means and who answers it is the exchange's business.
"""

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, Final, cast

from router.body import Body, body_reader
from router.chained import ChainedExchange
from router.errors import RequestError, RequestTimeout
from router.exchange import Exchange
from router.message import RequestHead
from router.parser import find_request_head, parse_request
from router.quiet import end_if_quiet
from router.signed import SignedExchange
from router.upgrade import Upgrade, asked_of
from router.wire import CONTINUE, refusal

if TYPE_CHECKING:
    from router.routes import LiveRoute
    from router.server import Server

MAX_PIPELINED_BYTES: Final = 64 * 1024
"""What may wait behind the request under way before we stop reading."""
WAITING_BYTES: Final = 16 * 1024
"""What may wait for a client to read before its variant is paused. Low, so that a variant may be
read in large pieces (``router/upstream.py``): twice 64 KiB is what both may come to."""
MAX_LINGER_BYTES: Final = 1024 * 1024
"""What a refused client may still send before we stop being polite."""
_LINGER_0: Final = struct.pack("ii", 1, 0)
"""Makes closing a socket send RST instead of FIN."""


class Downstream:
    """Owner: the Server, from ``connection_made`` to ``connection_lost``.

    An asyncio.Protocol in all but ancestry: a class with an interpreted base cannot be compiled to
    a native one, which is a fifth of the router's time (docs/adr/0014).
    """

    __slots__ = (
        "_body", "_buffer", "_exchange", "_has_left", "_has_skipped_line", "_is_closing",
        "_is_paused", "_is_request_paused", "_is_unfinished", "_linger_bytes", "_seen", "_server",
        "_transport", "is_first", "last_used_s",
    )  # fmt: skip

    def __init__(self, server: "Server") -> None:
        # Per connection
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._is_closing = False
        self._has_left = False
        """Whether the client has sent its FIN; it may still read."""
        self._is_paused = False
        """Whether our side of the client's socket is full."""
        self._is_request_paused = False
        """Whether we have stopped reading from the client."""
        self._is_unfinished = False
        """Whether the client may still be sending a request that nobody reads any more."""
        self._linger_bytes = 0
        self.last_used_s = server.now_s()
        self.is_first = True
        """Whether no request of this connection has been answered yet."""
        # Per request
        self._buffer = b""
        self._seen = 0
        self._has_skipped_line = False
        self._exchange: Exchange | None = None
        self._body: Body | None = None
        """The reader of the request's body; None before a head, and after the body."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self._exchange is None and not self._buffer and not self._is_closing

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transports in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WAITING_BYTES)
        self._server.opened(self)

    def data_received(self, received: bytes) -> None:
        if self._is_closing:
            self._linger(received)
            return
        try:
            if self._body is not None:
                self._read_body(received)
            elif self._exchange is not None or self._is_paused:
                self._wait(received)
            else:
                self._read_head(received)
        except RequestError as error:
            self._go_wrong(error)

    def eof_received(self) -> bool:
        """A client that shut down its side may still be reading: finish what it asked for."""
        self._has_left = True
        if self._is_closing or not (self._exchange is not None or self._buffer):
            return False
        if self._body is not None:
            self._go_wrong(RequestError("the connection ended inside the body"))
        elif self._exchange is None and not self._is_paused:
            self._next()
        # TLS has no half-close here: the connection ends whatever we answer.
        return self._transport is not None and self._transport.can_write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        server = self._server
        server.closed(self)
        for deadlines in (server.head_deadlines, server.body_deadlines, server.write_deadlines):
            deadlines.discard(self)
        server.linger_deadlines.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.leave()

    def pause_writing(self) -> None:
        self._is_paused = True
        self._server.write_deadlines.add(self, self._server.now_s())
        if self._exchange is not None:
            self._exchange.pause_answer()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._server.write_deadlines.discard(self)
        if self._exchange is not None:
            self._exchange.resume_answer()
        elif self._is_closing:
            self._server.linger_deadlines.add(self, self._server.now_s())
        else:
            self._go_on()

    # Reading requests.

    def _read_head(self, received: bytes) -> None:
        buffer = self._buffer + received if self._buffer else received
        if buffer[:2] == b"\r\n" and not self._has_skipped_line:
            buffer = buffer[2:]  # one empty line before a request line: RFC 9112 section 2.2
            self._server.head_deadlines.discard(self)  # it was set if the two bytes came apart
            self._buffer, self._seen = b"", 0
            self._has_skipped_line = True
        try:
            end = find_request_head(buffer, self._seen)
            head = parse_request(buffer[:end]) if end >= 0 else None
        except RequestError as error:
            self._go_wrong(error, _method_begun(buffer))
            return
        if head is None:
            if not self._buffer and buffer:
                self._server.head_deadlines.add(self, self._server.now_s())
            self._buffer, self._seen = buffer, len(buffer)
            return
        if self._buffer:
            self._server.head_deadlines.discard(self)
            self._buffer, self._seen = b"", 0
        self._has_skipped_line = False
        self._begin(head, buffer[end:])

    def _begin(self, head: RequestHead, rest: bytes) -> None:
        server = self._server
        if server.is_refusing:
            self._refuse_overload(head, rest)
            return
        live = server.find(head)
        if live is None:
            self._refuse_unrouted(head, rest)
            return
        if live.is_special and self._begin_specially(live, head, rest):
            return
        if head.expects_continue and not rest:
            self.write(CONTINUE)
        if live.is_plain:
            exchange = Exchange(self, server, live, head)
        elif live.is_chained:
            exchange = ChainedExchange(self, server, live, head)
        else:
            exchange = SignedExchange(self, server, live, head)
        self._exchange = exchange
        if head.body_length == len(rest):  # the whole request came at once, as most do
            exchange.begin(rest, True)
            return
        body = body_reader(head.body_length, RequestError)
        payload, rest = body.feed(rest)
        self._buffer = rest
        if not body.is_done:
            self._body = body
            server.body_deadlines.add(self, server.now_s())
        exchange.begin(payload, body.is_done)

    def _begin_specially(self, live: "LiveRoute", head: RequestHead, rest: bytes) -> bool:
        """Do what is no exchange, and return whether it was that."""
        if live.is_closed:
            self._refuse_closed(live, head, rest)
            return True
        return bool(live.upgrades) and self._begin_upgrade(live, head, rest)

    def _begin_upgrade(self, live: "LiveRoute", head: RequestHead, rest: bytes) -> bool:
        """Ask for another protocol if that is what the request does; ``rest`` waits for its 101."""
        token = asked_of(head, live.upgrades)
        if not token:
            return False
        exchange = Upgrade(self, self._server, live.beside(), head, token)
        self._exchange = exchange
        self._buffer = rest
        exchange.begin(b"", True)
        return True

    def hand_over(self) -> tuple[asyncio.Transport, bytes, bool]:
        """Give the socket away: its bytes are no requests any more. Its end is still told here.

        Return the transport, what the client has sent behind its request, and whether it has sent
        its FIN.
        """
        assert self._transport is not None
        held, self._buffer = self._buffer, b""
        self._exchange = None
        self._is_closing = True
        return self._transport, held, self._has_left

    def _refuse_unrouted(self, head: RequestHead, rest: bytes) -> None:
        self._server.counters.event("understudy_unrouted_requests_total")
        self._buffer = rest
        keep = head.keep_alive and head.body_length == 0
        self._is_unfinished = head.body_length != 0
        self.refuse(404, "no route matches this request", keep=keep, method=head.method)

    def _refuse_closed(self, live: "LiveRoute", head: RequestHead, rest: bytes) -> None:
        live.count("understudy_closed_requests_total")
        self._refuse_for_now("no version has passed its gates yet: try again later", head, rest)

    def _refuse_overload(self, head: RequestHead, rest: bytes) -> None:
        self._server.counters.event("understudy_refused_requests_total", "code=503")
        self._refuse_for_now("too much to do: try again later", head, rest)

    def _refuse_for_now(self, because: str, head: RequestHead, rest: bytes) -> None:
        is_whole = 0 <= head.body_length <= len(rest)
        self._buffer = rest[head.body_length :] if is_whole else rest
        keep = head.keep_alive and is_whole
        self._is_unfinished = not is_whole
        self.refuse(503, because, keep=keep, method=head.method)

    def _read_body(self, received: bytes) -> None:
        body, exchange = self._body, self._exchange
        assert body is not None and exchange is not None
        payload, rest = body.feed(received)
        if body.is_done:
            self._body = None
            self._server.body_deadlines.discard(self)
            self._buffer = rest
        if payload or body.is_done:
            exchange.on_body(payload, body.is_done)

    def _wait(self, received: bytes) -> None:
        """Keep what is pipelined behind the request under way."""
        self._buffer += received
        if len(self._buffer) > MAX_PIPELINED_BYTES:
            self.pause_request()

    def _go_wrong(self, error: RequestError, method: bytes = b"") -> None:
        server = self._server
        server.counters.event("understudy_refused_requests_total", f"code={error.status_hint}")
        server.head_deadlines.discard(self)
        server.body_deadlines.discard(self)
        self._body = None
        self._is_unfinished = True
        exchange = self._exchange
        if exchange is not None:
            exchange.refuse(error)
        else:
            self.refuse(error.status_hint, str(error), keep=False, method=method)

    def on_deadline(self) -> None:
        """A head or a body took too long, a client does not read, or a farewell has ended."""
        assert self._transport is not None
        if self._is_closing or self._is_paused:
            _break_off(self._transport)
        else:
            error = RequestTimeout("the request took too long to arrive")
            self._go_wrong(error, _method_begun(self._buffer))

    # What the exchange asks of it.

    def write(self, payload: bytes) -> None:
        """Send bytes to the client; they are dropped when it has gone."""
        if self._transport is not None and not self._is_closing:
            self._transport.write(payload)

    def pause_request(self) -> None:
        """Stop reading from the client."""
        if self._transport is not None and not self._is_closing and not self._is_request_paused:
            self._is_request_paused = True
            self._transport.pause_reading()

    def resume_request(self) -> None:
        """Read from the client again."""
        if self._transport is not None and not self._is_closing and self._is_request_paused:
            self._is_request_paused = False
            self._transport.resume_reading()

    def refuse(
        self, status: int, message: str, *, keep: bool, method: bytes = b"", token: bytes = b""
    ) -> None:
        """Answer by ourselves, and close unless the next request's beginning is known."""
        exchange = self._exchange
        request_id = exchange.request_id if exchange is not None else b""
        keep = keep and not self._server.ends_keep_alive
        self.write(refusal(status, message, request_id, keep, method, token))
        self.exchange_over(keep)

    def exchange_over(self, keep: bool) -> None:
        """The client has its answer: on to the next request, or close."""
        self._exchange = None
        self.is_first = False
        self.last_used_s = self._server.tick_s
        # A client that was told that the connection lives on may be writing to it already.
        if not keep or (self._has_left and not self._buffer):
            self.close()
        elif not self._is_paused:
            self._go_on()
        # Else the next request waits until the client has read: while our side is full nobody
        # would hold back its answer, and the answers of a thousand would pile up.

    def _go_on(self) -> None:
        if self._is_request_paused:
            self.resume_request()
        if self._buffer:
            # Not from inside the call that ended the last one: a client that pipelines a thousand
            # requests must not recurse a thousand deep.
            self._server.loop.call_soon(self._next)

    def _next(self) -> None:
        if self._is_closing or self._exchange is not None or self._is_paused:
            return
        buffer, self._buffer, self._seen = self._buffer, b"", 0
        if buffer:
            self.data_received(buffer)
        if self._has_left:
            self._end_with_client()

    def _end_with_client(self) -> None:
        """What the client had sent before its FIN was its last: it is whole, or it never will."""
        if self._body is not None and not self._is_closing:
            self._go_wrong(RequestError("the connection ended inside the body"))
        elif self._exchange is None:
            self.close()

    def cut(self, *, with_reset: bool = False) -> None:
        """Break the connection off: the client must see that its answer is incomplete.

        ``with_reset`` is for an answer whose end is the connection's: a clean end would look whole.
        """
        transport = self._transport
        self._is_closing = True
        self._exchange = None
        if transport is not None:
            _break_off(transport, with_reset=with_reset)

    def leave(self) -> None:
        """Give up on the client although it has not left: the process stops."""
        if self._exchange is not None:
            self._exchange.break_off()
        else:
            self.cut()

    def close_if_quiet(self) -> None:
        """Say goodbye to a client that has not asked for anything, and is not about to."""
        transport = self._transport
        if transport is None or not self.is_idle or self._is_paused:
            return
        if end_if_quiet(transport.get_extra_info("socket").fileno()):
            self._is_closing = True
            self._server.linger_deadlines.add(self, self._server.now_s())

    def close(self, *, lingers: bool = True) -> None:
        """Say goodbye: send what is written, then wait shortly for the client to close.

        Closing at once while bytes of the client are unread makes the kernel send RST, which
        would take the answer with it (RFC 9112 section 9.6).
        """
        transport = self._transport
        if self._is_closing or transport is None:
            return
        self._is_closing = True
        self._buffer = b""
        if not self._is_paused:
            self._server.linger_deadlines.add(self, self._server.now_s())
        # Else the client has a large answer to read first, and the deadline for that is set.
        if not lingers or self._has_left or transport.is_closing():
            transport.close()
            return
        if transport.can_write_eof():
            transport.write_eof()
        elif self._body is None and not self._is_unfinished:
            transport.close()  # TLS: says goodbye, and waits for the client's
            return
        # Else TLS, and bytes after our goodbye would be an error that takes the answer with it.
        # The answer has a length: the client closes when it has read it, or the deadline does.
        if self._is_request_paused:
            transport.resume_reading()

    def _linger(self, received: bytes) -> None:
        self._linger_bytes += len(received)
        if self._linger_bytes > MAX_LINGER_BYTES and self._transport is not None:
            self._transport.abort()


def _break_off(transport: asyncio.Transport, *, with_reset: bool = False) -> None:
    """End a connection at once; with RST also if the client has not got all of its answer."""
    if with_reset or transport.get_write_buffer_size():
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _LINGER_0)
    transport.abort()


def _method_begun(buffer: bytes) -> bytes:
    """Return HEAD if that is what a head which is not whole or not valid begins with.

    Whatever is wrong with it, who asks for HEAD reads no body (RFC 9110 section 9.3.2).
    """
    return b"HEAD" if buffer[:5] == b"HEAD " else b""
