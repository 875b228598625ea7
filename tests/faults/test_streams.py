"""Streams of events: nothing is held back, all of it is measured, silence ends them.

Each event waits for the one before it to have come through, so anything held back stops the test.
"""

import asyncio
import json
import time
from typing import Any

import pytest

from evaluator.extract import Extractor
from router.observation import Outcome
from tests.pace import Lateness
from tests.router.kit import (
    Client,
    Rig,
    Turn,
    answers,
    hangs,
    post,
    read_chunks,
    resets,
    rig,
    until,
)

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
WORDS = ("To", " be", ",", " or", " not")
EVENTS = [
    b"data: "
    + json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}).encode()
    + b"\n\n"
    for word in WORDS
] + [b"data: [DONE]\n\n"]
ANSWER = json.dumps({"choices": [{"message": {"content": "".join(WORDS)}}]}).encode()


def chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Lecture:
    """A model's stream whose next event is sent when the test says so."""

    def __init__(self, head: bytes = HEAD) -> None:
        self.head = head
        self.next = asyncio.Semaphore(0)
        self.n_sent = 0

    async def __call__(self, turn: Turn) -> None:
        await turn.send(self.head)
        for event in EVENTS:
            await self.next.acquire()
            await turn.send(chunk(event))
            self.n_sent += 1
        await self.next.acquire()
        await turn.send(b"0\r\n\r\n")

    def go_on(self, n: int = 1) -> None:
        for _ in range(n):
            self.next.release()

    def at_once(self) -> None:
        self.go_on(len(EVENTS) + 1)


async def listen(client: Client, lecture: Lecture) -> list[bytes]:
    """Ask for a stream, have each event sent when the one before it has come."""
    await client.send(post(b"{}"))
    head = await client.head()  # before there is any event
    assert head.fields[b"transfer-encoding"] == b"chunked"
    heard: list[bytes] = []
    for event in EVENTS:
        lecture.go_on()
        raw = await asyncio.wait_for(client.reader.readexactly(len(chunk(event))), 5.0)
        assert raw == chunk(event)
        heard.append(event)
    lecture.go_on()
    assert await asyncio.wait_for(client.reader.readexactly(5), 5.0) == b"0\r\n\r\n"
    return heard


def check(outcome: Outcome, variant: str) -> None:
    assert (outcome.variant, outcome.fault, outcome.form) == (variant, "", "sse")
    assert outcome.is_complete
    assert outcome.n_pieces == len(EVENTS)
    assert 0.0 < outcome.first_byte_s < outcome.latency_s
    found = Extractor("choices[0].message.content").read(outcome)
    assert found.text == '"To be, or not"'


@pytest.mark.parametrize("mode", ["plain", "split"])
async def test_each_event_reaches_the_client_before_the_next_is_sent(mode: str) -> None:
    lecture = Lecture()
    scripts = (lecture, resets) if mode == "plain" else (resets, lecture)
    async with rig(*scripts, mode=mode) as r:
        assert await listen(await r.client(), lecture) == EVENTS
        server = "champion" if mode == "plain" else "challenger"
        name = f"|route=r|variant={server}|role={server}"
        values = r.server.counter_values()
        assert values[f"understudy_streams_total{name}|end=complete"] == 1
        assert values[f"understudy_stream_first_event_seconds_count{name}"] == 1
        assert values[f"understudy_stream_events_per_second_count{name}"] == 1
        if mode == "split":
            check((await r.exposures())[0].outcome, "challenger")


async def test_mirrored_stream_is_measured_and_never_waited_for() -> None:
    live, copy = Lecture(), Lecture()
    async with rig(live, copy, mode="mirror") as r:
        assert await listen(await r.client(), live) == EVENTS  # while the copy stands still
        assert copy.n_sent == 0
        copy.at_once()
        (pair,) = await r.pairs()
        check(pair.champion, "champion")
        assert pair.challenger is not None
        assert pair.challenger.n_pieces == len(EVENTS)
        assert pair.challenger.body == pair.champion.body == b"".join(EVENTS)
        values = r.server.counter_values()
        assert values[
            "understudy_streams_total|route=r|variant=challenger|role=mirror|end=complete"
        ]


async def test_stream_agrees_with_the_same_answer_that_came_at_once() -> None:
    """F51's neighbour: a variant that does not stream is compared with one that does."""
    whole = Lecture()
    whole.at_once()
    async with rig(whole, answers(ANSWER, b"Content-Type: application/json"), mode="mirror") as r:
        assert (await (await r.client()).ask(post(b"{}"))).body == b"".join(EVENTS)
        (pair,) = await r.pairs()
        assert pair.challenger is not None
        read = Extractor("choices[0].message.content").read
        assert read(pair.champion).text == read(pair.challenger).text == '"To be, or not"'
        at_once = pair.challenger
        assert (at_once.form, at_once.n_pieces) == ("", 1)
        assert at_once.first_byte_s == at_once.latency_s


async def test_stream_that_came_at_once_is_a_stream_all_the_same() -> None:
    body = b"".join(EVENTS)
    async with rig(answers(body, b"Content-Type: text/event-stream"), mode="mirror") as r:
        await (await r.client()).ask(post(b"{}"))
        (pair,) = await r.pairs()
        assert (pair.champion.form, pair.champion.n_pieces) == ("sse", len(EVENTS))
        assert 0 < pair.champion.first_byte_s <= pair.champion.latency_s


@pytest.mark.parametrize("ending", [resets, hangs], ids=["reset", "silence"])
async def test_stream_that_breaks_off_is_cut_for_the_client_and_said_to_be(ending: Any) -> None:
    async def breaks(turn: Turn) -> None:
        await turn.send(HEAD + chunk(EVENTS[0]))
        await asyncio.sleep(0.05)
        await ending(turn)

    idle_s = 0.3 if ending is hangs else 10.0
    async with rig(breaks, breaks, mode="mirror", variants={"idle_timeout_s": idle_s}) as r:
        client = await r.client()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.ask(post(b"{}"))
        (pair,) = await r.pairs()
        for outcome in (pair.champion, pair.challenger):
            assert outcome is not None and not outcome.is_complete
            assert outcome.fault == ("reset" if ending is resets else "timeout")
            assert outcome.n_pieces == 1
            assert Extractor("choices[0].message.content").read(outcome).text is None
        values = r.server.counter_values()
        assert (
            values["understudy_streams_total|route=r|variant=champion|role=champion|end=cut"] == 1
        )


async def test_stream_may_last_longer_than_the_response_timeout_and_the_idle_timeout() -> None:
    """F2's other side: 40 events in 1.2 s, with 0.8 s for an answer and 0.8 s between bytes."""

    async def lectures(turn: Turn) -> None:
        await turn.send(HEAD)
        for n in range(40):
            await asyncio.sleep(0.03)
            await turn.send(chunk(b"data: %d\n\n" % n))
        await turn.send(b"0\r\n\r\n")

    times = {"response_timeout_s": 0.8, "idle_timeout_s": 0.8}
    async with rig(lectures, lectures, mode="mirror", variants=times) as r:
        answer = await (await r.client()).ask(post(b"{}"))
        assert len(answer.chunks) == 40
        (pair,) = await r.pairs()
        assert (pair.champion.fault, pair.champion.n_pieces) == ("", 40)
        assert pair.challenger is not None and pair.challenger.n_pieces == 40
        assert pair.champion.latency_s > 1.0


@pytest.mark.parametrize("fields", [b"", b"Content-Type: application/json\r\n"])
async def test_other_answers_keep_one_time_for_the_whole(fields: bytes) -> None:
    async def drips(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await turn.send(chunk(b"x"))
            await asyncio.sleep(0.02)

    times = {"response_timeout_s": 0.3, "idle_timeout_s": 0.2}
    async with rig(drips, variants=times) as r:
        began = time.monotonic()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await (await r.client()).ask(post(b"{}"))
        assert time.monotonic() - began < 4.0  # where pieces counted, it would have no end


async def test_silent_stream_is_ended_within_a_quarter_more_than_its_idle_timeout() -> None:
    async def falls_silent(turn: Turn) -> None:
        await turn.send(HEAD + chunk(EVENTS[0]))
        await hangs(turn)

    async with rig(falls_silent, variants={"idle_timeout_s": 0.4}) as r:
        client = await r.client()
        await client.send(post(b"{}"))
        await client.head()
        async with Lateness() as lateness:
            began = time.monotonic()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                while True:
                    await asyncio.wait_for(client.reader.readexactly(1), 5.0)
            took_s = time.monotonic() - began
        assert 0.35 < took_s + lateness.total_s and took_s < 0.8 + lateness.total_s


async def test_challenger_that_fails_after_its_first_event_is_not_glued_to_the_champion() -> None:
    async def breaks(turn: Turn) -> None:
        await turn.send(HEAD + chunk(EVENTS[0]))
        await asyncio.sleep(0.02)
        turn.reset()

    lecture = Lecture()
    lecture.at_once()
    async with rig(lecture, breaks, mode="split") as r:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await (await r.client()).ask(post(b"{}"))
        assert r.champion.requests == []


async def test_client_that_does_not_read_stops_the_stream_and_keeps_its_memory_small() -> None:
    """Back-pressure: the variant is paused, and the pause is no silence of the variant's."""
    sent = 0

    async def pours(turn: Turn) -> None:
        nonlocal sent
        await turn.send(HEAD)
        for _ in range(400):
            await turn.send(chunk(b"data: " + bytes(65_000) + b"\n\n"))
            sent += 1
        await turn.send(b"0\r\n\r\n")

    async with rig(pours, variants={"idle_timeout_s": 0.8}) as r:
        client = await r.client()
        await client.send(post(b"{}"))
        await client.head()
        await settled(lambda: sent)
        stopped_at = sent
        assert stopped_at < 390
        await asyncio.sleep(1.7)  # more than twice the idle timeout
        assert sent == stopped_at
        chunks = await asyncio.wait_for(read_chunks(client.reader), 10.0)
        assert sum(map(len, chunks)) == 400 * 65_008


async def settled(count: Any) -> None:
    """Wait until ``count()`` stands still."""
    last = -1
    while count() != last:
        last = count()
        await asyncio.sleep(0.2)


async def test_client_that_leaves_is_nobodys_fault() -> None:
    lecture = Lecture()
    async with rig(lecture, answers(b"x"), mode="mirror") as r:
        client = await r.client()
        await client.send(post(b"{}"))
        await client.head()
        lecture.go_on()
        await client.reader.readexactly(len(chunk(EVENTS[0])))
        client.reset()
        await left(r)
        lecture.at_once()


async def left(r: Rig) -> None:
    (pair,) = await r.pairs()
    assert pair.champion.fault == "aborted"
    name = "understudy_streams_total|route=r|variant=champion|role=champion|end=left"
    await until(lambda: r.server.counter_values().get(name) == 1)
