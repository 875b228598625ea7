"""A real WebSocket server and a real client, with the router between them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from tests.router.kit import Rig, rig, until, variant


async def echo(request: web.Request) -> web.StreamResponse:
    """Send back each message; refuse whoever asks for /no."""
    if request.path == "/no":
        return web.Response(status=403, text="no")
    socket = web.WebSocketResponse(protocols=("chat",), max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@contextlib.asynccontextmanager
async def echoing(mode: str) -> AsyncIterator[tuple[Rig, aiohttp.ClientSession, str]]:
    """Run a router whose champion is a WebSocket echo server."""
    application = web.Application()
    application.router.add_route("GET", "/{any:.*}", echo)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with rig(mode=mode) as r:
        try:
            made = (variant("champion", port), variant("challenger", r.challenger.port))
            r.use(variants=made, upgrade=("websocket",))
            async with aiohttp.ClientSession() as session:
                yield r, session, f"http://127.0.0.1:{r.port}"
        finally:
            await runner.cleanup()


async def test_messages_of_every_size_come_back_as_they_were() -> None:
    async with echoing("mirror") as (r, session, url):
        async with session.ws_connect(url + "/x", protocols=("chat",), max_msg_size=0) as socket:
            assert socket.protocol == "chat"
            for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
                sent = os.urandom(size)
                await socket.send_bytes(sent)
                assert await socket.receive_bytes(timeout=5.0) == sent
            await socket.send_str("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await socket.receive_str(timeout=5.0)).startswith("GET /admin")
        await until(lambda: not r.server.tunnels)
        await asyncio.sleep(0.05)
        assert r.challenger.heads == []
        assert r.controller.observations == []
        counts = {key.rpartition("|")[2]: n for key, n in r.events.items()}
        assert counts == {"result=opened": 1, "reason=not_mirrorable": 1}


async def test_many_tunnels_and_plain_requests_share_a_router() -> None:
    async with echoing("plain") as (r, session, url):
        sockets = [await session.ws_connect(f"{url}/{n}") for n in range(20)]
        for n, socket in enumerate(sockets):
            await socket.send_str(f"{n}")
        for n, socket in enumerate(sockets):
            assert await socket.receive_str(timeout=5.0) == f"{n}"
        async with session.get(url + "/no") as response:
            assert response.status == 403
        assert r.server.counter_values()["understudy_tunnels_open"] == 20
        for socket in sockets:
            assert await socket.close()
            assert socket.close_code == 1000
        await until(lambda: not r.server.tunnels)


async def test_upgrade_that_the_server_refuses_is_its_answer() -> None:
    async with echoing("plain") as (r, session, url):
        try:
            await session.ws_connect(url + "/no")
        except aiohttp.WSServerHandshakeError as error:
            assert error.status == 403
        else:
            raise AssertionError("the upgrade was not refused")
        assert r.events == {"understudy_tunnels_total|route=r|result=refused": 1}
