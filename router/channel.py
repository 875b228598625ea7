"""The line to the controller: observations out, tables in; it may be dead for as long as it likes.

Observations wait in a buffer bounded by count and bytes until the controller says that they are
durable. Batches are numbered, so that after a broken connection they can be sent again and taken
in once. When the buffer is full the newest observation is dropped and counted.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from typing import cast

from router import frames
from router.counters import Counters
from router.gathering import Gathering
from router.observation import Exposure, Observation
from router.table import RoutingTable, from_bytes
from router.tasks import spawn

log = logging.getLogger("router.channel")

MAX_WAITING = 100_000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_BATCH = 2_000
"""Observations in one frame; with the default capture they stay far below MAX_FRAME_BYTES."""
MAX_BATCH_BYTES = 8 * 1024 * 1024
RETRY_S = (0.05, 1.0)


class Channel:
    """Owner: the Server. One connection at a time; reconnects for ever."""

    def __init__(
        self,
        path: str,
        worker: int,
        counters: Counters,
        on_table: Callable[[RoutingTable], None],
        table_version: Callable[[], int],
    ) -> None:
        self.source = f"w{worker}-{os.getpid()}-{os.urandom(4).hex()}"
        """A fresh name at each start: sequence numbers begin anew with it."""
        self._path = path
        self._worker = worker
        self._counters = counters
        self._on_table = on_table
        self._table_version = table_version
        self._gathering = Gathering(self.source)
        self._sequence = 0
        self._unacknowledged: deque[tuple[int, bytearray, int]] = deque()
        self._n_waiting = 0
        self._bytes_waiting = 0
        self._line: _Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._all_acknowledged = asyncio.Event()
        self._is_closed = False

    # What the data plane gives.

    def observe(self, observation: Observation) -> None:
        """Take in one observation; never waits. Dropped and counted when the buffer is full."""
        gathering = self._gathering
        waiting_bytes = self._bytes_waiting + len(gathering) + _captured_bytes(observation)
        if self._n_waiting >= MAX_WAITING or waiting_bytes > MAX_WAITING_BYTES:
            self._counters.event("understudy_observations_dropped_total", "reason=buffer_full")
            return
        self._n_waiting += 1
        gathering.add(observation)
        if gathering.n >= MAX_BATCH or len(gathering) >= MAX_BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered, as one batch; called at each tick of the worker."""
        n = self._gathering.n
        if not n:
            return
        self._sequence += 1
        raw = self._gathering.frame(self._sequence)
        self._bytes_waiting += len(raw)
        self._unacknowledged.append((self._sequence, raw, n))
        self._all_acknowledged.clear()
        if self._line is not None:
            self._line.send(raw)

    @property
    def is_full(self) -> bool:
        """Whether the controller is connected and does not read: say nothing that can wait."""
        return self._line is not None and self._line.is_full

    def say(self, message: frames.FromRouter) -> None:
        """Send something that is worth nothing later: lost when the controller is away."""
        if self._line is not None:
            self._line.send(frames.encode(message))

    # The connection.

    def start(self) -> None:
        """Begin to connect, and go on trying."""
        self._task = spawn(self._keep_connected(), name="channel")

    def close(self) -> None:
        """Stop; idempotent. What is not acknowledged is lost with this process."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        if self._line is not None:
            self._line.close()

    async def drained(self, within_s: float) -> bool:
        """Wait until everything is acknowledged, but no longer; return whether it is."""
        self.flush()
        if not self._unacknowledged:
            return True
        try:
            async with asyncio.timeout(within_s):
                await self._all_acknowledged.wait()
        except TimeoutError:
            return False
        return True

    async def _keep_connected(self) -> None:
        wait_s = RETRY_S[0]
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, line = await loop.create_unix_connection(lambda: _Line(self), self._path)
            except OSError:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S[1])
                continue
            wait_s = RETRY_S[0]
            await line.ended
            await asyncio.sleep(wait_s)

    def connected(self, line: "_Line") -> None:
        """Say who we are, and what the last controller may not have heard."""
        if self._is_closed:
            line.close()
            return
        self._line = line
        line.send(
            frames.encode(
                frames.Hello(self.source, self._worker, os.getpid(), self._table_version())
            )
        )
        for _, raw, _ in self._unacknowledged:
            line.send(raw)

    def disconnected(self) -> None:
        """Everything unacknowledged stays."""
        self._line = None

    def take(self, raw: bytes) -> None:
        """Act on one frame from the controller."""
        message = frames.decode_from_controller(raw)
        if isinstance(message, frames.Publish):
            table = from_bytes(message.table)
            self._on_table(table)
            self.say(frames.Applied(self.source, self._table_version()))
        elif message.source == self.source:
            self._acknowledge(message.sequence)

    def _acknowledge(self, sequence: int) -> None:
        waiting = self._unacknowledged
        while waiting and waiting[0][0] <= sequence:
            _, raw, n = waiting.popleft()
            self._n_waiting -= n
            self._bytes_waiting -= len(raw)
        if not waiting:
            self._all_acknowledged.set()

    @property
    def n_waiting(self) -> int:
        """Observations that are not durable yet."""
        return self._n_waiting


class _Line(asyncio.Protocol):
    """One connection to the controller."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._frames = frames.Deframer()
        self._transport: asyncio.Transport | None = None
        self.is_full = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transports in all but ancestry.
        self._transport = cast(asyncio.Transport, transport)
        self._channel.connected(self)

    def data_received(self, received: bytes) -> None:
        try:
            for raw in self._frames.feed(received):
                self._channel.take(raw)
        except ValueError as error:  # msgspec's errors and the table's are ValueErrors
            log.error("the controller sent a frame that makes no sense", extra={"why": str(error)})
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._channel.disconnected()
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False

    def send(self, raw: bytearray) -> None:
        """Queue bytes; what queues up is bounded by the channel's own bound."""
        if self._transport is not None:
            self._transport.write(raw)

    def close(self) -> None:
        """End the connection; the channel will make another."""
        if self._transport is not None:
            self._transport.abort()


def _captured_bytes(observation: Observation) -> int:
    if isinstance(observation, Exposure):
        fallback = observation.fallback
        return len(observation.outcome.body) + (len(fallback.body) if fallback else 0)
    challenger = observation.challenger
    return len(observation.champion.body) + (len(challenger.body) if challenger else 0)
