"""TLS on the listener: from an accepted connection to one on which requests may come.

A handshake has a deadline and a place of its own: clients that begin one and go silent hold
neither the places of those that ask, nor any longer than the deadline.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from router.counters import Counters
from router.rotation import Identity
from router.tasks import spawn

HANDSHAKE_S = 5.0
"""From the accepted connection to the end of the handshake; chosen (nginx 60, Envoy 15)."""
MAX_HANDSHAKES = 1024
"""Under way at once in one router process; further connections are closed at once."""
GOODBYE_S = 30.0
"""For a client to read the rest of an answer and confirm the end; the client connection's own
deadlines are shorter, or as long."""
BUFFER_BYTES = 64 * 1024
"""What may wait for a slow client before its answer is paused; asyncio's own is 512 KiB."""

Accept = Callable[[], asyncio.Protocol]
"""Makes the protocol of a client connection."""


class Handshakes:
    """All handshakes under way in one router process. Owner: the Server."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identity: Identity,
        counters: Counters,
        accept: Accept,
    ) -> None:
        self.loop = loop
        self.identity = identity
        self.accept = accept
        self.under_way: set[Arrival] = set()
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

    def over(self, arrival: "Arrival") -> None:
        """Give back the place of a handshake that is over."""
        self.under_way.discard(arrival)
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
        self._handshakes = handshakes
        self._transport: asyncio.Transport | None = None
        self._early = b""
        """What came with the end of the handshake, before anybody was there to read it."""
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        handshakes = self._handshakes
        if len(handshakes) >= MAX_HANDSHAKES or handshakes.identity.context is None:
            handshakes.fail("overload")
            self.abort()
            return
        handshakes.under_way.add(self)
        # The client speaks first: unread, its bytes wait for the one who understands them.
        self._transport.pause_reading()
        spawn(self._shake(self._transport, handshakes.identity.context), name="handshake")

    def data_received(self, received: bytes) -> None:
        self._early += received

    def eof_received(self) -> bool:
        self._is_lost = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _shake(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        handshakes = self._handshakes
        try:
            secure = await handshakes.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except OSError as error:  # ssl.SSLError is one, and what uvloop says of a timeout
            handshakes.fail(reason_of(error))
            return
        finally:
            handshakes.over(self)
        if secure is None or self._is_lost:
            handshakes.fail("closed")
            return
        self._hand_over(secure)

    def _hand_over(self, secure: asyncio.Transport) -> None:
        secure.set_write_buffer_limits(high=BUFFER_BYTES)
        connection = self._handshakes.accept()
        secure.set_protocol(connection)
        connection.connection_made(secure)
        if self._early:
            connection.data_received(self._early)


def reason_of(error: OSError) -> str:
    """Return why a handshake failed, as one of a few fixed words. Pure."""
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"):
            return "not_tls"
        return "certificate" if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason else "protocol"
    if isinstance(error, (TimeoutError, ConnectionAbortedError)):
        return "timeout"
    return "closed"
