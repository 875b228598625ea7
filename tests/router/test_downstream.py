"""One client connection: order, keep-alive, limits, deadlines, goodbyes."""

import asyncio

import pytest

from router.table import Match
from tests.router.kit import (
    Client,
    Turn,
    answers,
    echoes,
    get,
    hangs,
    ok,
    play,
    post,
    post_chunked,
    post_head,
    rig,
    sends,
    until,
    waits,
)

GET = b"GET /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n\r\n"
GET_UP = b"GET /a HTTP/1.1\r\nhost: h\r\nx-request-id: r1\r\n\r\n"
ANSWER_UP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: r1\r\n\r\nhi"
LAST_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\nx-request-id: r1\r\n\r\nhi"
)

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_connection_is_kept_on_both_sides_between_requests() -> None:
    async with rig(None) as r:
        await play(
            r,
            [(">>", GET), ("|>", GET_UP), ("<|", ANSWER_UP), ("<<", ANSWER)] * 2,
        )
        assert r.champion.n_connections == 1
        assert repr(r.pool()) == "<Pool champion [1 open, 1 idle, 0 waiting]>"


async def test_head_that_comes_byte_by_byte_is_one_request() -> None:
    async with rig(None) as r:
        steps = [(">>", bytes([one])) for one in GET]
        client = await r.client()
        for _, one in steps:
            await client.send(one)
            await asyncio.sleep(0.001)
        line = await r.champion.lines.get()
        assert await line.reader.readexactly(len(GET_UP)) == GET_UP
        line.writer.write(ANSWER_UP)
        assert (await client.answer()).body == b"hi"


async def test_connection_close_is_obeyed_and_the_answer_arrives_whole() -> None:
    async with rig(None) as r:
        asks = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        await play(
            r,
            [(">>", asks), ("|>", GET_UP), ("<|", ANSWER_UP), ("<<", LAST_ANSWER), ("<<", b"")],
        )


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def slower_first(turn: Turn) -> None:
        await asyncio.sleep(0.05 if turn.request.line.startswith(b"GET /0 ") else 0)
        await echoes(turn)

    async with rig(slower_first) as r:
        client = await r.client()
        await client.send(b"".join(get(b"/%d" % n) for n in range(5)))
        assert [(await client.answer()).body for _ in range(5)] == [b"/%d " % n for n in range(5)]


async def test_thousand_pipelined_requests_do_not_recurse() -> None:
    """A refusal of our own ends an exchange at once, so a naive loop would recurse a thousand
    deep; an answered one comes round through the model."""
    async with rig() as r:
        client = await r.client()
        await client.send(b"".join(get(b"/%d" % n) for n in range(1000)))
        for n in range(1000):
            assert (await client.answer()).body == b"/%d " % n
        r.champion.close_listener()
        r.pool().close()
        await client.send(get() * 1000)
        for _ in range(1000):
            assert (await client.answer()).status == 502


async def test_pipelined_bodies_do_not_run_into_each_other() -> None:
    async with rig() as r:
        client = await r.client()
        await client.send(post(b"one") + post_chunked(b"t", b"wo") + get() + post(b"three"))
        bodies = [(await client.answer()).body for _ in range(4)]
        assert bodies == [b"/x one", b"/x two", b"/x ", b"/x three"]


async def test_pipelining_client_that_does_not_read_fills_no_memory() -> None:
    """While our side of the client's socket is full, the next request waits."""
    large = bytes(200_000)
    async with rig(answers(large)) as r:
        client = await r.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await client.send(get() * 200)
        await until(lambda: len(r.champion.requests) > 0)
        served = -1
        while served != len(r.champion.requests):
            served = len(r.champion.requests)
            await asyncio.sleep(0.1)
        assert served * len(large) < 20_000_000  # the kernel's buffers take some
        client.writer.transport.resume_reading()  # type: ignore[attr-defined] # a transport has it
        for _ in range(200):
            assert (await client.answer()).body == large


async def test_half_closing_client_gets_every_answer_it_asked_for() -> None:
    """F9: a FIN before the answer means that nothing more will be asked, not that nobody reads."""
    async with rig(waits(0.05, echoes)) as r:
        client = await r.client()
        await client.send(get(b"/1") + get(b"/2") + post(b"3"))
        client.writer.write_eof()
        assert [(await client.answer()).body for _ in range(3)] == [b"/1 ", b"/2 ", b"/x 3"]
        assert await client.ended() == b""


async def test_half_closing_inside_a_later_head_ends_the_connection() -> None:
    async with rig(waits(0.05, echoes)) as r:
        client = await r.client()
        await client.send(get(b"/1") + b"GET /2 HT")
        client.writer.write_eof()
        assert (await client.answer()).body == b"/1 "
        assert await client.ended() == b""
        assert len(r.champion.requests) == 1


async def test_half_closing_inside_a_body_is_refused() -> None:
    async with rig() as r:
        client = await r.client()
        await client.send(post_head(10) + b"half")
        client.writer.write_eof()
        assert (await client.answer()).status == 400
        assert await client.ended() == b""
        assert r.champion.requests == []


async def test_unrouted_request_gets_404_and_the_connection_lives_on() -> None:
    async with rig(match=Match(path="/known")) as r:
        client = await r.client()
        assert (await client.ask(get(b"/unknown"))).status == 404
        assert (await client.ask(get(b"/known"))).status == 200
        assert r.events["understudy_unrouted_requests_total"] == 1


async def test_unrouted_body_is_not_mistaken_for_a_request() -> None:
    async with rig(match=Match(path="/known")) as r:
        client = await r.client()
        await client.send(post(get(b"/known"), target=b"/unknown"))
        assert (await client.answer()).status == 404
        assert await client.ended() == b""
        assert r.champion.heads == []


@pytest.mark.parametrize(
    "ending", [b"HTTP/1.0\r\n\r\n", b"HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
)
async def test_refusal_closes_when_the_client_asked_for_it(ending: bytes) -> None:
    async with rig(match=Match(path="/known")) as r:
        client = await r.client()
        assert (await client.ask(b"GET /unknown " + ending)).status == 404
        assert await client.ended() == b""
        r.champion.close_listener()
        client = await r.client()
        assert (await client.ask(b"GET /known " + ending)).status == 502
        assert await client.ended() == b""


async def test_refusal_of_a_head_request_has_no_body() -> None:
    """RFC 9110 section 9.3.2: a body would be read as the next answer."""
    async with rig(match=Match(path="/known")) as r:
        client = await r.client()
        asks = b"HEAD /unknown HTTP/1.1\r\nHost: a\r\n\r\n"
        assert (await client.ask(asks)).status == 404
        assert (await client.ask(get(b"/known"))).status == 200
        r.champion.close_listener()
        r.pool().close()
        assert (await client.ask(asks.replace(b"/unknown", b"/known"))).status == 502
        assert (await client.ask(asks)).status == 404


@pytest.mark.parametrize(
    ("asks", "status"),
    [
        (b"HEAD / HTTP/1.1\r\n\r\n", b"400"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", b"417"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n", b"408"),
    ],
    ids=["bad", "expectation", "slow"],
)
async def test_refusal_of_a_bad_head_request_has_no_body_either(asks: bytes, status: bytes) -> None:
    """RFC 9110 section 9.3.2; found by fuzzing."""
    async with rig(deadlines={"head": 0.1}) as r:
        client = await r.client()
        await client.send(asks)
        came = await client.ended()
        assert came.startswith(b"HTTP/1.1 " + status)
        assert came.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /" + b"a" * 40_000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ],
)  # fmt: skip
async def test_bad_head_is_refused_and_reaches_nobody(raw: bytes, status: int) -> None:
    async with rig() as r:
        client = await r.client()
        assert (await client.ask(raw)).status == status
        assert await client.ended() == b""
        assert r.champion.n_connections == 0
        assert r.events[f"understudy_refused_requests_total|code={status}"] == 1


async def test_bad_request_behind_a_good_one_spoils_only_itself() -> None:
    async with rig(waits(0.05, echoes)) as r:
        client = await r.client()
        await client.send(get(b"/1") + b"GET nonsense\r\n\r\n" + get(b"/2"))
        assert (await client.answer()).body == b"/1 "
        assert (await client.answer()).status == 400
        assert await client.ended() == b""
        assert len(r.champion.requests) == 1


async def test_endless_head_is_refused_before_twice_the_limit() -> None:
    """F14: the budget is spent on raw bytes."""
    async with rig() as r:
        client = await r.client()
        await client.send(b"GET / HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 2**21:
                await client.send(b"X: y\r\n" * 1000)
                sent += 6000
        except ConnectionError:
            pass
        assert b"431" in await swallow(client)
        assert r.champion.n_connections == 0


async def swallow(client: Client) -> bytes:
    """Read what there is before the end, however it ends."""
    came = b""
    try:
        while piece := await asyncio.wait_for(client.reader.read(65536), 5):
            came += piece
    except ConnectionError:
        pass
    return came


async def test_declared_body_over_the_limit_is_refused_unread() -> None:
    async with rig(body_limit_bytes=1000) as r:
        client = await r.client()
        assert (await client.ask(post_head(10**12))).status == 413
        assert await client.ended() == b""
        assert r.champion.n_connections == 0


async def test_chunked_body_over_the_limit_is_refused_and_never_completed() -> None:
    async with rig(body_limit_bytes=1000) as r:
        client = await r.client()
        await client.send(post_chunked(b"a" * 600).removesuffix(b"0\r\n\r\n"))
        await until(lambda: r.champion.heads)
        await client.send(b"190\r\n" + b"b" * 400 + b"\r\n1\r\nc\r\n")
        assert (await client.answer()).status == 413
        assert await client.ended() == b""
        assert r.champion.requests == []
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_malformed_chunk_ends_the_connection_and_the_upstream_request() -> None:
    async with rig() as r:
        client = await r.client()
        await client.send(post_chunked(b"a").removesuffix(b"0\r\n\r\n"))
        await until(lambda: r.champion.heads)
        await client.send(b"zz\r\n")
        assert (await client.answer()).status == 400
        assert await client.ended() == b""
        assert r.champion.requests == []


async def test_slow_head_gets_408() -> None:
    async with rig(deadlines={"head": 0.15}) as r:
        client = await r.client()
        await client.send(b"GET / HT")
        for _ in range(3):
            await asyncio.sleep(0.03)
            await client.send(b"T")  # progress does not move an absolute deadline
        assert (await client.answer()).status == 408
        assert await client.ended() == b""


async def test_idle_connection_has_no_head_deadline() -> None:
    async with rig(deadlines={"head": 0.05}) as r:
        client = await r.client()
        for _ in range(2):
            await asyncio.sleep(0.15)
            assert (await client.ask(get())).status == 200


async def test_empty_line_in_two_pieces_leaves_no_deadline_behind() -> None:
    async with rig(deadlines={"head": 0.5}) as r:
        client = await r.client()
        await client.send(b"\r")
        await asyncio.sleep(0.02)
        await client.send(b"\n")
        await asyncio.sleep(0.02)
        assert (await client.ask(get())).status == 200
        await asyncio.sleep(0.7)
        assert (await client.ask(get())).status == 200


async def test_slow_body_gets_408_and_is_never_completed() -> None:
    async with rig(deadlines={"body": 0.15}) as r:
        client = await r.client()
        await client.send(post_head(10) + b"slow")
        assert (await client.answer()).status == 408
        assert await client.ended() == b""
        assert r.champion.requests == []
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_client_that_never_reads_is_let_go() -> None:
    async with rig(answers(bytes(20_000_000)), deadlines={"write": 0.2}) as r:
        client = await r.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await client.send(get())
        await until(lambda: len(r.server._connections) == 1)
        await until(lambda: len(r.server._connections) == 0)
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_answer_that_ends_with_the_connection_is_reset_when_its_client_never_reads() -> None:
    """Found by the fuzzer: a clean end would make the part that fits the socket look whole."""
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (20_000_000, bytes(20_000_000))
    async with rig(sends(CHUNKED_HEAD + chunked), deadlines={"write": 0.2}) as r:
        client = await r.client()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await client.send(b"GET /x HTTP/1.0\r\n\r\n")
        await until(lambda: len(r.server._connections) == 1)
        await until(lambda: len(r.server._connections) == 0)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined] # a transport has it
        with pytest.raises(ConnectionResetError):
            await client.ended()


async def test_slow_reader_gets_all_of_a_last_answer() -> None:
    """The farewell's short deadline starts when the answer is out, not before."""
    large = bytes(24_000_000)
    async with rig(answers(large), deadlines={"linger": 0.05}) as r:
        client = await r.client()
        await client.send(get(b"/x", b"Connection: close"))
        head = await client.head()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await asyncio.sleep(0.3)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined] # a transport has it
        assert head.fields[b"connection"] == b"close"
        assert await client.ended() == large


async def test_client_that_does_not_close_after_goodbye_is_let_go() -> None:
    async with rig(deadlines={"linger": 0.1}) as r:
        client = await r.client()
        assert (await client.ask(get(b"/x", b"Connection: close"))).status == 200
        await until(lambda: len(r.server._connections) == 0)


async def test_early_answer_arrives_although_the_body_never_ends() -> None:
    """F16: closing with bytes unread would make the kernel take the answer back."""

    async with rig(sends(ok(b"too much", status=b"413 Content Too Large")), early=True) as r:
        client = await r.client()
        await client.send(post_head(5_000_000) + bytes(100_000))
        answer = await client.answer()
        assert (answer.status, answer.body) == (413, b"too much")
        assert answer.fields[b"connection"] == b"close"
        with_more = bytes(500_000)
        await client.send(with_more)  # still polite
        assert await client.ended() == b""
        assert "[0 open" in repr(r.pool()) or "1 idle" not in repr(r.pool())


async def test_bytes_after_an_early_answer_are_never_a_request() -> None:
    async with rig(sends(ok(b"early")), early=True) as r:
        client = await r.client()
        await client.send(post_head(5000) + b"a")
        assert (await client.answer()).body == b"early"
        await client.send(get(b"/smuggled") * 100)
        await client.ended()
        assert len(r.champion.heads) == 1


async def test_request_under_way_is_finished_and_the_connection_closed_while_draining() -> None:
    async with rig(waits(0.2, echoes)) as r:
        busy, idle = await r.client(), await r.client()
        assert (await idle.ask(get())).status == 200
        await busy.send(get(b"/busy"))
        await until(lambda: len(r.champion.requests) == 2)
        stopping = asyncio.ensure_future(r.server.stop(2.0))  # noqa: TID251 - awaited below
        answer = await busy.answer()
        assert (answer.body, answer.fields[b"connection"]) == (b"/busy ", b"close")
        assert await idle.ended() == b""
        busy.close()
        idle.close()
        await stopping


async def test_hundred_slow_connections_do_not_hold_up_another() -> None:
    """F7: the slots are freed at the deadline."""
    async with rig(deadlines={"head": 0.3}) as r:
        slow = [await r.client() for _ in range(100)]
        for client in slow:
            await client.send(b"GET")
        assert (await (await r.client()).ask(get())).status == 200
        for client in slow:
            assert (await client.answer()).status == 408
            client.close()
        await until(lambda: len(r.server._connections) == 1)


async def test_hanging_model_does_not_stop_us_from_reading_the_client_leave() -> None:
    async with rig(hangs) as r:
        client = await r.client()
        await client.send(get())
        await until(lambda: r.champion.requests)
        client.reset()
        await until(lambda: len(r.server._connections) == 0)
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_closed_route_asks_nobody_and_says_so_to_each_request() -> None:
    async with rig(is_closed=True, upgrade=("websocket",)) as r:
        client = await r.client()
        first = await client.ask(get())
        assert (first.status, first.fields[b"retry-after"]) == (503, b"1")
        assert b"no version has passed its gates" in first.body
        assert (await client.ask(post(b"a body"))).status == 503  # and the connection lives on
        await client.send(post_head(100) + b"not all of it")
        assert (await client.answer()).status == 503
        await client.ended()  # where the next request would begin is not known
        assert r.champion.heads == []
        assert r.events["understudy_closed_requests_total|route=r"] == 3
