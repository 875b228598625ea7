"""The controller's end of the line to the routers: observations in, tables and receipts out.

A socket is read only while there is room for what it brings: a router that is told nothing keeps
its observations, bounded, and counts what it drops.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from router import frames, table
from router.frames import Ack, Applied, Counters, Ejected, FromRouter, Hello, Publish
from router.observation import Batch
from router.table import RoutingTable
from sidecar.counts import Counts
from sidecar.inbox import Inbox

HELLO_S = 5.0
"""A connection that has not said who it is by then is closed."""
MAX_UNSENT_BYTES = 16 * 1024 * 1024
"""Receipts and tables for a router that does not read; beyond it the connection is closed, and a
router that lives will come back for the newest table."""
CURRENT_S = 5.0
"""A router that was silent for longer does not count as running; it counts once a second."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Link:
    """One connected router."""

    hello: Hello
    writer: asyncio.StreamWriter
    table_version: int
    seen_at_s: float
    """Monotonic clock."""
    is_waiting: bool = False
    """Whether it has sent more than we can take in now; what it says next is not read yet."""

    def send(self, raw: bytes | bytearray) -> None:
        if self.writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            log.warning("router does not read: connection closed", source=self.hello.source)
            self.writer.transport.abort()
            return
        self.writer.write(raw)


class Hub:
    """Owns the control socket and its connections. Runs on the event loop only."""

    def __init__(
        self,
        path: Path,
        batches: Inbox[Batch],
        counts: Counts,
        eject: Callable[[Ejected], None],
        fence: Callable[[int], None],
    ) -> None:
        self._path = path
        self._batches = batches
        self._counts = counts
        self._eject = eject
        self._fence = fence
        """Told the version of the table that a router runs when it connects."""
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._readers: set[asyncio.StreamWriter] = set()
        self.table: RoutingTable | None = None
        """The one that was published last; None before the first."""

    async def start(self) -> None:
        """Listen. A socket file left behind by a killed process is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    def close(self) -> None:
        """Stop listening and end every connection; idempotent."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._readers):
            writer.close()

    async def wait_closed(self) -> None:
        """Return once the socket and every connection are closed."""
        if self._server is not None:
            await self._server.wait_closed()
        for writer in tuple(self._readers):
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def publish(self, routing: RoutingTable) -> None:
        """Send ``routing`` to every router, now and to those that connect later."""
        self.table = routing
        raw = frames.encode(Publish(table.to_bytes(routing)))
        for link in tuple(self._links):
            link.send(raw)

    def acknowledge(self, done: Mapping[str, int]) -> None:
        """Tell routers which of their batches are durable."""
        for link in tuple(self._links):
            sequence = done.get(link.hello.source)
            if sequence is not None:
                link.send(frames.encode(Ack(link.hello.source, sequence)))

    def routers(self) -> list[dict[str, object]]:
        """Return who is connected, JSON-ready, by worker number."""
        now_s = time.monotonic()
        return [
            {
                "source": link.hello.source,
                "worker": link.hello.worker,
                "pid": link.hello.pid,
                "table_version": link.table_version,
                "seen_s_ago": round(now_s - link.seen_at_s, 3),
            }
            for link in sorted(self._links, key=lambda link: link.hello.worker)
        ]

    def has_current_router(self) -> bool:
        """Tell whether a router that is alive runs the table that was published last.

        One that waits for us counts: a slow store or evaluator says nothing about its health.
        """
        oldest_s = time.monotonic() - CURRENT_S
        return self.table is not None and any(
            link.is_waiting
            or (link.table_version == self.table.version and link.seen_at_s >= oldest_s)
            for link in self._links
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._readers.add(writer)
        link: Link | None = None
        try:
            link = await self._greet(reader, writer)
            while True:
                message, size_bytes = await _receive(reader)
                link.seen_at_s = time.monotonic()
                await self._take(link, message, size_bytes)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # a router that ended or was cut off: it connects again if it lives
        except ValueError as error:  # msgspec's errors are ValueErrors
            log.error("a router sent a frame that makes no sense", why=str(error))
        finally:
            self._readers.discard(writer)
            self._part(link)
            writer.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Link:
        async with asyncio.timeout(HELLO_S):
            hello, _ = await _receive(reader)
        if not isinstance(hello, Hello):
            raise ValueError(f"the first frame is not a hello, got {type(hello).__name__}")
        link = Link(hello, writer, hello.table_version, time.monotonic())
        self._links.add(link)
        self._fence(hello.table_version)
        log.info("router connected", source=hello.source, router_pid=hello.pid)
        if self.table is not None:
            link.send(frames.encode(Publish(table.to_bytes(self.table))))
        return link

    async def _take(self, link: Link, message: FromRouter, size_bytes: int) -> None:
        match message:
            case Batch():
                link.is_waiting = True
                await self._batches.put(message, count=1, size_bytes=size_bytes)
                link.is_waiting = False
            case Counters():
                self._counts.update(link.hello.source, message.values)
            case Applied():
                link.table_version = message.version
            case Ejected():
                self._eject(message)
            case Hello():
                raise ValueError("a second hello on one connection")

    def _part(self, link: Link | None) -> None:
        if link is None:
            return
        self._links.discard(link)
        # A router that came back before we saw its old connection end has not left.
        if all(other.hello.source != link.hello.source for other in self._links):
            self._counts.leave(link.hello.source)
        log.info("router disconnected", source=link.hello.source)


async def _receive(reader: asyncio.StreamReader) -> tuple[FromRouter, int]:
    size_bytes = int.from_bytes(await reader.readexactly(4), "big")
    if size_bytes > frames.MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {size_bytes} bytes is over {frames.MAX_FRAME_BYTES}")
    return frames.decode_from_router(await reader.readexactly(size_bytes)), size_bytes
