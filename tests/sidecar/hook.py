"""A receiver of events on a real socket, which answers as a test says."""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True, slots=True)
class Got:
    """One attempt that arrived."""

    headers: dict[str, str]
    body: bytes


@dataclass(eq=False)
class Hook:
    """``statuses`` answers attempts one after the other; afterwards everything is taken."""

    statuses: list[int] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        self._server = TestServer(app)
        self.arrived = asyncio.Event()
        self.strayed = False

    @property
    def url(self) -> str:
        return str(self._server.make_url("/hook"))

    async def _take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Got(headers, await request.read()))
        self.arrived.set()
        status = self.statuses.pop(0) if self.statuses else 204
        also = {"Location": "/elsewhere"} if status == 307 else {}
        return web.Response(status=status, text="" if status == 204 else "no room", headers=also)

    async def _elsewhere(self, _: web.Request) -> web.Response:
        self.strayed = True
        return web.Response()

    async def count(self, n: int) -> list[Got]:
        """Wait until ``n`` attempts arrived, and return them."""
        async with asyncio.timeout(20):
            while len(self.got) < n:
                self.arrived.clear()
                await self.arrived.wait()
        return self.got

    async def __aenter__(self) -> "Hook":
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.close()
