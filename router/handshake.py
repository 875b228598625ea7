"""TLS on the listener: from an accepted connection to one on which requests may come.

A handshake has a deadline and a place of its own: clients that connect and go silent hold neither
the places of those that ask, nor any longer than the deadline. Until its first byte has come, a
connection costs no TLS state at all.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from router.counters import Counters
from router.deadline import Deadlines
from router.rotation import Identity
from router.tasks import spawn
from router.wire import refusal

HANDSHAKE_S = 5.0
"""From the accepted connection to its first byte, and again to the end of the handshake; chosen
(nginx 60, Envoy 15)."""
MAX_HANDSHAKES = 1024
"""Under way at once in one router process. At the bound the one that has been silent for longest
makes room: clients that mean it speak at once."""
GOODBYE_S = 30.0
"""For a client to read the rest of an answer and confirm the end; the client connection's own
deadlines are shorter, or as long."""
_HANDSHAKE_RECORD = 0x16
"""The first byte of every TLS connection (RFC 8446 section 5.1)."""

Accept = Callable[[], asyncio.Protocol]
"""Makes the protocol of a client connection."""


class Handshakes:
    """All handshakes under way in one router process. Owner: the Server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        counters: Counters,
        deadlines: Deadlines,
        clock: Callable[[], float],
        accept: Accept,
    ) -> None:
        self.loop = loop
        self.now_s = clock
        self.identity = identity
        self.deadlines = deadlines
        """For the first byte, and for the farewell of who speaks no TLS."""
        self.accept = accept
        self.under_way: dict[Arrival, None] = {}
        """In order of arrival."""
        self.silent: dict[Arrival, None] = {}
        """Those of them that have sent nothing yet."""
        self._counters = counters
        self._none_left = asyncio.Event()

    def __len__(self) -> int:
        return len(self.under_way)

    def arrive(self) -> asyncio.Protocol:
        """Return the protocol of a connection that was just accepted."""
        return Arrival(self)

    def fail(self, reason: str) -> None:
        """Count a connection on which no request could come."""
        self._counters.event("understudy_tls_handshake_failures_total", f"reason={reason}")

    def take_place(self, arrival: "Arrival") -> bool:
        """Note that a connection was accepted; False if there is no place for it."""
        if len(self.under_way) >= MAX_HANDSHAKES:
            longest = next(iter(self.silent), None)
            if longest is None:
                return False
            longest.make_room()
        self.under_way[arrival] = self.silent[arrival] = None
        self.deadlines.add(arrival, self.now_s())
        return True

    def over(self, arrival: "Arrival") -> None:
        """Give back the place of a handshake that is over."""
        self.deadlines.discard(arrival)
        self.silent.pop(arrival, None)
        self.under_way.pop(arrival, None)
        if not self.under_way:
            self._none_left.set()

    async def done(self, within_s: float) -> None:
        """Wait until none is under way, or for ``within_s``; end those that are left."""
        if not self.under_way:
            return
        self._none_left.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._none_left.wait()
        except TimeoutError:
            for arrival in list(self.under_way):
                arrival.abort()


class Arrival(asyncio.Protocol):
    """One accepted connection, until its handshake is over. Owner: Handshakes."""

    def __init__(self, handshakes: Handshakes) -> None:
        self.is_silent = True
        """Whether nothing has come from the client yet."""
        self._handshakes = handshakes
        self._transport: asyncio.Transport | None = None
        self._fault = "closed"
        """What it is counted as if the connection ends before the handshake begins."""
        self._early = b""
        """What came with the end of the handshake, before anybody was there to read it."""
        self._is_shaking = False
        self._is_lost = False

    # Before the handshake, and after it until the connection is handed over.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if not self._handshakes.take_place(self):
            self.make_room()

    def data_received(self, received: bytes) -> None:
        if not self.is_silent:
            self._early += received if self._is_shaking else b""
            return
        self.is_silent = False
        self._handshakes.silent.pop(self, None)
        context = self._handshakes.identity.context
        if received[0] != _HANDSHAKE_RECORD or context is None:
            self._refuse(received)
            return
        assert self._transport is not None
        self._handshakes.deadlines.discard(self)
        # What follows waits in the socket until somebody is there who understands it.
        self._transport.pause_reading()
        self._is_shaking = True
        spawn(self._shake(self._transport, context, received), name="handshake")

    def eof_received(self) -> bool:
        self._is_lost = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        if not self._is_shaking:  # else the handshake's own end says why
            self._handshakes.over(self)
            self._handshakes.fail(self._fault)

    def on_deadline(self) -> None:
        """Nothing has come, or the farewell is over."""
        if self.is_silent:
            self._fault = "timeout"
        self.abort()

    def make_room(self) -> None:
        """End the connection because there are too many."""
        self._fault = "overload"
        self._handshakes.over(self)
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, received: bytes) -> None:
        """Tell a client that speaks plain HTTP what is wrong; it would wait for an answer."""
        assert self._transport is not None
        self._fault = "not_tls"
        if received[:1].isalpha():
            self._transport.write(refusal(400, "plain HTTP on a port for TLS", b"", False))
        # What the client still sends is read and dropped: closed, the answer might be lost.
        self._transport.write_eof()

    # The handshake.

    async def _shake(
        self, transport: asyncio.Transport, context: ssl.SSLContext, hello: bytes
    ) -> None:
        handshakes = self._handshakes
        starting = spawn(
            handshakes.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            ),
            name="start-tls",
        )
        await asyncio.sleep(0)  # the transport's protocol is TLS's now
        handshakes.loop.call_soon(_replay, transport, hello)
        try:
            secure = await starting
        except OSError as error:  # ssl.SSLError is one, and what the loops say of a timeout
            handshakes.fail(reason_of(error))
            return
        finally:
            handshakes.over(self)
        if secure is None or self._is_lost:
            handshakes.fail("closed")
            return
        self._hand_over(secure)

    def _hand_over(self, secure: asyncio.Transport) -> None:
        connection = self._handshakes.accept()
        secure.set_protocol(connection)
        connection.connection_made(secure)
        if self._early:
            connection.data_received(self._early)


def _replay(transport: asyncio.Transport, hello: bytes) -> None:
    """Give TLS the client's first bytes, which came before there was TLS.

    Reading cannot be held back from the start: uvloop begins it after ``connection_made``,
    whatever was said there.
    """
    # uvloop's is an asyncio.BufferedProtocol in all but ancestry.
    protocol = cast(asyncio.BufferedProtocol, transport.get_protocol())
    while hello:
        room = protocol.get_buffer(len(hello))
        n = min(len(room), len(hello))  # type: ignore[arg-type] # a memoryview
        room[:n] = hello[:n]  # type: ignore[index]
        protocol.buffer_updated(n)
        hello = hello[n:]


def reason_of(error: OSError) -> str:
    """Return why a handshake failed, as one of a few fixed words. Pure."""
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or ""
        return "certificate" if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason else "protocol"
    if isinstance(error, (TimeoutError, ConnectionAbortedError)):
        return "timeout"
    return "closed"
