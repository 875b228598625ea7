"""Takes a sample of every route into the history, and remembers the last minute's counts."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from sidecar.dashboard.sample import encode
from sidecar.dashboard.traffic import Traffic, between, traffic_by_route
from sidecar.history import RINGS, History, HistoryError, stride

STEP_S = float(RINGS[0].step_s)
RECENT_S = 60.0
"""What live rates are taken over."""

log = structlog.get_logger()


class Recorder:
    """Owns the history's writing. One task on the event loop; the file is written in a thread."""

    def __init__(
        self,
        history: History,
        status: Callable[[], Awaitable[dict[str, Any]]],
        counts: Callable[[], Mapping[str, float]],
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._status = status
        self._counts = counts
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._recent: deque[tuple[float, dict[str, Traffic]]] = deque(
            maxlen=round(RECENT_S / STEP_S) + 1
        )
        self._n_turns = 0
        self._n_routes = 0
        self._is_failing = False

    async def run(self) -> None:
        """Sample until cancelled, every STEP_S; with many routes the file gets fewer samples."""
        while True:
            try:
                await self.turn()
            except Exception as error:  # a history that cannot be taken must not end the process
                log.warning("no sample for the history", error=str(error))
            await asyncio.sleep(STEP_S)

    async def turn(self) -> None:
        """Note the counts, and take a sample if this turn's is to be kept."""
        traffic = self.note()
        is_due = self._n_turns % stride(self._n_routes) == 0
        self._n_turns += 1
        if not is_due:  # reading a thousand checks takes the engine a second
            return
        status = await self._status()
        routes = list(status.get("routes") or ())
        self._n_routes = len(routes)
        if routes and "stale_s" not in status:
            samples = {one["name"]: encode(one, traffic.get(one["name"], {})) for one in routes}
            await self._keep(samples)

    def note(self) -> dict[str, Traffic]:
        """Remember the counts of now; return them by route."""
        traffic = traffic_by_route(self._counts())
        self._recent.append((self._monotonic_s(), traffic))
        return traffic

    def recent(self, route: str) -> dict[str, Any]:
        """Return what each variant of ``route`` answered in the last minute or less, JSON-ready."""
        now_s, now = self._monotonic_s(), traffic_by_route(self._counts(), route)
        before_s, before = self._recent[0] if self._recent else (now_s, now)
        old = before.get(route, {})
        return {
            "seconds": round(now_s - before_s, 1),
            "variants": {
                name: between(old.get(name), totals, now_s - before_s)
                for name, totals in now.get(route, {}).items()
            },
        }

    async def _keep(self, samples: Mapping[str, bytes]) -> None:
        try:
            await asyncio.to_thread(self._history.add, self._wall_s(), samples, len(samples))
        except HistoryError as error:
            if not self._is_failing:  # once per trouble
                log.warning("the history could not be written", error=str(error))
            self._is_failing = True
        else:
            self._is_failing = False
