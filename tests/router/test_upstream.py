"""One connection to a variant: what it reads, and when it may carry another request."""

import asyncio

import pytest

from router.upstream import MAX_INTERIM_ANSWERS
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


async def closes_second(turn: Turn) -> None:
    if turn.nth == 1:
        turn.close()
    else:
        await echoes(turn)


async def test_clean_end_of_a_used_connection_is_retried_once_on_a_new_one() -> None:
    async with rig(closes_second) as r:
        client = await r.client()
        assert (await client.ask(get(b"/1"))).status == 200
        assert (await client.ask(get(b"/2"))).status == 200
        assert [one.line.split(b" ")[1] for one in r.champion.requests] == [b"/1", b"/2", b"/2"]


async def test_clean_end_of_a_new_connection_is_the_models_word() -> None:
    async with rig(closes) as r:
        assert (await (await r.client()).ask(get())).status == 502
        assert len(r.champion.requests) == 1


async def test_model_that_ends_every_connection_is_asked_twice_and_no_more() -> None:
    """The retry too may get a used connection, when the pool is full."""

    async def closes_all_but_the_first(turn: Turn) -> None:
        await (closes if b"/bad" in turn.request.line else echoes)(turn)

    async with rig(closes_all_but_the_first, variants={"max_connections": 1}) as r:
        client = await r.client()
        assert (await client.ask(get())).status == 200
        assert (await client.ask(get(b"/bad"))).status == 502
        assert len([one for one in r.champion.requests if b"/bad" in one.line]) == 2


async def test_first_get_of_a_client_has_a_connection_of_its_own() -> None:
    """What ends it without an answer is then no race: HAProxy's ``http-reuse safe``."""
    async with rig() as r:
        for n in range(1, 4):
            client = await r.client()
            for _ in range(3):
                assert (await client.ask(get())).status == 200
            assert r.champion.n_connections == n


async def test_first_post_of_a_client_shares_what_is_open() -> None:
    async with rig() as r:
        for _ in range(3):
            assert (await (await r.client()).ask(post(b"1"))).status == 200
        assert r.champion.n_connections == 1


async def test_post_is_never_retried_once_it_was_sent() -> None:
    async def resets_second(turn: Turn) -> None:
        if turn.nth == 1:
            turn.reset()
        else:
            await echoes(turn)

    async with rig(resets_second) as r:
        client = await r.client()
        assert (await client.ask(post(b"1"))).status == 200
        assert (await client.ask(post(b"2"))).status == 502
        assert [one.body for one in r.champion.requests] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("said", "keepalive_s"),
    [
        (b"timeout=3", 2.0),
        (b"timeout=3, max=100", 2.0),
        (b"max=100,timeout=1", 0.5),
        (b"timeout=0", 0.0),
        (b"timeout=1000", 30.0),
        (b"timeout=soon", 30.0),
        (b"max=5", 30.0),
    ],
)
async def test_idle_time_of_the_pool_stays_below_what_the_model_says(
    said: bytes, keepalive_s: float
) -> None:
    async with rig(sends(ok(b"hi", b"Keep-Alive: " + said))) as r:
        assert (await (await r.client()).ask(post(b"1"))).status == 200
        assert r.pool().keepalive_s == keepalive_s


async def test_answer_head_over_the_limit_is_refused() -> None:
    async with rig(sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000)) as r:
        assert (await (await r.client()).ask(get())).status == 502
        await until(lambda: "[0 open" in repr(r.pool()))
