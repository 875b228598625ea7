"""F5, F6, F11: the champion dies, refuses, or closes connections at the worst moment."""

import asyncio
import time
from collections import Counter

import pytest

from tests.router.kit import (
    Rig,
    Turn,
    closes,
    echoes,
    get,
    hangs,
    post,
    rig,
    until,
    waits,
)


async def test_dead_champion_is_502_at_once_and_served_again_when_it_is_back() -> None:
    async with rig() as r:
        client = await r.client()
        assert (await client.ask(post(b"1"))).status == 200
        port = r.champion.port
        await r.champion.close()
        for _ in range(3):
            began = time.monotonic()
            assert (await client.ask(post(b"2"))).status == 502
            assert time.monotonic() - began < 3.0
        await r.champion.start(port)
        assert (await client.ask(post(b"3"))).body == b"/x 3"
        assert [one.body for one in r.champion.requests] == [b"1", b"3"]


async def test_champion_killed_under_load_executes_no_post_twice() -> None:
    async with rig(waits(0.003, echoes)) as r:
        sent = 0

        async def load(n: int) -> list[int]:
            nonlocal sent
            client = await r.client()
            statuses = []
            for k in range(30):
                sent += 1
                answer = await client.ask(post(b"%d-%d" % (n, k)))
                statuses.append(answer.status)
            return statuses

        clients = asyncio.gather(*(load(n) for n in range(6)))
        await until(lambda: sent > 60)
        port = r.champion.port
        await r.champion.close()
        await asyncio.sleep(0.01)
        await r.champion.start(port)
        statuses = Counter(status for one in await clients for status in one)
        assert set(statuses) == {200, 502}
        assert max(Counter(one.body for one in r.champion.requests).values()) == 1


async def closes_after_each(turn: Turn) -> None:
    """Keep-alive is promised, and the connection closed a moment later."""
    await echoes(turn)
    await asyncio.sleep(0.002)
    turn.close()


async def reuse(r: Rig, n_clients: int, n_requests: int, gap_s: float, raw: bytes) -> Counter[int]:
    async def load() -> list[int]:
        client = await r.client()
        statuses = []
        for _ in range(n_requests):
            statuses.append((await client.ask(raw)).status)
            await asyncio.sleep(gap_s)
        return statuses

    found = await asyncio.gather(*(load() for _ in range(n_clients)))
    return Counter(status for one in found for status in one)


@pytest.mark.parametrize("raw", [get(), post(b"x")], ids=["get", "post"])
async def test_connection_is_closed_by_us_before_the_model_does(raw: bytes) -> None:
    """F6 (a): the pool's idle time is below the model's, and clients come at that very moment."""

    async def closes_when_idle(turn: Turn) -> None:
        deadline = getattr(turn.line, "deadline", None)
        if deadline is not None:
            deadline.cancel()
        await echoes(turn)
        # Far above the pool's: a machine that stands still meanwhile must not make them meet.
        later = asyncio.get_running_loop().call_later(2.5, turn.close)
        turn.line.deadline = later  # type: ignore[attr-defined] # a note for ourselves

    async with rig(closes_when_idle, variants={"keepalive_s": 0.1}) as r:
        rounds = {0.0: 84, 0.09: 12, 0.1: 12, 0.11: 12, 2.49: 3, 2.5: 3, 2.51: 3}
        found = await asyncio.gather(*(reuse(r, 8, n, gap_s, raw) for gap_s, n in rounds.items()))
        assert sum(found, Counter()) == {200: 8 * sum(rounds.values())}


@pytest.mark.parametrize("ends", ["resets", "closes"])
async def test_get_survives_a_model_that_ends_the_connection_at_reuse(ends: str) -> None:
    """F6 (b): RST or FIN when the second request arrives, a thousand times."""

    async def ends_at_reuse(turn: Turn) -> None:
        if turn.nth == 0:
            await echoes(turn)
        if turn.nth == 0 and ends == "resets":
            await turn.line.reader.readexactly(1)
            turn.reset()
        elif turn.nth:
            turn.close()

    async with rig(ends_at_reuse) as r:
        statuses = await reuse(r, 10, 100, 0.0, get())
        assert statuses == {200: 1000}
        assert r.events["understudy_retries_total|route=r|variant=champion"] > 300


async def test_post_on_a_connection_that_ends_at_reuse_fails_and_is_executed_once() -> None:
    """F6 (c): RST after the full request."""

    async def resets_at_reuse(turn: Turn) -> None:
        if turn.nth == 0:
            await echoes(turn)
        else:
            turn.reset()

    async with rig(resets_at_reuse) as r:
        client = await r.client()
        statuses = [(await client.ask(post(b"%d" % n))).status for n in range(200)]
        assert Counter(statuses) == {200: 100, 502: 100}
        assert [one.body for one in r.champion.requests] == [b"%d" % n for n in range(200)]


async def test_post_is_executed_at_most_once_by_a_model_that_closes_at_reuse() -> None:
    async with rig(closes_after_each) as r:

        async def load(n: int) -> int:
            client = await r.client()
            failed = 0
            for k in range(30):
                answer = await client.ask(post(b"%d-%d" % (n, k)))
                failed += answer.status != 200
                await asyncio.sleep(0.001 * (k % 4))
            return failed

        await asyncio.gather(*(load(n) for n in range(5)))
        assert max(Counter(one.body for one in r.champion.requests).values()) == 1


async def test_model_that_reads_a_request_and_closes_is_not_asked_again() -> None:
    async with rig(closes) as r:
        client = await r.client()
        for n in range(3):
            assert (await client.ask(post(b"%d" % n))).status == 502
        assert len(r.champion.requests) == 3


async def test_hanging_champion_is_504_and_its_connection_is_not_used_again() -> None:
    hanging = True

    async def moody(turn: Turn) -> None:
        await (hangs if hanging else echoes)(turn)

    async with rig(moody, variants={"response_timeout_s": 1.0}) as r:
        client = await r.client()
        assert (await client.ask(get())).status == 504
        hanging = False
        assert (await client.ask(get())).status == 200
        assert r.champion.n_connections == 2


async def test_burst_over_the_bounds_is_answered_quickly_with_503() -> None:
    settings = {"max_connections": 2, "max_pending": 3}
    async with rig(waits(0.1, echoes), variants=settings) as r:
        clients = [await r.client() for _ in range(12)]
        answers = await asyncio.gather(*(client.ask(get()) for client in clients))
        assert Counter(one.status for one in answers) == {200: 5, 503: 7}
        assert (await clients[0].ask(get())).status == 200
