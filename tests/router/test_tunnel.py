"""Two connections as one stream of bytes: back-pressure, ends and silence."""

import asyncio
import time
from collections.abc import Callable

import pytest

from router.tasks import spawn
from tests.pace import Lateness
from tests.router.kit import Client, Line, Rig, Turn, get, rig, until
from tests.router.test_upgrade import ASKS, SWITCH_UP, TUNNELS

MIB = 1024 * 1024


async def opened(r: Rig) -> tuple[Client, Line]:
    """Return both ends of a tunnel; the champion has no script."""
    client = await r.client()
    await client.send(ASKS)
    line = await asyncio.wait_for(r.champion.lines.get(), 5.0)
    await line.reader.readuntil(b"\r\n\r\n")
    line.writer.write(SWITCH_UP)
    assert (await client.head()).status == 101
    return client, line


async def stands_still(count: Callable[[], int]) -> int:
    """Wait until ``count`` no longer grows; return it."""
    last = -1
    while count() != last:
        last = count()
        await asyncio.sleep(0.3)
    return last


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_side_that_does_not_read_stops_the_side_that_writes(direction: str) -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        client, line = await opened(r)
        ends = (client.writer, line.reader) if direction == "up" else (line.writer, client.reader)
        writer, reader = ends
        reader_transport = line.writer.transport if direction == "up" else client.writer.transport
        reader_transport.pause_reading()  # type: ignore[attr-defined] # a read transport as well
        total, sent = 48 * MIB, 0

        async def pour() -> None:
            nonlocal sent
            while sent < total:
                writer.write(bytes(MIB))
                await writer.drain()
                sent += MIB

        pouring = spawn(pour(), name="pour")
        assert await stands_still(lambda: sent) < total
        (tunnel,) = r.server.tunnels
        assert tunnel.moved < total
        for half in (tunnel._client, tunnel._variant):
            assert half is not None
            assert half._transport.get_write_buffer_size() < MIB
        reader_transport.resume_reading()  # type: ignore[attr-defined] # a read transport as well
        got = 0
        while got < total:
            got += len(await asyncio.wait_for(reader.read(MIB), 5.0))
        await pouring


async def test_silent_tunnel_ends_and_is_counted_and_a_busy_one_does_not() -> None:
    async with rig(None, upgrade=("websocket",), variants={"idle_timeout_s": 0.8}) as r:
        client, line = await opened(r)
        for _ in range(10):  # 1 s, more than the timeout
            await asyncio.sleep(0.1)
            line.writer.write(b".")
            await client.reader.readexactly(1)
        async with Lateness() as lateness:
            began = time.monotonic()
            await _is_cut(client)
            took_s = time.monotonic() - began
        assert 0.7 < took_s + lateness.total_s and took_s < 1.5 + lateness.total_s
        await until(lambda: not r.server.tunnels)
        assert r.events[f"{TUNNELS}idle"] == 1


async def _is_cut(client: Client) -> None:
    try:
        assert await client.ended() == b""
    except ConnectionError:
        pass


@pytest.mark.parametrize("who", ["client", "variant"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_tunnel_ends_with_either_side_and_gives_back_what_it_held(who: str, how: str) -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        client, line = await opened(r)
        assert "1 open" in repr(r.pool())
        assert r.server.counter_values()["understudy_tunnels_open"] == 1
        writer = client.writer if who == "client" else line.writer
        if how == "reset":
            writer.transport.abort()
        else:
            writer.close()
        other = line.reader if who == "client" else client.reader
        try:
            assert await asyncio.wait_for(other.read(), 5.0) == b""
        except ConnectionError:
            assert how == "reset"
        (line.writer if who == "client" else client.writer).close()
        await until(lambda: not r.server.tunnels and "0 open" in repr(r.pool()))
        assert len(r.server._connections) == 0


async def test_last_bytes_arrive_although_their_sender_has_gone() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        client, line = await opened(r)
        line.writer.write(bytes(3 * MIB))
        line.writer.close()
        assert len(await asyncio.wait_for(client.reader.read(), 5.0)) == 3 * MIB


async def test_side_that_has_said_all_still_hears_the_other() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        client, line = await opened(r)
        client.writer.write_eof()
        assert await asyncio.wait_for(line.reader.read(), 5.0) == b""
        line.writer.write(b"last")
        line.writer.close()
        assert await client.ended() == b"last"


async def test_stop_ends_tunnels_at_the_end_of_the_drain() -> None:
    async with rig(None, upgrade=("websocket",)) as r:
        client, _ = await opened(r)
        began = time.monotonic()
        await r.server.stop(0.2)
        assert time.monotonic() - began < 4.0
        await _is_cut(client)
        await until(lambda: not r.server.tunnels)


async def test_tunnels_take_the_places_of_connections_and_no_more() -> None:
    async def switches(turn: Turn) -> None:
        await turn.send(SWITCH_UP)
        await turn.line.reader.read()

    settings = {"max_connections": 2, "max_pending": 0}
    async with rig(switches, upgrade=("websocket",), variants=settings) as r:
        for _ in range(2):
            client = await r.client()
            await client.send(ASKS)
            assert (await client.head()).status == 101
        assert (await (await r.client()).ask(get())).status == 503
