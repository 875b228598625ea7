"""The admin port with its dashboard, in a thread of its own, for a browser that blocks."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from router import frames
from router.frames import Hello
from sidecar.dashboard.recorder import Recorder
from sidecar.tokenfile import Scope
from tests.sidecar.admin_bench import AdminBench

T = TypeVar("T")
WAIT_S = 60.0


class Real:
    """Stands where a bench has its double: a real controller."""

    def __init__(self, controller: Any) -> None:
        self.controller = controller
        self.hang = threading.Event()
        self.hang.set()


class Stand:
    """Owns a loop in a thread, and an AdminBench on it."""

    def __init__(
        self,
        folder: Path,
        controller: Any = None,
        recorder: Recorder | None = None,
        closed: Collection[Scope] = (),
    ) -> None:
        """``controller``: a real one, in place of the double; ``recorder``: what told its past;
        ``closed``: rights that need a token."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.folder = folder
        self.run(self._start(controller, recorder, closed))

    async def _start(
        self, controller: Any, recorder: Recorder | None, closed: Collection[Scope]
    ) -> None:
        self.bench = AdminBench(self.folder, recorder=recorder, closed=closed)
        if controller is not None:
            self.bench.double = Real(controller)  # type: ignore[assignment]
        await self.bench.start()
        await self.bench.recorder.turn()
        await self._connect()

    async def _connect(self) -> None:
        """Let a router say hello, and no more."""
        await self.bench.hub.start()
        _, self._router = await asyncio.open_unix_connection(str(self.folder / "s"))
        version = self.bench.hub.table.version if self.bench.hub.table else 0
        self._router.write(frames.encode(Hello("w0", 0, 1, version)))

    async def _stop(self) -> None:
        self._router.close()
        self.bench.hub.close()
        await self.bench.hub.wait_closed()
        await self.bench.close()

    @property
    def url(self) -> str:
        return str(self.bench.client.make_url("/"))

    def run(self, work: Awaitable[T]) -> T:
        """Run ``work`` on the loop and wait for it."""

        async def whole() -> T:
            return await work

        found: Future[T] = asyncio.run_coroutine_threadsafe(whole(), self._loop)
        return found.result(WAIT_S)

    def engine(self, act: Callable[[Any], T]) -> T:
        """Run ``act(controller)`` where the controller lives."""
        return self.run(self.bench.engine.call(act))

    def close(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
