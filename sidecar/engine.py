"""The one thread in which the controller, its evaluators and its database live.

Whoever wants something of them sends a function there and awaits its result; the event loop never
waits for a disk or a statistic.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class NotRunning(RuntimeError):
    """The controller is not there yet, or not any more."""


class Engine(Generic[C]):
    """Owns the controller: made, used and dropped in its thread only."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._controller: C | None = None

    async def start(self) -> None:
        """Make the controller; raises what making it raises."""
        loop = asyncio.get_running_loop()
        self._controller = await loop.run_in_executor(self._thread, self._make)

    async def call(self, act: Callable[[C], T]) -> T:
        """Return ``act(controller)``, run in the thread after everything sent before it.

        NotRunning before ``start`` has returned and after ``close``.
        Cancelling the wait does not stop what has begun.
        """
        controller = self._controller
        if controller is None:
            raise NotRunning("the controller is starting, or was closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, controller)

    async def close(self, finish: Callable[[C], None] | None = None) -> None:
        """Run ``finish`` after everything sent before it, and end the thread; idempotent."""
        controller, self._controller = self._controller, None
        loop = asyncio.get_running_loop()
        if controller is not None and finish is not None:
            await loop.run_in_executor(self._thread, finish, controller)
        self._thread.shutdown(wait=False)
