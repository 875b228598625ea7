"""One request's life: what goes across, who answers, what is said of it afterwards."""

import asyncio
import re

import pytest

from router import trace
from router.table import Split
from router.upstream import READ_BYTES
from tests.router.kit import (
    Turn,
    answers,
    closes,
    echoes,
    get,
    hangs,
    ok,
    play,
    post,
    post_chunked,
    post_head,
    resets,
    rig,
    sends,
    until,
    waits,
)

HEAD_UP = b"POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nx-request-id: r1\r\n\r\n"
HEAD = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Request-Id: r1\r\n\r\n"
CHUNKED_UP = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-request-id: r1\r\n\r\n"
CHUNKED_LAST = CHUNKED.replace(b"x-request", b"connection: close\r\nx-request")
OK_UP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: r1\r\n\r\nhi"
GET = b"GET /a HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n\r\n"
GET_UP = b"GET /a HTTP/1.1\r\nhost: h\r\nx-request-id: r1\r\n\r\n"


async def test_chunks_cross_one_by_one_in_both_directions() -> None:
    """Each step waits for the bytes to arrive, so anything held back would stop the transcript."""
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", HEAD), ("|>", HEAD_UP),
                (">>", b"3\r\none\r\n"), ("|>", b"3\r\none\r\n"),
                (">>", b"3;x=y\r\ntwo\r\n"), ("|>", b"3\r\ntwo\r\n"),
                (">>", b"0\r\nX-Trailer: t\r\n\r\n"), ("|>", b"0\r\n\r\n"),
                ("<|", CHUNKED_UP), ("<<", CHUNKED),
                ("<|", b"8\r\ndata: 1\n\r\n"), ("<<", b"8\r\ndata: 1\n\r\n"),
                ("<|", b"8\r\ndata: 2\n\r\n"), ("<<", b"8\r\ndata: 2\n\r\n"),
                ("<|", b"0\r\nX-Trailer: t\r\n\r\n"), ("<<", b"0\r\n\r\n"),
                (">>", GET), ("|>", GET_UP), ("<|", OK_UP), ("<<", OK),
            ],
        )  # fmt: skip


async def test_bytes_of_a_declared_body_cross_as_they_come() -> None:
    asks = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nX-Request-Id: r1\r\n\r\n"
    asks_up = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\nx-request-id: r1\r\n\r\n"
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", asks), ("|>", asks_up),
                (">>", b"abc"), ("|>", b"abc"), (">>", b"def"), ("|>", b"def"),
                ("<|", OK_UP[:-1]), ("<<", OK[:-1]), ("<|", b"i"), ("<<", b"i"),
            ],
        )  # fmt: skip


async def test_answer_may_begin_before_the_request_has_ended() -> None:
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", HEAD), ("|>", HEAD_UP), ("<|", CHUNKED_UP), ("<<", CHUNKED_LAST),
                (">>", b"1\r\na\r\n"), ("|>", b"1\r\na\r\n"),
                ("<|", b"1\r\nA\r\n"), ("<<", b"1\r\nA\r\n"),
                (">>", b"0\r\n\r\n"), ("|>", b"0\r\n\r\n"),
                ("<|", b"0\r\n\r\n"), ("<<", b"0\r\n\r\n"), ("<<", b""),
            ],
        )  # fmt: skip


async def test_answer_that_ends_with_its_connection_is_framed_for_the_client() -> None:
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", GET), ("|>", GET_UP),
                ("<|", b"HTTP/1.1 200 OK\r\n\r\nabc"),
                ("<<", CHUNKED + b"3\r\nabc\r\n"),
                ("<|", b""), ("<<", b"0\r\n\r\n"),
            ],
        )  # fmt: skip


async def test_100_continue_is_answered_by_us_and_never_forwarded() -> None:
    async with rig(None) as r:
        asks = HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        await play(
            r,
            [
                (">>", asks), ("<<", b"HTTP/1.1 100 Continue\r\n\r\n"), ("|>", HEAD_UP),
                (">>", b"1\r\na\r\n0\r\n\r\n"), ("|>", b"1\r\na\r\n0\r\n\r\n"),
                ("<|", b"HTTP/1.1 100 Continue\r\n\r\n" + OK_UP), ("<<", OK),
            ],
        )  # fmt: skip


async def test_interim_answers_are_swallowed() -> None:
    async with rig(None) as r:
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        await play(
            r, [(">>", GET), ("|>", GET_UP), ("<|", early), ("<|", early + OK_UP), ("<<", OK)]
        )


@pytest.mark.parametrize(
    ("answer", "forwarded"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 204 No Content\r\n"),
        (
            b"HTTP/1.1 304 Not Modified\r\nETag: e\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nETag: e\r\n",
        ),
    ],
)
async def test_bodiless_answer_leaves_both_connections_usable(
    answer: bytes, forwarded: bytes
) -> None:
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", GET), ("|>", GET_UP), ("<|", answer),
                ("<<", forwarded + b"x-request-id: r1\r\n\r\n"),
                (">>", GET), ("|>", GET_UP), ("<|", OK_UP), ("<<", OK),
            ],
        )  # fmt: skip


async def test_answer_to_head_has_the_length_but_not_the_body() -> None:
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", GET.replace(b"GET", b"HEAD")), ("|>", GET_UP.replace(b"GET", b"HEAD")),
                ("<|", OK_UP[:-2]), ("<<", OK[:-2]), ("|>", b""),
                (">>", GET), ("|>", GET_UP), ("<|", OK_UP), ("<<", OK),
            ],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n"),
    ],
)
async def test_body_that_may_not_come_and_comes_late_answers_nobody(
    method: bytes, head: bytes
) -> None:
    """Found by fuzzing: the body of a HEAD answered the next request on its connection."""

    async def late(turn: Turn) -> None:
        if b"/late" not in turn.request.line:
            await turn.send(ok(b"good"))
            return
        await turn.send(head)
        await asyncio.sleep(0.02)
        await turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    async with rig(late) as r:
        client = await r.client()
        for _ in range(3):
            await client.send(method + b" /late HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer(is_to_head=True)).body == b""
            assert (await client.ask(get())).body == b"good"


async def test_http_10_client_gets_a_plain_body_and_the_end_of_the_connection() -> None:
    async with rig(None) as r:
        await play(
            r,
            [
                (">>", b"GET /a HTTP/1.0\r\nX-Request-Id: r1\r\n\r\n"),
                ("|>", GET_UP.replace(b"host: h", b"host: 127.0.0.1:%d" % r.champion.port)),
                ("<|", CHUNKED_UP + b"3\r\nabc\r\n"),
                ("<<", b"HTTP/1.1 200 OK\r\nconnection: close\r\nx-request-id: r1\r\n\r\nabc"),
                ("<|", b"0\r\n\r\n"), ("<<", b""),
            ],
        )  # fmt: skip


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        CHUNKED_UP + b"4\r\nhalf\r\n",
        CHUNKED_UP + b"4\r\nhalf\r\n|zz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhalf|RST",
    ],
)
async def test_client_can_see_that_a_truncated_answer_is_incomplete(
    version: bytes, broken: bytes
) -> None:
    async def breaks(turn: Turn) -> None:
        begin, _, end = broken.partition(b"|")
        await turn.send(begin)
        await asyncio.sleep(0.05)
        if end == b"RST":
            turn.reset()
            return
        await turn.send(end)
        turn.close()

    async with rig(breaks) as r:
        client = await r.client()
        await client.send(b"GET /a HTTP/%b\r\nHost: h\r\n\r\n" % version)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_client_gets_a_request_id_and_the_model_the_same() -> None:
    async with rig() as r:
        answer = await (await r.client()).ask(get())
        request_id = answer.fields[b"x-request-id"]
        assert re.fullmatch(rb"[0-9a-f]{32}", request_id)
        assert r.champion.requests[0].fields[b"x-request-id"] == request_id
        mine = await (await r.client()).ask(get(b"/x", b"X-Request-Id: mine"))
        assert mine.fields[b"x-request-id"] == b"mine"


async def test_variant_is_named_only_where_the_route_says_so() -> None:
    async with rig(mode="split", show_variant=True) as r:
        answer = await (await r.client()).ask(get())
        assert answer.fields[b"x-understudy-variant"] == b"challenger"
    async with rig(mode="split") as r:
        assert b"x-understudy-variant" not in (await (await r.client()).ask(get())).fields


async def test_model_cannot_imitate_what_we_say() -> None:
    lies = answers(b"", b"X-Request-Id: other", b"X-Understudy-Variant: other")
    async with rig(lies) as r:
        answer = await (await r.client()).ask(get(b"/x", b"X-Request-Id: mine"))
        assert answer.fields[b"x-request-id"] == b"mine"
        assert b"x-understudy-variant" not in answer.fields


# Refusals of our own.


async def test_refused_connection_is_502_and_the_client_goes_on() -> None:
    async with rig() as r:
        client = await r.client()
        r.champion.close_listener()
        for _ in range(2):
            answer = await client.ask(post(b"x"))
            assert (answer.status, answer.fields[b"content-type"]) == (502, b"application/json")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (hangs, 504),
        (resets, 502),
        (closes, 502),
        (sends(b"garbage\r\n\r\n"), 502),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), 502),
        (sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), 502),
        (sends(b"HTTP/1.1 102 Processing\r\n\r\n" * 100), 502),
    ],
)
async def test_failing_champion_is_refused_by_kind_and_asked_once(
    script: object, status: int
) -> None:
    within_s = 0.2 if script is hangs else 10.0  # what fails at once must not be late by chance
    async with rig(script, variants={"response_timeout_s": within_s}) as r:  # type: ignore[arg-type] # a Script
        client = await r.client()
        assert (await client.ask(post(b"x"))).status == status
        assert len(r.champion.requests) == 1
        await until(lambda: "[0 open" in repr(r.pool()))


async def test_full_queue_is_503_with_retry_after() -> None:
    async with rig(hangs, variants={"max_connections": 1, "max_pending": 1}) as r:
        clients = [await r.client() for _ in range(3)]
        for client in clients:
            await client.send(get())
            await asyncio.sleep(0.02)
        answer = await clients[2].answer()
        assert (answer.status, answer.fields[b"retry-after"]) == (503, b"1")
        assert "1 waiting" in repr(r.pool())


# Flow control.


async def test_slow_reader_pauses_the_model() -> None:
    sent = 0

    async def pours(turn: Turn) -> None:
        nonlocal sent
        await turn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1000):
            await turn.send(bytes(100_000))
            sent += 100_000

    async with rig(pours) as r:
        client = await r.client()
        await client.send(get())
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        before = -1
        while before != sent or not sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 40_000_000  # four kernel buffers, each at most some megabytes
        client.reset()


async def test_slow_model_pauses_the_client() -> None:
    async with rig(None) as r:
        client = await r.client()
        client.writer.write(post_head(60_000_000) + bytes(60_000_000))
        line = await r.champion.lines.get()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        left = -1
        while left != client.writer.transport.get_write_buffer_size():
            left = client.writer.transport.get_write_buffer_size()
            await asyncio.sleep(0.1)
        assert left > 20_000_000  # still with the client: we did not take it in
        line.writer.transport.resume_reading()  # type: ignore[attr-defined] # a transport has it
        await line.reader.readuntil(b"\r\n\r\n")
        assert len(await line.reader.readexactly(60_000_000)) == 60_000_000
        line.writer.write(OK_UP)
        assert (await client.answer()).body == b"hi"


async def test_slow_reader_is_not_the_models_fault() -> None:
    """While the client's side is full, the response timeout stands still."""
    async with rig(
        answers(bytes(24_000_000)), variants={"response_timeout_s": 1.0}, experiment="e"
    ) as r:
        client = await r.client()
        await client.send(get())
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await asyncio.sleep(1.5)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined] # a transport has it
        assert len((await client.answer()).body) == 24_000_000
        assert (await r.exposures())[0].outcome.fault == ""


async def test_slow_writer_is_not_the_models_fault() -> None:
    """The response timeout runs from the request's last byte, as table.Variant promises."""
    async with rig(variants={"response_timeout_s": 0.6}, experiment="e") as r:
        client = await r.client()
        await client.send(post_head(4))
        for one in (b"s", b"l", b"o", b"w"):
            await asyncio.sleep(0.25)
            await client.send(one)
        assert (await client.answer()).body == b"/x slow"
        assert (await r.exposures())[0].outcome.fault == ""


async def test_model_that_does_not_take_the_body_times_out() -> None:
    async with rig(None, variants={"response_timeout_s": 0.3}, experiment="e") as r:
        client = await r.client()
        client.writer.write(post_head(60_000_000) + bytes(30_000_000))
        line = await r.champion.lines.get()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        assert (await r.exposures())[0].outcome.fault == "timeout"


async def test_large_last_piece_to_a_slow_reader_does_not_stop_the_next_request() -> None:
    """The connection that brought the answer is free before the client's side is found full."""
    large = bytes(READ_BYTES - 1000)  # comes whole, in one read
    async with rig(answers(large), variants={"max_connections": 1}) as r:
        slow, quick = await r.client(), await r.client()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        for _ in range(100):
            if any(one._is_paused for one in r.server._connections):
                break
            served = len(r.champion.requests)
            await slow.send(get())
            await until(lambda n=served: len(r.champion.requests) > n)  # type: ignore[misc] # bound now
            await until(lambda: "1 idle" in repr(r.pool()))
            assert len((await quick.ask(get())).body) == len(large)
        assert any(one._is_paused for one in r.server._connections)
        assert len((await quick.ask(get())).body) == len(large)


# Leaving.


@pytest.mark.parametrize("mode", ["plain", "split"])
async def test_client_that_leaves_cancels_the_upstream_and_is_nobodys_error(mode: str) -> None:
    async with rig(hangs, hangs, mode=mode, experiment="e") as r:
        asked = r.challenger if mode == "split" else r.champion
        client = await r.client()
        await client.send(post(b"x"))
        await until(lambda: asked.requests)
        client.reset()
        (seen,) = await r.exposures()
        assert (seen.outcome.fault, seen.outcome.status) == ("aborted", 0)
        await until(lambda: "[0 open" in repr(r.pool(asked.name)))
        assert r.server._live.routes[0].ejection.failures == 0


async def test_client_that_leaves_during_the_answer_is_nobodys_error() -> None:
    async with rig(sends(CHUNKED_UP + b"1\r\na\r\n", then=hangs), experiment="e") as r:
        client = await r.client()
        await client.send(get())
        await client.head()
        client.reset()
        (seen,) = await r.exposures()
        assert (seen.outcome.fault, seen.outcome.status) == ("aborted", 200)
        await until(lambda: "[0 open" in repr(r.pool()))


# Retrying.


async def test_get_is_sent_again_once_when_a_kept_connection_turns_out_reset() -> None:
    """F6: RST to the second request on a connection says that it was closed unseen."""

    async def resets_second(turn: Turn) -> None:
        if turn.nth == 1:
            turn.reset()
        else:
            await echoes(turn)

    async with rig(resets_second) as r:
        client = await r.client()
        assert (await client.ask(get(b"/1"))).status == 200
        assert (await client.ask(get(b"/2"))).body == b"/2 "
        assert len(r.champion.requests) == 3
        assert r.events["understudy_retries_total|route=r|variant=champion"] == 1


async def test_get_is_not_sent_a_third_time() -> None:
    async def once(turn: Turn) -> None:
        if turn.model.requests[1:]:
            turn.reset()
        else:
            await echoes(turn)

    async with rig(once) as r:
        client = await r.client()
        assert (await client.ask(get(b"/1"))).status == 200
        assert (await client.ask(get(b"/2"))).status == 502
        assert len(r.champion.requests) == 3


async def test_post_is_never_sent_twice() -> None:
    async def resets_second(turn: Turn) -> None:
        if turn.nth == 1:
            turn.reset()
        else:
            await echoes(turn)

    async with rig(resets_second) as r:
        client = await r.client()
        for n in range(10):
            await client.ask(post(b"%d" % n))
        bodies = [one.body for one in r.champion.requests]
        assert sorted(bodies) == sorted(set(bodies))


async def test_first_request_on_a_connection_is_not_sent_again() -> None:
    async with rig(resets) as r:
        assert (await (await r.client()).ask(get())).status == 502
        assert len(r.champion.requests) == 1


# Assignment.


async def test_unit_keeps_its_variant_over_requests_and_connections() -> None:
    async with rig(
        answers(b"a"), answers(b"b"), mode="split", buckets=5000, unit_header="x-user"
    ) as r:
        first = {}
        for n in range(40):
            first[n] = (await (await r.client()).ask(get(b"/", b"X-User: u%d" % n))).body
        assert set(first.values()) == {b"a", b"b"}
        client = await r.client()
        for n in range(40):
            assert (await client.ask(get(b"/other", b"x-user: u%d" % n))).body == first[n]


async def test_raised_share_moves_no_unit_back() -> None:
    async with rig(
        answers(b"a"), answers(b"b"), mode="split", buckets=2000, unit_header="x-user"
    ) as r:
        client = await r.client()
        before = set()
        for n in range(60):
            if (await client.ask(get(b"/", b"x-user: u%d" % n))).body == b"b":
                before.add(n)
        r.use(split=Split(champion="champion", challenger="challenger", challenger_buckets=6000))
        after = set()
        for n in range(60):
            if (await client.ask(get(b"/", b"x-user: u%d" % n))).body == b"b":
                after.add(n)
        assert before < after


@pytest.mark.parametrize(
    "trick",
    [
        b"x-understudy-variant: challenger",
        b"X-Understudy-Mirror: 1",
        b"x-understudy-route: r",
        b"Connection: x-understudy-variant",
    ],
)
async def test_client_cannot_choose_its_variant_by_a_field(trick: bytes) -> None:
    """F48, and such a field never reaches a model either."""
    async with rig(answers(b"a"), answers(b"b"), mode="split", buckets=0) as r:
        client = await r.client()
        for _ in range(20):
            assert (await client.ask(get(b"/", trick))).body == b"a"
        assert not any(name.startswith(b"x-u") for name in r.champion.requests[0].fields)


async def test_client_cannot_choose_its_variant_by_its_request_id_or_a_trailer() -> None:
    """One id, many requests: were the id hashed, all would have one variant."""
    async with rig(answers(b"a"), answers(b"b"), mode="split", buckets=5000) as r:
        client = await r.client()
        asks = post_chunked(b"x").replace(b"0\r\n\r\n", b"0\r\nX-User: u\r\n\r\n")
        asks = asks.replace(b"Host: a", b"Host: a\r\nX-Request-Id: same")
        got = {(await client.ask(asks)).body for _ in range(40)}
        assert got == {b"a", b"b"}


# What is said afterwards.


async def test_exposure_says_what_was_assigned_and_measured() -> None:
    async with rig(mode="split", buckets=10_000, capture_bytes=7) as r:
        answer = await (await r.client()).ask(post(b"body", target=b"/t"))
        assert answer.body == b"/t body"
        (seen,) = await r.exposures()
        assert (seen.route, seen.experiment, seen.is_challenger) == ("r", "e", True)
        assert (seen.propensity, seen.table_version) == (1.0, 1)
        assert seen.request_id.encode() == answer.fields[b"x-request-id"]
        outcome = seen.outcome
        assert (outcome.variant, outcome.status, outcome.fault) == ("challenger", 200, "")
        assert (outcome.body, outcome.body_bytes) == (b"/t body", 7)
        assert 0 < outcome.latency_s < 5
        assert (seen.fallback, seen.loss) == (None, "")


async def test_route_without_an_experiment_observes_nothing() -> None:
    async with rig() as r:
        await (await r.client()).ask(get())
        await r.exposures(0)


async def test_captured_body_says_how_it_is_encoded() -> None:
    async with rig(answers(b"\x1f\x8b", b"Content-Encoding: GZIP"), experiment="e") as r:
        await (await r.client()).ask(get())
        assert (await r.exposures())[0].outcome.encoding == "gzip"


@pytest.mark.parametrize("buckets", [0, 10_000])
async def test_oversized_body_is_outside_the_experiment_whoever_it_was_assigned_to(
    buckets: int,
) -> None:
    async with rig(mode="split", buckets=buckets, replay_bytes=100) as r:
        client = await r.client()
        assert (await client.ask(post(bytes(101)))).body == b"/x " + bytes(101)
        assert (await client.ask(post_chunked(bytes(60), bytes(60)))).body == b"/x " + bytes(120)
        assert r.challenger.requests == []
        seen = await r.exposures(2)
        assert {one.loss for one in seen} == {"body_too_large"}
        assert {one.is_challenger for one in seen} == {buckets > 0}
        assert [one.outcome.variant for one in seen] == ["champion", "champion"]


async def test_oversized_body_is_streamed_and_not_kept() -> None:
    async with rig(mode="split", replay_bytes=1000) as r:
        client = await r.client()
        await client.send(post_chunked(bytes(600)).removesuffix(b"0\r\n\r\n"))
        await asyncio.sleep(0.05)
        assert not r.champion.heads  # it waits: the whole of it may still fit
        await client.send(b"258\r\n" + bytes(600) + b"\r\n")
        await until(lambda: r.champion.heads)
        await client.send(b"0\r\n\r\n")
        assert len((await client.answer()).body) == 1203


async def test_held_body_reaches_the_challenger_whole() -> None:
    async with rig(mode="split") as r:
        client = await r.client()
        await client.send(post_chunked(b"one").removesuffix(b"0\r\n\r\n"))
        await asyncio.sleep(0.02)
        await client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"/x onetwo"
        assert len(r.challenger.requests) == 1


async def test_client_that_leaves_while_its_body_is_held_leaves_nothing_behind() -> None:
    async with rig(mode="split") as r:
        client = await r.client()
        await client.send(post_chunked(b"one").removesuffix(b"0\r\n\r\n"))
        await until(lambda: r.server._connections)
        client.reset()
        await until(lambda: not r.server._connections)
        assert r.challenger.heads == r.champion.heads == []


async def test_counts_are_by_variant_role_and_code() -> None:
    async with rig(answers(b"", status=b"404 Not Found"), waits(0, echoes), mode="split") as r:
        client = await r.client()
        await client.ask(get())
        r.use(split=Split(champion="champion"))
        await client.ask(get())
        values = r.server.counter_values()
        name = "understudy_requests_total|route=r|variant="
        assert values[name + "challenger|role=challenger|code=2xx"] == 1
        assert values[name + "champion|role=champion|code=4xx"] == 1


async def test_answer_of_two_parts_is_never_taken_for_two_answers() -> None:
    """Bytes behind an answer would be the next request's answer: that connection is not used."""
    async with rig(sends(ok(b"one") + ok(b"poison"))) as r:
        client = await r.client()
        for _ in range(3):
            assert (await client.ask(get())).body == b"one"
        assert r.champion.n_connections == 3


# Traces.

CLIENT_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_traced_request_is_under_the_span_that_the_observation_names() -> None:
    async with rig(mode="split", buckets=10_000, tracing=True) as r:
        await (await r.client()).ask(post(b"", b"traceparent: " + CLIENT_TRACE))
        (seen,) = await r.exposures()
        sent, _, span = seen.trace.encode().partition(b"/")
        assert sent == CLIENT_TRACE
        (asked,) = r.challenger.requests
        assert asked.fields[b"traceparent"] == trace.served(CLIENT_TRACE, trace.leg(span, 1))


async def test_who_stands_in_is_under_a_span_of_its_own() -> None:
    async with rig(echoes, resets, mode="split", buckets=10_000, tracing=True) as r:
        await (await r.client()).ask(post(b"", b"traceparent: " + CLIENT_TRACE))
        (seen,) = await r.exposures()
        span = seen.trace.encode().partition(b"/")[2]
        (asked,) = r.champion.requests
        assert asked.fields[b"traceparent"] == trace.served(CLIENT_TRACE, trace.leg(span, 2))


@pytest.mark.parametrize(
    ("value", "is_on"),
    [(CLIENT_TRACE, False), (CLIENT_TRACE[:-2] + b"00", True), (b"not one", True)],
)
async def test_what_is_not_traced_passes_as_it_came(value: bytes, is_on: bool) -> None:
    async with rig(mode="split", buckets=10_000, tracing=is_on) as r:
        client = await r.client()
        await client.ask(post(b"", b"traceparent: " + value, b"tracestate: a=b"))
        await client.ask(post(b""))
        assert [seen.trace for seen in await r.exposures(2)] == ["", ""]
        asked, bare = r.challenger.requests
        assert asked.fields[b"traceparent"] == value
        assert asked.fields[b"tracestate"] == b"a=b"
        assert b"traceparent" not in bare.fields


async def test_route_without_an_experiment_is_not_traced() -> None:
    async with rig(tracing=True) as r:
        await (await r.client()).ask(post(b"", b"traceparent: " + CLIENT_TRACE))
        assert r.champion.requests[0].fields[b"traceparent"] == CLIENT_TRACE
