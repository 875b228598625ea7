"""One reading of the status for all who watch, as often as it is cheap.

Nobody watches: nothing is read. A watcher that is slow misses readings and never makes a queue: it
asks for whatever is newest when it is ready. Runs on the event loop only.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from router.tasks import spawn

PERIOD_S = 1.0
SHARE = 0.1
"""Of the time, at most, is spent reading: a reading of 0.3 s is followed by 3 s of none."""
MAX_WATCHERS = 32

log = structlog.get_logger()


class Crowded(Exception):
    """As many as may watch do already; ask for single answers instead."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The status at one moment."""

    number: int
    """1, 2, 3, ..."""
    status: dict[str, Any]


class Feed:
    """Owns the task that reads while somebody watches."""

    def __init__(self, read: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._read = read
        self._reading: Reading | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._n_watchers = 0
        self.is_closed = False

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Keep readings coming inside; Crowded."""
        if self._n_watchers >= MAX_WATCHERS:
            raise Crowded(f"{MAX_WATCHERS} watch already")
        self._n_watchers += 1
        if self._task is None:
            self._task = spawn(self._run(), name="feed")
        try:
            yield
        finally:
            self._n_watchers -= 1
            if self._n_watchers == 0 and self._task is not None:
                self._task.cancel("nobody watches")
                self._task = self._reading = None  # it would be old for whoever comes next

    async def newer(self, number: int, limit_s: float) -> Reading | None:
        """Return a reading later than ``number``; None if none came within ``limit_s``.

        At once, and None, when the feed is closed.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while not self.is_closed:
                    if self._reading is not None and self._reading.number > number:
                        return self._reading
                    await self._news.wait()
        return None

    def close(self) -> None:
        """Let every watcher go; idempotent."""
        self.is_closed = True
        self._tell()
        if self._task is not None:
            self._task.cancel("the process stops")
            self._task = None

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _run(self) -> None:
        number = 0
        while True:
            begun_s = time.monotonic()
            try:
                status = await self._read()
            except Exception as error:
                log.warning("the dashboard's feed could not read the status", error=str(error))
            else:
                number += 1
                self._reading = Reading(number, status)
                self._tell()
            took_s = time.monotonic() - begun_s
            await asyncio.sleep(max(PERIOD_S, took_s / SHARE))
