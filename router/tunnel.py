"""Two connections that have become one stream of bytes, each way: after a 101 nobody here reads.

Who does not read pauses who writes. A tunnel ends when a side ends, or when nothing has moved for
the idle timeout.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from router.stream import Silence

if TYPE_CHECKING:
    from router.routes import LiveRoute
    from router.server import Server


class Owner(Protocol):
    """Whoever had the connection before; it still keeps its accounts."""

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended."""


class Half:
    """One side of a tunnel. An asyncio.Protocol in all but ancestry, as the Downstream is."""

    __slots__ = ("_owner", "_transport", "_tunnel", "has_ended", "is_lost", "other")

    def __init__(self, tunnel: "Tunnel", owner: Owner, transport: asyncio.Transport) -> None:
        self._tunnel = tunnel
        self._owner = owner
        self._transport = transport
        self.other: Half | None = None
        self.has_ended = False
        """Whether it has sent its FIN."""
        self.is_lost = False

    def take_over(self) -> None:
        """From here on, what the connection brings is for the other side."""
        self._transport.set_protocol(cast(asyncio.Protocol, self))
        self._transport.resume_reading()

    def data_received(self, received: bytes) -> None:
        self._tunnel.moved += len(received)
        if self.other is not None:
            self.other.write(received)

    def eof_received(self) -> bool:
        self.has_ended = True
        other = self.other
        if other is None or other.is_lost or other.has_ended:
            return False  # both have said all they had to say
        other.end()
        return True

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._owner.connection_lost(error)
        self._tunnel.half_lost(self)

    # What the other half asks of it.

    def write(self, payload: bytes) -> None:
        """Send bytes; they are dropped when the side has gone."""
        if not self.is_lost:
            self._transport.write(payload)

    def end(self) -> None:
        """Pass on the other side's FIN."""
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause(self) -> None:
        """Stop reading: the other side is full."""
        if not self.is_lost and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self.is_lost and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """End after what is written has gone out."""
        if not self.is_lost:
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if not self.is_lost:
            self._transport.abort()


class Tunnel:
    """Owner: the Server, from ``open`` until both sides have ended."""

    __slots__ = ("_client", "_deadlines", "_live", "_server", "_silence", "_variant", "moved")

    def __init__(self, server: "Server", live: "LiveRoute") -> None:
        self._server = server
        self._live = live
        self._deadlines = live.champion.silence_deadlines
        self._silence = Silence()
        self._client: Half | None = None
        self._variant: Half | None = None
        self.moved = 0
        """Bytes, both ways together."""

    def open(self, client: Half, variant: Half, first: bytes, held: bytes) -> None:
        """Join the two: ``first`` goes to the client, ``held`` is what the client has sent."""
        self._client, self._variant = client, variant
        client.other, variant.other = variant, client
        self._server.tunnels.add(self)
        self._live.count("understudy_tunnels_total", result="opened")
        client.take_over()
        variant.take_over()
        client.write(first)
        if held:
            variant.write(held)
        self._deadlines.add(self, self._server.now_s())

    def on_deadline(self) -> None:
        """A part of the idle timeout has passed."""
        client, variant = self._client, self._variant
        assert client is not None and variant is not None
        if client.is_lost or variant.is_lost:
            client.abort()  # one has gone, and the other has not read its last bytes since
            variant.abort()
        elif self._silence.lasts(self.moved):
            self._live.count("understudy_tunnels_total", result="idle")
            client.abort()
            variant.abort()
        else:
            self._deadlines.add(self, self._server.now_s())

    def half_lost(self, half: Half) -> None:
        """One side has ended: so does the other, once it has what was sent to it."""
        other = half.other
        self._deadlines.discard(self)
        if other is None or other.is_lost:
            self._server.tunnels.discard(self)
            return
        other.close()
        self._deadlines.add(self, self._server.now_s())
