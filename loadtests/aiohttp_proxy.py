"""The obvious proxy in Python: an aiohttp server, an aiohttp client session, a hash.

It is what one would write in an afternoon, on uvloop, without access log: the peer that shows
what the protocol level is worth.
``python -m loadtests.aiohttp_proxy --mode split --port P --champion-port C --challenger-port D``
"""

import argparse
import hashlib
import uuid
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

from loadtests.work import UNIT_HEADER, Mode
from router.tasks import spawn

_NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "content-length", "te"}


class Proxy:
    """Forwards each request; owns the client session from start to clean-up."""

    def __init__(self, mode: Mode, champion_port: int, challenger_port: int) -> None:
        self._mode = mode
        self._champion = f"http://127.0.0.1:{champion_port}"
        self._challenger = f"http://127.0.0.1:{challenger_port}"
        self._session: aiohttp.ClientSession | None = None

    async def session(self, _: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            yield

    async def forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_FORWARDED}
        request_id = headers.setdefault("X-Request-Id", uuid.uuid4().hex)
        if self._mode is Mode.MIRROR:
            spawn(self._copy(request, headers, body), name="copy")
        status, kept, answer = await self._send(self._choose(request), request, headers, body)
        return web.Response(
            status=status, body=answer, headers={**kept, "X-Request-Id": request_id}
        )

    def _choose(self, request: web.Request) -> str:
        if self._mode is Mode.MIRROR:
            return self._champion
        unit = request.headers.get(UNIT_HEADER, "").encode()
        is_challenger = hashlib.blake2b(unit, digest_size=8).digest()[0] & 1
        return self._challenger if is_challenger else self._champion

    async def _copy(self, request: web.Request, headers: dict[str, str], body: bytes) -> None:
        try:
            await self._send(self._challenger, request, headers, body)
        except aiohttp.ClientError:
            pass  # the copy's answer is nobody's

    async def _send(
        self, origin: str, request: web.Request, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        assert self._session is not None
        url = origin + request.path_qs
        async with self._session.request(
            request.method, url, headers=headers, data=body or None
        ) as response:
            answer = await response.read()
            kept = {k: v for k, v in response.headers.items() if k.lower() not in _NOT_FORWARDED}
            return response.status, kept, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", type=Mode, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--champion-port", type=int, required=True)
    parser.add_argument("--challenger-port", type=int, required=True)
    options = parser.parse_args()
    proxy = Proxy(options.mode, options.champion_port, options.challenger_port)
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", proxy.forward)
    application.cleanup_ctx.append(proxy.session)
    web.run_app(
        application,
        host="127.0.0.1",
        port=options.port,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
