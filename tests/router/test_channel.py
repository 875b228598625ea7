"""The line to the controller: what is sent, sent again, dropped, and never waited for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import router.channel
from router import frames
from router.channel import Channel
from router.counters import Counters
from router.observation import Batch, Exposure, Outcome
from router.table import RoutingTable, to_bytes
from tests.router.kit import FakeController, until


def seen(n: int, body: bytes = b"") -> Exposure:
    return Exposure(
        "r", "e", f"id{n}", n, False, 0.5, 1, 0, Outcome("m", 200, 0.1, "", body, len(body))
    )


class Bench:
    """A channel and its controller."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "c.sock")
        self.counters = Counters()
        self.tables: list[RoutingTable] = []
        self.channel = Channel(self.path, 3, self.counters, self.tables.append, self.version)
        self.controller = FakeController(self.path, is_acknowledging=False)

    def version(self) -> int:
        return self.tables[-1].version if self.tables else 0

    def restart(self, *, is_acknowledging: bool = False) -> None:
        self.controller = FakeController(self.path, is_acknowledging=is_acknowledging)

    async def connected(self) -> None:
        await self.controller.start()
        await until(lambda: self.controller.of(frames.Hello))

    @property
    def sequences(self) -> list[int]:
        return [one.sequence for one in self.controller.of(Batch)]

    def give(self, *numbers: int) -> None:
        """Observe these, as one batch."""
        for n in numbers:
            self.channel.observe(seen(n))
        self.channel.flush()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    bench.channel.start()
    yield bench
    bench.channel.close()
    bench.controller.stop()
    await asyncio.sleep(0.01)


async def test_first_frame_says_who_speaks(bench: Bench) -> None:
    await bench.connected()
    (hello,) = bench.controller.of(frames.Hello)
    assert (hello.source, hello.worker, hello.table_version) == (bench.channel.source, 3, 0)


async def test_batches_are_numbered_from_one(bench: Bench) -> None:
    await bench.connected()
    bench.give(1, 2)
    bench.give(3)
    bench.channel.flush()  # nothing gathered, nothing sent
    await until(lambda: bench.sequences == [1, 2])
    assert [len(one.observations) for one in bench.controller.of(Batch)] == [2, 1]
    assert bench.controller.of(Batch)[0].source == bench.channel.source
    assert bench.channel.n_waiting == 3


async def test_acknowledged_batches_are_dropped(bench: Bench) -> None:
    await bench.connected()
    for n in range(4):
        bench.give(n)
    bench.controller.send(frames.Ack(bench.channel.source, 3))
    await until(lambda: bench.channel.n_waiting == 1)
    bench.controller.send(frames.Ack("somebody else", 4))
    bench.controller.send(frames.Ack(bench.channel.source, 2))  # late news
    await asyncio.sleep(0.02)
    assert bench.channel.n_waiting == 1
    bench.controller.send(frames.Ack(bench.channel.source, 4))
    await until(lambda: bench.channel.n_waiting == 0)
    assert bench.channel._bytes_waiting == 0


async def test_unacknowledged_batches_are_sent_again_in_order_after_a_reconnect(
    bench: Bench,
) -> None:
    await bench.connected()
    for n in range(3):
        bench.give(n)
    bench.controller.send(frames.Ack(bench.channel.source, 1))
    await until(lambda: bench.channel.n_waiting == 2)
    bench.controller.stop()
    await until(lambda: bench.channel._line is None)
    bench.give(3)
    bench.restart(is_acknowledging=True)
    await bench.connected()
    await until(lambda: bench.sequences == [2, 3, 4])
    await until(lambda: bench.channel.n_waiting == 0)


async def test_nothing_is_lost_while_the_controller_is_away(bench: Bench) -> None:
    for n in range(50):
        bench.give(n)
    await asyncio.sleep(0.1)
    bench.restart(is_acknowledging=True)
    await bench.connected()
    await until(lambda: bench.channel.n_waiting == 0)
    assert [one.unit for b in bench.controller.of(Batch) for one in b.observations] == [*range(50)]


async def test_full_buffer_drops_the_newest_and_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.channel, "MAX_WAITING", 5)
    bench.give(*range(8))
    assert bench.channel.n_waiting == 5
    name = ("understudy_observations_dropped_total", "reason=buffer_full")
    assert bench.counters.events[name] == 3
    bench.restart(is_acknowledging=True)
    await bench.connected()
    await until(lambda: bench.channel.n_waiting == 0)
    (batch,) = bench.controller.of(Batch)
    assert [one.unit for one in batch.observations] == [0, 1, 2, 3, 4]
    bench.give(9)
    await until(lambda: bench.sequences == [1, 2])


async def test_buffer_is_bounded_by_bytes_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.channel, "MAX_WAITING_BYTES", 100_000)
    for n in range(20):
        bench.channel.observe(seen(n, bytes(10_000)))
        bench.channel.flush()
    assert bench.channel.n_waiting == 9
    assert bench.channel._bytes_waiting <= 100_000


async def test_large_gathering_leaves_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router.channel, "MAX_BATCH", 10)
    await bench.connected()
    for n in range(25):
        bench.channel.observe(seen(n))
    await until(lambda: bench.sequences == [1, 2])
    monkeypatch.setattr(router.channel, "MAX_BATCH_BYTES", 10_000)
    for n in range(2):
        bench.channel.observe(seen(n, bytes(6_000)))
    await until(lambda: bench.sequences == [1, 2, 3])


async def test_published_table_is_applied_and_confirmed(bench: Bench) -> None:
    await bench.connected()
    bench.controller.publish(RoutingTable(version=9))
    await until(lambda: bench.controller.of(frames.Applied))
    assert bench.controller.of(frames.Applied) == [frames.Applied(bench.channel.source, 9)]
    assert [one.version for one in bench.tables] == [9]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00\x00\x00\x04abcd",
        b"\xff\xff\xff\xff",
        frames.encode(frames.Publish(b"no table")),
        frames.encode(frames.Publish(to_bytes(RoutingTable(version=1))[:-1])),
    ],
)
async def test_nonsense_from_the_controller_changes_no_table_and_costs_one_connection(
    bench: Bench, nonsense: bytes
) -> None:
    await bench.connected()
    bench.controller.writers[-1].write(nonsense)
    await until(lambda: len(bench.controller.of(frames.Hello)) == 2)
    assert bench.tables == []
    bench.controller.publish(RoutingTable(version=2))
    await until(lambda: bench.tables)


async def test_controller_that_always_hangs_up_is_not_dialled_without_pause(bench: Bench) -> None:
    n_calls = 0

    async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal n_calls
        n_calls += 1
        writer.close()

    server = await asyncio.start_unix_server(hangs_up, bench.path)
    await asyncio.sleep(0.3)
    server.close()
    assert 0 < n_calls <= 7


async def test_controller_that_does_not_read_is_told_nothing_that_can_wait(bench: Bench) -> None:
    """Counters would otherwise pile up once a second for as long as it hangs (F23)."""
    reading = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await reading.wait()
        writer.transport.abort()

    server = await asyncio.start_unix_server(deaf, bench.path)
    await until(lambda: bench.channel._line is not None)
    assert not bench.channel.is_full
    for n in range(100):
        bench.channel.observe(seen(n, bytes(60_000)))
        bench.channel.flush()
    await until(lambda: bench.channel.is_full)
    assert bench.channel.n_waiting == 100  # kept, and bounded as ever
    reading.set()
    await until(lambda: not bench.channel.is_full)
    server.close()


async def test_drained_waits_for_the_last_acknowledgement_but_not_for_ever(bench: Bench) -> None:
    await bench.connected()
    assert await bench.channel.drained(0.01)
    bench.channel.observe(seen(1))
    assert not await bench.channel.drained(0.05)
    bench.controller.is_acknowledging = True
    bench.channel.observe(seen(2))
    assert await bench.channel.drained(5.0)


async def test_source_is_fresh_at_each_start(tmp_path: Path) -> None:
    assert Bench(tmp_path).channel.source != Bench(tmp_path).channel.source


@pytest.mark.parametrize("steps", range(6))
async def test_close_at_any_moment_leaves_no_task(tmp_path: Path, steps: int) -> None:
    before = asyncio.all_tasks()
    bench = Bench(tmp_path)
    await bench.controller.start()
    bench.channel.start()
    for _ in range(steps):
        await asyncio.sleep(0)
    bench.channel.close()
    bench.channel.close()  # idempotent
    await asyncio.sleep(0.02)
    bench.controller.stop()
    await until(lambda: asyncio.all_tasks() <= before)
