"""F17 to F19: descriptors, memory and time run out; a real worker gives up the right things."""

import asyncio
import contextlib
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import frames
from router.table import Match, Route, RoutingTable, Split
from tests.pace import Lateness, slowness
from tests.router.kit import Client, Model, answers, echoes, post, sharing, until, variant, waits
from tests.router.running import Worker, worker

SLICE_S = 0.5


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model("m", echoes)
    await model.start()
    yield model
    await model.close()


def table_of(model: Model, **settings: object) -> RoutingTable:
    settings = {"response_timeout_s": 30.0} | settings
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=(variant("m", model.port, **settings),),
        split=Split(champion="m"),
    )
    return RoutingTable(version=1, routes=(route,))


def cpu_s(one: Worker) -> float:
    """Return the processor time that the worker has used."""
    fields = Path(f"/proc/{one.running.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


async def test_thousand_connections_over_the_descriptors_harm_nobody(model: Model) -> None:
    """F17: 256 descriptors; 128 are for clients, and a quarter of that to tell others why not."""
    async with worker(table_of(model), files=256) as one:
        before = [await one.client() for _ in range(20)]
        for client in before:
            assert (await client.ask(post(b"1"))).status == 200
        crowd = [socket.socket() for _ in range(1000)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", one.port))
        for _ in range(20):
            found = await asyncio.gather(*(client.ask(post(b"2")) for client in before))
            assert [answer.status for answer in found] == [200] * 20
            await asyncio.sleep(0.05)
        assert one.n_descriptors < 200
        await until_calm(one)
        told = 0
        for each in crowd:
            with contextlib.suppress(OSError):
                told += each.recv(100).startswith(b"HTTP/1.1 503 ")
            each.close()
        assert told > 100
        began = time.monotonic()
        while await status_of_a_new_client(one) != 200:
            assert time.monotonic() - began < 2.0 * slowness()


async def until_calm(one: Worker) -> None:
    """Wait for a second in which the worker takes little of a processor: it spins on nothing."""
    ends = time.monotonic() + 20.0
    share = 1.0
    while share > 0.3:
        assert time.monotonic() < ends, f"{share:.0%} of a processor, for nothing"
        used_s, began = cpu_s(one), time.monotonic()
        await asyncio.sleep(1.0)
        share = (cpu_s(one) - used_s) / (time.monotonic() - began)


async def status_of_a_new_client(one: Worker) -> int:
    """Return what a new client is answered; 0 when its connection ends before."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        return (await (await one.client()).ask(post(b"new"))).status
    return 0


async def test_requests_without_a_descriptor_for_them_wait_for_a_connection(model: Model) -> None:
    """F17: 118 clients ask at once, and there is room for 57 connections to the model."""
    model.script = waits(0.1, echoes)
    async with worker(table_of(model), files=236) as one:
        clients = [await one.client() for _ in range(118)]
        for n in range(2):
            found = await asyncio.gather(*(client.ask(post(b"%d" % n)) for client in clients))
            assert Counter(answer.status for answer in found) == {200: 118}
        assert model.n_connections == 57


def mirrored(champion: Model, challenger: Model) -> RoutingTable:
    """The challenger has two connections, so that copies wait here and not in the kernel."""
    made = (
        variant("champion", champion.port),
        variant("challenger", challenger.port, max_connections=2),
    )
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=made,
        eject_after=10**6,
        **sharing("mirror", 10_000),
    )
    return RoutingTable(version=1, routes=(route,))


@pytest.fixture
async def challenger() -> AsyncIterator[Model]:
    model = Model("challenger", echoes)
    await model.start()
    yield model
    await model.close()


def gives_up(one: Worker, relief: str) -> bool:
    """Tell whether the worker's last report says that it has given this up."""
    values = one.controller.of(frames.Counters)[-1].values
    return values[f"understudy_overload|relief={relief}"] == 1.0


async def test_memory_over_its_budget_sheds_the_mirror_and_serves_every_client(
    model: Model, challenger: Model
) -> None:
    """F18 with F3: 64 MB of copies for a challenger that does not read, and 30 to hold them."""
    model.script = answers(b"ok")
    challenger.script = None
    async with worker(mirrored(model, challenger)) as idle:
        assert await status_of_a_new_client(idle) == 200
        budget_mb = idle.rss_mb + 30
    budget = ("--memory-bytes", str(int(budget_mb * 1e6)))
    async with worker(mirrored(model, challenger), *budget) as one:
        await one.controller.start()
        clients = [await one.client() for _ in range(8)]
        body = post(bytes(1_000_000))
        for _ in range(8):
            # A round may take it past the mark for keep-alive as well: each client is told then.
            clients = await asyncio.gather(*(ask_and_stay(one, each, body) for each in clients))
            await asyncio.sleep(0.1)
            assert one.rss_mb < budget_mb + 20 * 1.05
        await until(lambda: gives_up(one, "shed_mirrors"))
        assert not gives_up(one, "refuse_requests")
        await until(lambda: one.controller.pairs)
        assert {pair.loss for pair in one.controller.pairs} == {"budget"}
        # The copies end at their deadline; what they held goes back to the system.
        await until(lambda: not gives_up(one, "shed_mirrors"), within_s=8.0)
        challenger.script = echoes
        n_lost = len(one.controller.pairs)
        await ask_and_stay(one, clients[0], body)
        await until(lambda: len(one.controller.pairs) > n_lost)
        assert one.controller.pairs[-1].loss == ""


async def ask_and_stay(one: Worker, client: Client, raw: bytes) -> Client:
    """Ask; return the client to ask next: a new one exactly if the answer said that this one ends.

    The next request of a client that was not told is the proof that its connection lives on.
    """
    answer = await client.ask(raw)
    assert answer.status == 200
    if answer.fields.get(b"connection") != b"close":
        return client
    assert await client.ended() == b""
    return await one.client()


async def test_memory_at_its_budget_refuses_politely(model: Model) -> None:
    """F18: the last rungs; a budget that the process fills by itself."""
    async with worker(table_of(model), "--memory-bytes", "1000000") as one:
        await one.controller.start()
        await until(lambda: one.controller.of(frames.Counters))
        client = await one.client()
        answer = await client.ask(post(b"1"))
        assert (answer.status, answer.fields[b"retry-after"]) == (503, b"1")
        assert answer.fields[b"connection"] == b"close"
        assert await client.ended() == b""
        await until(lambda: gives_up(one, "refuse_requests") and gives_up(one, "end_keep_alive"))
        assert model.requests == []


async def test_stalled_loop_sheds_the_mirror_and_serves_every_client(
    model: Model, challenger: Model
) -> None:
    """F19: the process gets no time for 300 ms; requests wait meanwhile."""
    async with worker(mirrored(model, challenger), "--lag-s", "0.1") as one:
        await one.controller.start()
        clients = [await one.client() for _ in range(20)]
        for client in clients:
            assert (await client.ask(post(b"before"))).status == 200
        await until(lambda: len(one.controller.pairs) == 20)
        one.running.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.3)
        for client in clients:
            await client.send(post(b"stalled"))
        one.running.send_signal(signal.SIGCONT)
        assert [(await client.answer()).status for client in clients] == [200] * 20
        # The loop may have read these before it looked at the clock: ask once more, at once.
        for client in clients:
            assert (await client.ask(post(b"after"))).status == 200
        await until(lambda: len(one.controller.pairs) == 60)
        assert sum(pair.loss == "budget" for pair in one.controller.pairs) >= 15
        await until(
            lambda: any(
                told.values["understudy_event_loop_lag_seconds"] > 0.2
                for told in one.controller.of(frames.Counters)
            )
        )
        await until(lambda: not gives_up(one, "shed_mirrors"))


async def test_twice_the_capacity_keeps_the_throughput_and_refuses_at_once(model: Model) -> None:
    """The model serves 20 at a time for 50 ms each, 400 a second; 120 clients ask for more."""
    model.script = waits(0.05, echoes)
    settings = {"max_connections": 20, "max_pending": 30}

    async def load(one: Worker, n_clients: int, for_s: float) -> tuple[float, list[float]]:
        """Return good answers per second, and how long each refusal took.

        The half second with the fewest is left out: a machine that is away in it is not the
        router's doing.
        """
        begins = time.monotonic()
        ends = begins + for_s
        refusals: list[float] = []
        n_good = [0] * round(for_s / SLICE_S)

        async def ask() -> None:
            client = await one.client()
            while (began := time.monotonic()) < ends:
                answer = await client.ask(post(b"x"))
                if answer.status == 200:
                    nth = int((time.monotonic() - begins) / SLICE_S)
                    n_good[min(nth, len(n_good) - 1)] += 1
                else:
                    assert (answer.status, answer.fields[b"retry-after"]) == (503, b"1")
                    refusals.append(time.monotonic() - began)
                    await asyncio.sleep(0.1)

        await asyncio.gather(*(ask() for _ in range(n_clients)))
        counted = sorted(n_good)[1:] or n_good
        return sum(counted) / len(counted) / SLICE_S, refusals

    async with worker(table_of(model, **settings)) as one:
        peak, none = await load(one, 40, 2.5)
        assert none == []
        async with Lateness() as lateness:
            goodput, refusals = await load(one, 120, 2.5)
        assert len(refusals) > 0.5 * goodput
        assert goodput >= 0.9 * peak
        # The model and the clients share a loop, in which no answer is read before its turn.
        p99_s = sorted(refusals)[int(0.99 * len(refusals))]
        assert p99_s < 0.1 * slowness() + 2 * lateness.worst_s
        ends = time.monotonic() + 5.0
        after = 0.0
        while after < 0.9 * peak:
            assert time.monotonic() < ends
            after, none = await load(one, 40, 0.5)
            assert none == []
