"""What the dashboard asks the admin port for, beside what everybody asks it for.

``attach`` adds its addresses to the admin application, behind the guard of all the others.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from controller.controller import UnknownRoute
from controller.store import StoreError
from sidecar.dashboard.feed import Crowded, Feed
from sidecar.dashboard.page import Page
from sidecar.dashboard.recorder import Recorder
from sidecar.dashboard.sample import columns
from sidecar.dashboard.stream import tell
from sidecar.dashboard.summary import overview_of, row_of
from sidecar.desk import Busy, Desk
from sidecar.guard import HEADERS, Refusal, reply
from sidecar.history import RINGS, History, HistoryError
from sidecar.query import number

SPANS = tuple(ring.span for ring in RINGS)
MAX_RECORDS = 200
COMPRESSED_BYTES = 4_096
"""Larger answers are compressed for whoever can read that."""
NOTHING_SHOWN: dict[str, Any] = {
    **{"show": "nothing", "experiment": None},
    **{"compared": 0, "differ": 0, "pairs": []},
}


class Board:
    """Answers the dashboard. Owns its feed; desk, history and recorder are others'."""

    def __init__(self, desk: Desk, history: History, recorder: Recorder) -> None:
        self._desk = desk
        self._history = history
        self._recorder = recorder
        self._page = Page()
        self._feed = Feed(desk.status)

    def attach(self, app: web.Application) -> None:
        """Add the dashboard's addresses to ``app``."""
        app.router.add_get("/", self._page.index)
        app.router.add_get("/dashboard/{file}", self._page.file)
        app.router.add_get("/v1/routes", self._routes)
        app.router.add_get("/v1/routes/{name}/view", self._one)
        app.router.add_get("/v1/routes/{name}/history", self._past)
        app.router.add_get("/v1/routes/{name}/timeline", self._timeline)
        app.router.add_get("/v1/events/stream", self._stream)
        app.on_shutdown.append(self._close)

    async def _close(self, _: web.Application) -> None:
        self._feed.close()

    async def _routes(self, request: web.Request) -> web.Response:
        status = await self._desk.status()
        rows = [row_of(route) for route in status.get("routes") or ()]
        return _compressed(reply({"overview": overview_of(status), "routes": rows}))

    async def _one(self, request: web.Request) -> web.Response:
        view = await self._view(request.match_info["name"], await self._desk.status())
        if view is None:
            raise _unknown()
        return _compressed(reply(view))

    async def _view(self, name: str, status: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return all that is shown of one route; None if it is not there."""
        routes = status.get("routes") or ()
        route = next((one for one in routes if one["name"] == name), None)
        if route is None:
            return None
        try:
            disagreements = await self._desk.disagreements(name)
        except (Busy, StoreError, UnknownRoute):
            disagreements = NOTHING_SHOWN
        return {
            "route": route,
            "traffic": self._recorder.recent(name),
            "disagreements": disagreements,
        }

    async def _past(self, request: web.Request) -> web.Response:
        span = request.query.get("span", SPANS[0])
        if span not in SPANS:
            raise Refusal(400, f"span is none of {', '.join(SPANS)}", "leave span out")
        name = request.match_info["name"]
        try:
            rows = await asyncio.to_thread(self._history.rows, name, span, time.time())
        except HistoryError as error:
            raise Refusal(
                503, str(error), "try again; the file is begun anew if need be"
            ) from error
        ring = RINGS[SPANS.index(span)]
        content = {"route": name, "span": span, "span_s": ring.span_s} | columns(rows)
        return _compressed(reply(content))

    async def _timeline(self, request: web.Request) -> web.Response:
        before = number(request, "before", 2**63 - 1, 1, 2**63 - 1)
        limit = number(request, "limit", 50, 1, MAX_RECORDS)
        name = request.match_info["name"]
        return _compressed(reply({"records": await self._desk.timeline(name, before, limit)}))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        headers = HEADERS | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        try:
            async with self._feed.watching():
                await response.prepare(request)
                await tell(self._feed, request.query.get("route"), self._view, response)
        except Crowded as error:
            remedy = "ask for GET /v1/routes every few seconds instead"
            raise Refusal(503, str(error), remedy, {"Retry-After": "30"}) from error
        return response


def _unknown() -> Refusal:
    return Refusal(404, "there is no route of this name", "see GET /v1/routes")


def _compressed(response: web.Response) -> web.Response:
    if len(response.body or b"") > COMPRESSED_BYTES:  # type: ignore[arg-type]
        response.enable_compression()
    return response
