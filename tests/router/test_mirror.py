"""Copies: bounded, droppable, never waited for, and every pair accounted for."""

import asyncio
from collections import Counter

import pytest

import router.mirror
from router import trace
from router.table import Mirror
from tests.router.kit import (
    Rig,
    answers,
    echoes,
    get,
    hangs,
    ok,
    post,
    post_chunked,
    post_head,
    resets,
    rig,
    sends,
    until,
    waits,
)

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_pair_holds_both_answers_to_one_request() -> None:
    async with rig(answers(b"old"), answers(b"new"), mode="mirror") as r:
        answer = await (await r.client()).ask(post(b"x", b"X-Request-Id: r1"))
        assert answer.body == b"old"
        (pair,) = await r.pairs()
        assert (pair.route, pair.experiment, pair.request_id) == ("r", "e", "r1")
        assert (pair.champion.variant, pair.champion.body) == ("champion", b"old")
        assert pair.challenger is not None
        assert (pair.challenger.variant, pair.challenger.body) == ("challenger", b"new")
        assert pair.loss == ""
        values = r.server.counter_values()
        assert values["understudy_requests_total|route=r|variant=challenger|role=mirror|code=2xx"]


@pytest.mark.parametrize("body", [b"", b"body"])
async def test_copy_is_marked_and_carries_no_credentials_and_a_span_of_its_own(
    body: bytes,
) -> None:
    """F52."""
    async with rig(mode="mirror") as r:
        fields = (
            b"Authorization: Bearer secret",
            b"Cookie: secret",
            b"Proxy-Authorization: secret",
            b"traceparent: " + TRACE,
            b"X-Request-Id: r1",
            b"X-Model: kept",
        )
        await (await r.client()).ask(post(body, *fields))
        await r.pairs()
        (served,), (copied,) = r.champion.requests, r.challenger.requests
        assert served.fields[b"authorization"] == b"Bearer secret"
        assert served.fields[b"cookie"] == b"secret"
        assert served.fields[b"traceparent"] == TRACE
        assert b"x-understudy-mirror" not in served.fields
        assert not any(b"secret" in value for value in copied.fields.values())
        assert copied.fields[b"x-understudy-mirror"] == b"1"
        assert copied.fields[b"x-request-id"] == b"r1"
        assert copied.fields[b"x-model"] == b"kept"
        assert copied.body == body
        span = copied.fields[b"traceparent"]
        assert span[:36] == TRACE[:36] and span[-3:] == TRACE[-3:]
        assert span[36:52] != TRACE[36:52]


async def test_chunked_request_is_copied_with_a_length() -> None:
    async with rig(mode="mirror") as r:
        await (await r.client()).ask(post_chunked(b"one", b"two"))
        await r.pairs()
        (copied,) = r.challenger.requests
        assert (copied.body, copied.fields[b"content-length"]) == (b"onetwo", b"6")


async def test_client_never_waits_for_a_hanging_challenger() -> None:
    """F2: all its copies are lost in the end, and each is said to be."""
    async with rig(
        echoes, hangs, mode="mirror", variant_of={"challenger": {"response_timeout_s": 0.4}}
    ) as r:
        client = await r.client()
        for n in range(10):
            assert (await client.ask(post(b"%d" % n))).body == b"/x %d" % n
        assert r.controller.pairs == []
        pairs = await r.pairs(10)
        assert {one.challenger.fault for one in pairs if one.challenger} <= {"timeout"}
        assert all(one.challenger or one.loss == "circuit_open" for one in pairs)
        assert all(one.champion.fault == "" for one in pairs)
        late = sum(one.challenger is not None for one in pairs)
        assert r.events["understudy_mirror_dropped_total|route=r|reason=deadline"] == late


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (resets, "reset"),
        (sends(b"garbage\r\n\r\n"), "protocol"),
        (answers(b"oops", status=b"500 Oops"), "status"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", then=resets), "reset"),
    ],
)
async def test_failing_challenger_is_measured_and_asked_once(script: object, fault: str) -> None:
    async with rig(echoes, script, mode="mirror") as r:  # type: ignore[arg-type] # a Script
        assert (await (await r.client()).ask(post(b"x"))).body == b"/x x"
        (pair,) = await r.pairs()
        assert pair.challenger is not None
        assert pair.challenger.fault == fault
        assert len(r.challenger.requests) == 1


async def test_unreachable_challenger_is_measured() -> None:
    """F1."""
    async with rig(mode="mirror", eject_after=100) as r:
        r.challenger.close_listener()
        client = await r.client()
        for _ in range(5):
            assert (await client.ask(get())).status == 200
        faults = Counter(p.challenger.fault for p in await r.pairs(5) if p.challenger)
        assert faults == {"connect": 5}


async def test_copies_are_bounded_by_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.mirror, "MAX_COPIES", 3)
    async with rig(echoes, hangs, mode="mirror") as r:
        client = await r.client()
        for _ in range(8):
            await client.ask(get())
        await until(lambda: len(r.challenger.requests) == 3)
        assert len(r.server.mirrors) == 3
        assert r.events["understudy_mirror_dropped_total|route=r|reason=queue_full"] == 5
        lost = await r.pairs(5)
        assert {(one.loss, one.challenger) for one in lost} == {("queue_full", None)}


async def test_copies_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.mirror, "MAX_COPY_BYTES", 1000)
    async with rig(echoes, waits(0.2, echoes), mode="mirror") as r:
        client = await r.client()
        for _ in range(3):
            await client.ask(post(bytes(400)))
        assert r.events["understudy_mirror_dropped_total|route=r|reason=budget"] == 1
        await r.pairs(3)
        await client.ask(post(bytes(1000)))  # the room has come back, all of it
        assert (await r.pairs(4))[-1].loss == ""


@pytest.mark.parametrize(
    "asks", [post(bytes(101)), post_chunked(bytes(60), bytes(60))], ids=["length", "chunked"]
)
async def test_oversized_body_is_not_copied_but_accounted_for(asks: bytes) -> None:
    async with rig(mode="mirror", replay_bytes=100) as r:
        assert (await (await r.client()).ask(asks)).status == 200
        (pair,) = await r.pairs()
        assert (pair.challenger, pair.loss) == (None, "body_too_large")
        assert r.challenger.heads == []
        assert r.events["understudy_mirror_dropped_total|route=r|reason=body_too_large"] == 1


async def test_request_answered_before_it_was_whole_is_a_lost_pair() -> None:
    async with rig(answers(b"early"), mode="mirror", early=True) as r:
        client = await r.client()
        await client.send(post_head(100) + b"half of it")
        assert (await client.answer()).status == 200
        (pair,) = await r.pairs()
        assert (pair.champion.status, pair.challenger, pair.loss) == (200, None, "incomplete")
        assert r.controller.exposures == []


async def test_ejected_challenger_gets_no_copy_but_the_pair_is_accounted_for() -> None:
    async with rig(echoes, resets, mode="mirror", eject_after=2) as r:
        client = await r.client()
        for n in range(6):
            await client.ask(get())
            await r.pairs(n + 1)
        assert len(r.challenger.requests) == 2
        losses = Counter(one.loss for one in r.controller.pairs)
        assert losses == {"": 2, "circuit_open": 4}


async def test_copy_goes_on_when_the_client_leaves() -> None:
    async with rig(hangs, waits(0.1, echoes), mode="mirror") as r:
        client = await r.client()
        await client.send(post(b"x"))
        await until(lambda: r.challenger.requests)
        client.reset()
        (pair,) = await r.pairs()
        assert pair.champion.fault == "aborted"
        assert pair.challenger is not None and pair.challenger.fault == ""


async def test_request_that_is_refused_is_not_copied() -> None:
    async with rig(mode="mirror", body_limit_bytes=100) as r:
        client = await r.client()
        assert (await client.ask(post_head(101))).status == 413
        client = await r.client()
        await client.send(post_head(100) + b"not all of it")
        client.writer.write_eof()
        assert (await client.answer()).status == 400
        await asyncio.sleep(0.05)
        assert r.challenger.heads == []


async def test_share_of_the_mirror_is_by_unit() -> None:
    share = Mirror(variant="challenger", buckets=5000)
    async with rig(mode="mirror", mirror=share, unit_header="x-user") as r:
        client = await r.client()
        for _ in range(2):
            for n in range(20):
                await client.ask(get(b"/%d" % n, b"X-User: u%d" % n))
        await until(lambda: len(r.controller.observations) == 40)
        copied = Counter(one.line for one in r.challenger.requests)
        assert 0 < len(copied) < 20
        assert set(copied.values()) == {2}
        assert len(r.controller.pairs) == sum(copied.values())
        assert {one.propensity for one in r.controller.exposures} == {0.0}


async def test_pair_is_complete_whichever_answer_comes_first() -> None:
    for champion, challenger in ((waits(0.05, echoes), echoes), (echoes, waits(0.05, echoes))):
        async with rig(champion, challenger, mode="mirror") as r:
            await (await r.client()).ask(post(b"x"))
            (pair,) = await r.pairs()
            assert pair.champion.body == b"/x x"
            assert pair.challenger is not None and pair.challenger.body == b"/x x"


async def test_champions_failure_is_the_champions() -> None:
    async with rig(resets, echoes, mode="mirror") as r:
        assert (await (await r.client()).ask(post(b"x"))).status == 502
        (pair,) = await r.pairs()
        assert pair.champion.fault == "reset"
        assert pair.challenger is not None and pair.challenger.fault == ""


async def test_endless_answer_to_a_copy_is_cut_at_its_deadline_and_held_nowhere() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n"

    async def pours(turn: object) -> None:
        await sends(endless)(turn)  # type: ignore[arg-type] # a Turn
        while True:
            await sends(bytes(10_000))(turn)  # type: ignore[arg-type] # a Turn
            await asyncio.sleep(0.001)

    settings = {"challenger": {"response_timeout_s": 0.3}}
    async with rig(echoes, pours, mode="mirror", variant_of=settings, capture_bytes=10) as r:
        await (await r.client()).ask(get())
        (pair,) = await r.pairs()
        assert pair.challenger is not None
        assert pair.challenger.fault == "timeout"
        assert pair.challenger.body == b""
        assert pair.challenger.body_bytes > 10_000


async def test_stop_drops_copies_and_says_so() -> None:
    async with rig(echoes, hangs, mode="mirror") as r:
        await (await r.client()).ask(get())
        await until(lambda: r.challenger.requests)
        stop_clients(r)
        await r.server.stop(1.0)
        (pair,) = await r.pairs()
        assert pair.challenger is not None and pair.challenger.fault == "aborted"
        assert r.events["understudy_mirror_dropped_total|route=r|reason=shutdown"] == 1
        assert len(r.server.mirrors) == 0


def stop_clients(r: Rig) -> None:
    for client in r.clients:
        client.close()


async def test_copy_and_client_share_nothing_after_the_champion_has_answered() -> None:
    """One client connection carries many requests while every copy still hangs."""
    async with rig(sends(ok(b"a")), hangs, mode="mirror") as r:
        client = await r.client()
        for _ in range(300):
            assert (await client.ask(get())).body == b"a"
        assert r.champion.n_connections == 1
        assert len(r.server.mirrors) == 256 + 44  # max_connections, and the rest waits
        assert "44 waiting" in repr(r.pool("challenger"))


async def test_traced_copy_is_in_a_trace_of_its_own() -> None:
    async with rig(mode="mirror", tracing=True) as r:
        await (await r.client()).ask(post(b"x", b"traceparent: " + TRACE))
        (pair,) = await r.pairs()
        sent, _, span = pair.trace.encode().partition(b"/")
        assert sent == TRACE
        (served,), (copied,) = r.champion.requests, r.challenger.requests
        assert served.fields[b"traceparent"] == trace.served(TRACE, trace.leg(span, 1))
        assert copied.fields[b"traceparent"] == trace.copied(TRACE, trace.leg(span, 3))
