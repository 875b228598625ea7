"""One side of a connection in memory, as strict with the router as uvloop's transports are."""

import asyncio
from collections.abc import Callable
from typing import Any

Told = Callable[[], None]


class _Socket:
    """What ``get_extra_info("socket")`` gives: it notes that closing shall send RST."""

    def __init__(self) -> None:
        self.lingers = True

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self.lingers = False


class MemoryTransport(asyncio.Transport):
    """The router's side; the peer's side are the methods that begin with ``peer_``.

    Misuse that uvloop answers with RuntimeError is a RuntimeError here too.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, high: int, on_data: Told
    ) -> None:
        super().__init__()
        self._loop = loop
        self.protocol = protocol
        self.high = high
        """The high-water mark of the write buffer, bytes."""
        self.received = bytearray()
        """What the peer has read."""
        self.end = ""
        """How our side ended, as the peer sees it: ``eof``, ``reset`` or not yet."""
        self.is_lost = False
        self._on_data = on_data
        self._socket = _Socket()
        self._pending = bytearray()
        self._is_peer_reading = True
        self._is_full = False
        self._is_closing = False
        self._has_written_eof = False
        self._is_paused = False
        self._incoming: list[bytes | None] = []
        self._peer_has_ended = False
        self._is_reset = False

    def begin(self) -> None:
        self.protocol.connection_made(self)

    # asyncio.Transport, for the router.

    def _must_be_alive(self) -> None:
        if self.is_lost:
            raise RuntimeError("unable to perform operation: the handler is closed")

    def write(self, data: Any) -> None:
        self._must_be_alive()
        if self._has_written_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_closing or not data:
            return
        if self._is_reset:
            self._lose(ConnectionResetError(104, "reset"))
            return
        if self._is_peer_reading and not self._pending:
            self.received += data
            self._loop.call_soon(self._on_data)
            return
        self._pending += data
        if len(self._pending) > self.high and not self._is_full:
            self._is_full = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self._must_be_alive()
        self._has_written_eof = True
        if not self._pending:
            self.end = self.end or "eof"
            self._loop.call_soon(self._on_data)

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return len(self._pending)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.high // 4, self.high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is not None:
            self.high = high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return not self._is_paused and not self._is_closing

    def pause_reading(self) -> None:
        self._must_be_alive()
        self._is_paused = True

    def resume_reading(self) -> None:
        self._must_be_alive()
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._deliver)

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        if not self._pending:
            self._lose(None)

    def abort(self) -> None:
        # What the peer sees: RST if something of it is unread or nobody lingers, else FIN.
        if not self.is_lost and not self.end:
            self.end = "eof" if self._socket.lingers and not self._incoming else "reset"
        self._pending.clear()
        self._lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def _lose(self, error: Exception | None) -> None:
        self._is_closing = True
        if not self.end:
            self.end = "reset" if self._is_reset else "eof"
        self._loop.call_soon(self._on_data)
        self._loop.call_soon(self._be_lost, error)

    def _be_lost(self, error: Exception | None) -> None:
        if not self.is_lost:
            self.is_lost = True
            self.protocol.connection_lost(error)

    # The peer.

    def peer_send(self, data: bytes) -> None:
        """Have ``data`` arrive, now or when the router reads again."""
        if not self._peer_has_ended and not self._is_reset and data:
            self._incoming.append(data)
            self._deliver()

    def peer_eof(self) -> None:
        """The peer has sent its last byte."""
        if not self._peer_has_ended and not self._is_reset:
            self._peer_has_ended = True
            self._incoming.append(None)
            self._deliver()

    def peer_reset(self) -> None:
        """The peer breaks off; a router that does not read notices when it writes or reads."""
        self._is_reset = True
        self._incoming.clear()
        self._pending.clear()
        if not self._is_paused and not self.is_lost:
            self._lose(ConnectionResetError(104, "reset"))

    def peer_stop_reading(self) -> None:
        self._is_peer_reading = False

    def peer_read(self) -> None:
        """The peer reads what waits, and goes on reading."""
        self._is_peer_reading = True
        if self.is_lost or self._is_reset:
            return
        self.received += self._pending
        self._pending.clear()
        self._on_data()
        if self._is_full:
            self._is_full = False
            self.protocol.resume_writing()
        if self._pending:
            return
        if self._is_closing:
            self._lose(None)
        elif self._has_written_eof:
            self.end = self.end or "eof"
            self._on_data()

    def _deliver(self) -> None:
        if self._is_reset and not self.is_lost:
            self._lose(ConnectionResetError(104, "reset"))
        while self._incoming and not self._is_paused and not self._is_closing:
            data = self._incoming.pop(0)
            if data is not None:
                self._land(data)
            elif not self.protocol.eof_received():
                self.close()

    def _land(self, data: bytes) -> None:
        """Hand over ``data`` in the way the protocol asks for, as uvloop does."""
        protocol: Any = self.protocol
        if not hasattr(protocol, "get_buffer") or isinstance(protocol, asyncio.Protocol):
            protocol.data_received(data)
            return
        room = protocol.get_buffer(65_536)
        n_bytes = min(len(room), len(data))
        room[:n_bytes] = data[:n_bytes]
        if n_bytes < len(data):
            self._incoming.insert(0, data[n_bytes:])
        protocol.buffer_updated(n_bytes)
