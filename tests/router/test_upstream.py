"""One connection to a variant: what it reads, and when it may carry another request."""

import asyncio

import pytest

from router.upstream import IDLE_LONG_S, MAX_INTERIM_ANSWERS
from tests.router.kit import Turn, closes, echoes, get, ok, post, rig, sends, until

NO_LENGTH = b"HTTP/1.1 200 OK\r\n\r\nabc"


@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [
        (ok(b"hi"), True),
        (ok(b"hi", b"Connection: close"), False),
        (ok(b"hi").replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (ok(b"hi") + b"x", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", False),
    ],
)
async def test_connection_is_kept_only_when_its_answer_ended_clean(
    answer: bytes, is_kept: bool
) -> None:
    async with rig(sends(answer)) as r:
        client = await r.client()
        for _ in range(2):
            assert (await client.ask(get())).status < 300
        assert r.champion.n_connections == (1 if is_kept else 2)


async def test_answer_in_single_bytes_is_one_answer() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n"

    async def drips(turn: Turn) -> None:
        for one in raw:
            await turn.send(bytes([one]))
            await asyncio.sleep(0.001)

    async with rig(drips) as r:
        assert (await (await r.client()).ask(get())).body == b"hi!"


async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    async with rig(sends(ok(b"one"), then=late_poison)) as r:
        client = await r.client()
        assert (await client.ask(get())).body == b"one"
        await until(lambda: "[0 open" in repr(r.pool()))
        assert (await client.ask(get())).body == b"one"
        assert r.champion.n_connections == 2


async def late_poison(turn: Turn) -> None:
    await asyncio.sleep(0.05)
    await turn.send(ok(b"poison"))


async def test_endless_interim_answers_are_the_models_fault() -> None:
    few = b"HTTP/1.1 102 Processing\r\n\r\n" * MAX_INTERIM_ANSWERS
    async with rig(sends(few + ok(b"hi"))) as r:
        assert (await (await r.client()).ask(get())).body == b"hi"
    async with rig(sends(few + few + ok(b"hi"))) as r:
        assert (await (await r.client()).ask(get())).status == 502


async def test_reset_is_not_the_clean_end_of_an_endless_answer() -> None:
    async def breaks(turn: Turn) -> None:
        await turn.send(NO_LENGTH)
        await asyncio.sleep(0.05)
        turn.reset()

    async with rig(sends(NO_LENGTH, then=closes)) as r:
        assert (await (await r.client()).ask(get())).body == b"abc"
    async with rig(breaks) as r:
        client = await r.client()
        await client.send(get())
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()


async def test_connection_with_an_unread_request_is_not_used_again() -> None:
    """F16: the rest of the body would be read as the next request (CVE-2025-4366)."""
    async with rig(sends(ok(b"early")), early=True) as r:
        client = await r.client()
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nstart")
        assert (await client.answer()).body == b"early"
        other = await r.client()
        assert (await other.ask(get())).body == b"early"
        assert r.champion.n_connections == 2


async def test_clean_close_after_a_long_idle_time_is_retried_and_after_a_short_one_not() -> None:
    """A connection in steady use is not closed for idleness: that model gave up on the request."""

    async def closes_second(turn: Turn) -> None:
        if turn.nth == 1:
            turn.close()
        else:
            await echoes(turn)

    async with rig(closes_second) as r:
        client = await r.client()
        assert (await client.ask(get(b"/1"))).status == 200
        assert (await client.ask(get(b"/2"))).status == 502
        assert (await client.ask(get(b"/3"))).status == 200
        await asyncio.sleep(IDLE_LONG_S + 0.05)
        assert (await client.ask(get(b"/4"))).status == 200
        assert len([1 for one in r.champion.requests if b"/4" in one.line]) == 2


async def test_post_is_not_retried_after_a_long_idle_time_either() -> None:
    async def closes_second(turn: Turn) -> None:
        if turn.nth == 1:
            turn.reset()
        else:
            await echoes(turn)

    async with rig(closes_second) as r:
        client = await r.client()
        assert (await client.ask(post(b"1"))).status == 200
        await asyncio.sleep(IDLE_LONG_S + 0.05)
        assert (await client.ask(post(b"2"))).status == 502
        assert [one.body for one in r.champion.requests] == [b"1", b"2"]


async def test_answer_head_over_the_limit_is_refused() -> None:
    async with rig(sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000)) as r:
        assert (await (await r.client()).ask(get())).status == 502
        await until(lambda: "[0 open" in repr(r.pool()))
