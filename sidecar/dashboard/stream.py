"""Server-sent events: what changed since the watcher was told last.

Events: ``overview`` (the sidecar as a whole), ``routes`` (lines that changed, and the names of
those that are gone), ``route`` (the one that is looked at, when it changed). Between them a comment
keeps the connection known to be alive.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from sidecar.dashboard.feed import Feed, Reading
from sidecar.dashboard.summary import overview_of, row_of

BEAT_S = 5.0
"""A watcher that hears nothing for three of these takes the connection for lost."""
WRITE_S = 10.0
"""A watcher that takes nothing for so long is let go."""
BEAT = b": beat\n\n"

View = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any] | None]]
"""From a route's name and the status to all that is shown of it; None if it is not there."""


def event(name: str, content: Any) -> bytes:
    """Return one event; its data is one line of JSON without markup."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, default=str)
    return f"event: {name}\ndata: {text}\n\n".encode()


class Told:
    """What one watcher knows."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}
        self._route: dict[str, Any] | None = {}
        """Nothing is told yet; None: that there is no such route."""

    def overview(self, status: Mapping[str, Any]) -> bytes:
        """Return the event about the whole; it comes with every reading, as it holds the time."""
        return event("overview", overview_of(status))

    def routes(self, status: Mapping[str, Any]) -> bytes:
        """Return the event about lines that changed; empty if none did. The first has them all."""
        rows = {route["name"]: row_of(route) for route in status.get("routes") or ()}
        changed = [row for name, row in rows.items() if self._rows.get(name) != row]
        gone = [name for name in self._rows if name not in rows]
        is_first, self._rows = not self._rows, rows
        return (
            event("routes", {"rows": changed, "gone": gone}) if changed or gone or is_first else b""
        )

    def route(self, view: dict[str, Any] | None) -> bytes:
        """Return the event about the route that is looked at; empty if nothing changed."""
        if view == self._route:
            return b""
        self._route = view
        return event("route", view)


async def tell(feed: Feed, route: str | None, view: View, response: web.StreamResponse) -> None:
    """Write events until the feed closes or the watcher is gone."""
    told, number = Told(), 0
    while not feed.is_closed:
        reading = await feed.newer(number, BEAT_S)
        raw = BEAT
        if reading is not None:
            number = reading.number
            raw = await _events(told, reading, route, view)
        try:
            async with asyncio.timeout(WRITE_S):
                await response.write(raw)
        except (TimeoutError, ConnectionError):
            return


async def _events(told: Told, reading: Reading, route: str | None, view: View) -> bytes:
    status = reading.status
    raw = told.overview(status) + told.routes(status)
    return raw if route is None else raw + told.route(await view(route, status))
