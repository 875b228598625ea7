"""The controller's end of the line, against a small router that speaks over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from router import frames, table
from router.frames import Ack, Applied, Counters, Ejected, Hello, Publish
from router.observation import Batch
from router.table import RoutingTable
from router.tasks import spawn
from sidecar import hub as module
from sidecar.counts import Counts
from sidecar.hub import Hub
from sidecar.inbox import Inbox


class Peer:
    """A router of which only the line exists."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *messages: frames.FromRouter) -> None:
        for message in messages:
            self.writer.write(frames.encode(message))

    async def hear(self) -> frames.FromController:
        async with asyncio.timeout(5):
            size = int.from_bytes(await self.reader.readexactly(4), "big")
            return frames.decode_from_controller(await self.reader.readexactly(size))

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


class Desk:
    """A hub with what it hands on, and a way in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.batches: Inbox[Batch] = Inbox(asyncio.Event(), max_count=2, max_bytes=10_000)
        self.counts = Counts()
        self.ejected: list[Ejected] = []
        self.versions: list[int] = []
        self.hub = Hub(path, self.batches, self.counts, self.ejected.append, self.versions.append)
        self.peers: list[Peer] = []

    async def connect(self, source: str = "w0", version: int = 0) -> Peer:
        peer = Peer(*await asyncio.open_unix_connection(str(self.path)))
        self.peers.append(peer)
        peer.say(Hello(source, worker=0, pid=1, table_version=version))
        return peer

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    one = Desk(tmp_path / "control.sock")
    await one.hub.start()
    yield one
    for peer in one.peers:
        peer.writer.transport.abort()
    one.hub.close()
    one.batches.free(one.batches.take())
    await one.hub.wait_closed()
    await asyncio.sleep(0)


def batch(sequence: int) -> Batch:
    return Batch("w0", sequence, ())


async def test_router_gets_the_table_when_it_connects_and_whenever_it_changes(desk: Desk) -> None:
    desk.hub.publish(RoutingTable(version=7))
    peer = await desk.connect()
    first = await peer.hear()
    desk.hub.publish(RoutingTable(version=8))
    second = await peer.hear()
    assert isinstance(first, Publish) and isinstance(second, Publish)
    assert [table.from_bytes(each.table).version for each in (first, second)] == [7, 8]


async def test_batches_wait_in_order_and_are_acknowledged_to_their_source(desk: Desk) -> None:
    peer, other = await desk.connect("w0"), await desk.connect("w1")
    peer.say(batch(1), batch(2))
    await desk.until(lambda: desk.batches.count == 2)
    assert [entry.item.sequence for entry in desk.batches.take()] == [1, 2]
    desk.hub.acknowledge({"w0": 2})
    desk.hub.publish(RoutingTable(version=1))
    assert await peer.hear() == Ack("w0", 2)
    assert isinstance(await other.hear(), Publish)


async def test_full_inbox_stops_the_reading_and_loses_nothing(desk: Desk) -> None:
    peer = await desk.connect()
    peer.say(*(batch(k) for k in range(1, 6)))
    await desk.until(lambda: desk.batches.count == 2)
    await asyncio.sleep(0.05)
    assert desk.batches.count == 2
    seen: list[int] = []
    while len(seen) < 5:
        await desk.until(lambda: desk.batches.count)
        taken = desk.batches.take()
        seen += [entry.item.sequence for entry in taken]
        desk.batches.free(taken)
    assert seen == [1, 2, 3, 4, 5]


async def test_router_is_current_once_it_runs_the_newest_table(desk: Desk) -> None:
    assert not desk.hub.has_current_router()
    desk.hub.publish(RoutingTable(version=3))
    peer = await desk.connect(version=2)
    await peer.hear()
    assert not desk.hub.has_current_router()
    peer.say(Applied("w0", 3))
    await desk.until(desk.hub.has_current_router)
    (row,) = desk.hub.routers()
    assert (row["source"], row["worker"], row["table_version"]) == ("w0", 0, 3)


async def test_readiness_does_not_depend_on_a_slow_evaluator(desk: Desk) -> None:
    desk.hub.publish(RoutingTable(version=3))
    peer = await desk.connect(version=3)
    peer.say(*(batch(k) for k in range(1, 4)))
    await desk.until(lambda: desk.batches.count == 2)
    desk.hub.publish(RoutingTable(version=4))
    peer.say(Applied("w0", 4))  # stands behind the third batch, which finds no room
    await asyncio.sleep(0.02)
    assert desk.hub.has_current_router()


async def test_silent_router_is_not_current(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CURRENT_S", 0.05)
    desk.hub.publish(RoutingTable(version=3))
    await desk.connect(version=3)
    await desk.until(desk.hub.has_current_router)
    await desk.until(lambda: not desk.hub.has_current_router())


async def test_ejection_is_handed_on(desk: Desk) -> None:
    peer = await desk.connect()
    gone = Ejected("w0", "digits", "digits-2", failures=5, at_ns=1)
    peer.say(gone)
    await desk.until(lambda: desk.ejected)
    assert desk.ejected == [gone]


async def test_version_that_a_router_runs_is_handed_on(desk: Desk) -> None:
    """It may be newer than what the disk knows: a rollback is published before it is written."""
    await desk.connect(version=9)
    await desk.until(lambda: desk.versions == [9])


async def test_counts_outlive_their_router(desk: Desk) -> None:
    peer = await desk.connect()
    peer.say(Counters("w0", 0, {"understudy_requests_total": 5.0}))
    await desk.until(desk.counts.total)
    peer.writer.transport.abort()
    await desk.until(lambda: not desk.hub.routers())
    assert desk.counts.total() == {"understudy_requests_total": 5.0}


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        frames.encode(Applied("w0", 1)),
    ],
    ids=["too long", "not a message", "not a frame", "no hello first"],
)
async def test_nonsense_ends_its_connection_and_no_other(desk: Desk, raw: bytes) -> None:
    good = await desk.connect()
    bad = Peer(*await asyncio.open_unix_connection(str(desk.path)))
    desk.peers.append(bad)
    bad.writer.write(raw)
    assert await bad.ended()
    desk.hub.publish(RoutingTable(version=1))
    assert isinstance(await good.hear(), Publish)


async def test_connection_that_says_nothing_is_closed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELLO_S", 0.05)
    silent = Peer(*await asyncio.open_unix_connection(str(desk.path)))
    desk.peers.append(silent)
    assert await silent.ended()


async def test_router_that_does_not_read_is_cut_off(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_BYTES", 100_000)
    await desk.connect("w0")
    await desk.until(desk.hub.routers)
    for _ in range(50_000):
        desk.hub.acknowledge({"w0": 1})
    await desk.until(lambda: not desk.hub.routers())


async def test_socket_left_behind_is_replaced_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.touch()
    one = Desk(path)
    await one.hub.start()
    assert path.stat().st_mode & 0o077 == 0
    one.hub.close()
    await one.hub.wait_closed()


async def test_close_ends_every_connection(desk: Desk) -> None:
    peer = await desk.connect()
    await desk.until(desk.hub.routers)
    closing = spawn(desk.hub.wait_closed(), name="closing")
    desk.hub.close()
    await asyncio.wait_for(closing, 5)
    assert await peer.ended()
