"""F1 to F4: whatever the challenger does, the client gets the champion's answer, once."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable

import pytest

from router import frames
from router.observation import LOSSES
from tests.router.kit import (
    Rig,
    Script,
    Turn,
    answers,
    closes,
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
)

HALF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
FAILURES: dict[str, tuple[Script, str, int]] = {
    "status": (answers(b"oops", status=b"500 Oops"), "status", 500),
    "status, streaming": (
        sends(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nbeg", then=hangs),
        "status",
        503,
    ),
    "hang": (hangs, "timeout", 0),
    "hang after interim": (sends(b"HTTP/1.1 102 Wait\r\n\r\n", then=hangs), "timeout", 0),
    "hang in the head": (sends(HALF_HEAD, then=hangs), "timeout", 0),
    "reset": (resets, "reset", 0),
    "close": (closes, "reset", 0),
    "close in the head": (sends(HALF_HEAD, then=closes), "reset", 0),
    "garbage": (sends(b"\x00\x01\x02 garbage\r\n\r\n"), "protocol", 0),
    "smuggling": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0"),
        "protocol",
        0,
    ),
    "endless head": (sends(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, then=hangs), "protocol", 0),
}
REQUESTS = {
    "get": get(),
    "post": post(b"body"),
    "chunked": post_chunked(b"bo", b"dy"),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("failure", FAILURES)
async def test_champion_answers_for_a_challenger_that_fails_before_its_first_byte(
    failure: str, request_name: str
) -> None:
    script, fault, status = FAILURES[failure]
    settings = {"challenger": {"response_timeout_s": 0.5 if fault == "timeout" else 10.0}}
    async with rig(echoes, script, mode="split", variant_of=settings) as r:
        client = await r.client()
        answer = await client.ask(REQUESTS[request_name])
        body = b"" if request_name == "get" else b"body"
        assert (answer.status, answer.body) == (200, b"/x " + body)
        (exposure,) = await r.exposures()
        assert exposure.is_challenger
        assert exposure.propensity == 1.0
        assert exposure.outcome.variant == "challenger"
        assert (exposure.outcome.fault, exposure.outcome.status) == (fault, status)
        assert exposure.fallback is not None
        assert (exposure.fallback.variant, exposure.fallback.fault) == ("champion", "")
        assert exposure.fallback.body == b"/x " + body
        for model in (r.champion, r.challenger):
            assert [one.body for one in model.requests] == [body]
        assert r.events[f"understudy_fallbacks_total|route=r|reason={fault}"] == 1
        assert answer.fields[b"x-request-id"] == r.champion.requests[0].fields[b"x-request-id"]
        # Neither connection is spoiled for the next.
        assert (await client.ask(post(b"next"))).body == b"/x next"


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_champion_answers_for_a_challenger_that_refuses_connections(
    request_name: str,
) -> None:
    async with rig(mode="split") as r:
        r.challenger.close_listener()
        assert (await (await r.client()).ask(REQUESTS[request_name])).status == 200
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault == "connect"
        assert exposure.fallback is not None
        assert len(r.champion.requests) == 1


async def test_champion_answers_for_a_challenger_whose_queue_is_full() -> None:
    settings = {"challenger": {"max_connections": 1, "max_pending": 0}}
    async with rig(answers(b"champion"), hangs, mode="split", variant_of=settings) as r:
        first, second = await r.client(), await r.client()
        await first.send(get())
        await until(lambda: r.challenger.requests)
        assert (await second.ask(get())).body == b"champion"
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault == "overload"


async def test_request_still_arriving_goes_to_the_champion_whole() -> None:
    """The challenger gives up in the middle of the body: what was kept and what follows."""

    async def resets_after_head(turn: Turn) -> None:
        turn.reset()

    async with rig(echoes, resets_after_head, mode="split", early=True) as r:
        r.champion.early = False
        client = await r.client()
        await client.send(post_head(9) + b"one")
        await until(lambda: r.champion.heads)
        await client.send(b"two")
        await asyncio.sleep(0.01)
        await client.send(b"six")
        assert (await client.answer()).body == b"/x onetwosix"
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault == "reset"
        assert exposure.fallback is not None


@pytest.mark.parametrize("ending", [closes, resets, hangs, sends(b"zz\r\n")])
async def test_failure_after_the_first_byte_is_cut(ending: Script) -> None:
    async def half(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await asyncio.sleep(0.05)
        await ending(turn)

    settings = {"challenger": {"response_timeout_s": 1.0}}
    async with rig(echoes, half, mode="split", variant_of=settings) as r:
        client = await r.client()
        await client.send(post(b"x"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault in ("reset", "timeout", "protocol")
        assert exposure.outcome.status == 200
        assert exposure.fallback is None
        assert r.champion.requests == []


async def test_both_fail_and_the_client_is_told_once() -> None:
    async with rig(resets, resets, mode="split") as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert answer.status == 502
        (exposure,) = await r.exposures()
        assert exposure.fallback is not None
        assert (exposure.outcome.fault, exposure.fallback.fault) == ("reset", "reset")
        assert len(r.champion.requests) == len(r.challenger.requests) == 1


async def test_champions_own_500_is_passed_on() -> None:
    async with rig(answers(b"mine", status=b"500 Oops"), resets, mode="split") as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert (answer.status, answer.body) == (500, b"mine")


async def test_client_that_leaves_during_a_fallback_is_nobodys_error_twice() -> None:
    async with rig(hangs, resets, mode="split") as r:
        client = await r.client()
        await client.send(post(b"x"))
        await until(lambda: r.champion.requests)
        client.reset()
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault == "reset"
        assert exposure.fallback is not None and exposure.fallback.fault == "aborted"


@pytest.mark.parametrize("mode", ["split", "mirror"])
async def test_dead_challenger_is_left_alone_within_a_second(mode: str) -> None:
    """F1: 0 failed; after five failures it is not asked, and the controller knows."""
    async with rig(mode=mode) as r:
        r.challenger.close_listener()
        client = await r.client()
        for n in range(100):
            assert (await client.ask(post(b"%d" % n))).body == b"/x %d" % n
            if mode == "mirror":
                await asyncio.sleep(0.002)
        await until(lambda: r.controller.of(frames.Ejected))
        await until(lambda: len(r.controller.observations) == 100)
        losses = Counter(one.loss for one in r.controller.observations)
        assert losses["circuit_open"] > 80
        assert losses[""] + losses["circuit_open"] == 100
        assert r.controller.of(frames.Ejected)[0].failures == 5


async def latencies(r: Rig, n: int) -> float:
    """Return the median seconds of ``n`` requests one after the other."""
    client = await r.client()
    taken = []
    for _ in range(n):
        began = time.perf_counter()
        assert (await client.ask(post(b"x"))).status == 200
        taken.append(time.perf_counter() - began)
    client.close()
    return statistics.median(taken)


async def test_hanging_challenger_costs_the_client_nothing_it_can_notice() -> None:
    """F2, in small: three seconds were what the mirror of another proxy cost here."""
    async with rig(mode="mirror") as r:
        quick_s = await latencies(r, 200)
    async with rig(echoes, hangs, mode="mirror") as r:
        slow_s = await latencies(r, 200)
        assert len(r.server.mirrors) == 200
    assert slow_s < quick_s + 0.05


async def test_slow_reading_challenger_bounds_the_copies_and_every_drop_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F3: sent minus mirrored equals what was dropped."""
    import router.mirror

    monkeypatch.setattr(router.mirror, "MAX_COPY_BYTES", 4_000_000)

    async def never_reads(turn: Turn) -> None:
        turn.line.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport has it
        await asyncio.sleep(1.0)
        turn.close()

    settings = {"challenger": {"response_timeout_s": 0.5}}
    async with rig(
        answers(b"ok"), never_reads, mode="mirror", variant_of=settings, early=True,
        eject_after=1000,
    ) as r:  # fmt: skip
        r.champion.early = False
        client = await r.client()
        body = bytes(1_000_000)
        for _ in range(20):
            assert (await client.ask(post(body))).body == b"ok"
            assert r.server.mirrors._bytes <= 4_000_000
        await until(lambda: len(r.controller.pairs) == 20)
        losses = Counter(one.loss for one in r.controller.pairs)
        dropped = r.events["understudy_mirror_dropped_total|route=r|reason=budget"]
        assert losses["budget"] == dropped > 0
        assert losses[""] == 20 - dropped
        assert set(losses) <= set(LOSSES)
        await until(lambda: len(r.server.mirrors) == 0)
        assert r.server.mirrors._bytes == 0


MOODS: list[Callable[[], Script]] = [
    lambda: echoes,
    lambda: resets,
    lambda: closes,
    lambda: answers(b"oops", status=b"500 Oops"),
    lambda: sends(b"nonsense\r\n\r\n"),
    lambda: sends(ok(b"") + b"poison"),
]


@pytest.mark.parametrize("mode", ["split", "mirror"])
async def test_moody_challenger_under_load_fails_no_request(mode: str) -> None:
    """One request in seven of each mood, eight clients: each gets its own answer, once."""
    turns = 0

    async def moody(turn: Turn) -> None:
        nonlocal turns
        turns += 1
        await MOODS[turns % len(MOODS)]()(turn)

    async with rig(echoes, moody, mode=mode, buckets=5000, eject_after=10**6) as r:

        async def load(n: int) -> None:
            client = await r.client()
            for k in range(60):
                body = b"%d-%d" % (n, k)
                answer = await client.ask(post(body))
                assert answer.status == 200
                assert answer.body in (b"/x " + body, b"")  # b"": the poisoner's own answer

        await asyncio.gather(*(load(n) for n in range(8)))
        await until(lambda: len(r.controller.observations) == 480)
        served = Counter(one.body for one in r.champion.requests)
        assert max(served.values()) == 1
        asked = Counter(one.body for one in r.challenger.requests)
        assert max(asked.values()) == 1
