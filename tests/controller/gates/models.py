"""Model servers whose answers a test chooses, one or two at a time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from router.table import Variant

Predict = Callable[[Any], Any]
"""From the JSON of a request to the JSON of an answer; ValueError is a 400."""


class Model:
    """Answers POST with ``predict``, counts what it was asked; bytes that are no JSON are a 400."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.bodies: list[bytes] = []
        self.status = 200
        self.is_silent = False
        self.metadata: Any = None
        self.n_under_way = self.most_under_way = 0

    async def post(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.bodies.append(raw)
        if self.is_silent:
            assert request.transport is not None
            request.transport.close()
        self.n_under_way += 1
        self.most_under_way = max(self.most_under_way, self.n_under_way)
        await asyncio.sleep(0)
        self.n_under_way -= 1
        try:
            answer = self.predict(json.loads(raw))
        except (ValueError, TypeError, KeyError, RecursionError):
            return web.json_response({"error": "bad request"}, status=400)
        return web.json_response(answer, status=self.status)

    async def get(self, _: web.Request) -> web.Response:
        return web.json_response(self.metadata)


@contextlib.asynccontextmanager
async def served(model: Model, name: str = "digits-2") -> AsyncIterator[Variant]:
    """Serve ``model`` on a free port; yield the variant."""
    application = web.Application()
    application.router.add_post("/{path:.*}", model.post)
    application.router.add_get("/{path:.*}", model.get)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Variant(name=name, host="127.0.0.1", port=runner.addresses[0][1])
    finally:
        await runner.cleanup()
