"""Answers that carry a token: what is held back, for how long, and what the token then says."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from router.observation import Outcome
from router.table import Signing
from router.token import Key, Served, claims, verify
from tests.router.kit import (
    Message,
    Script,
    Turn,
    answers,
    closes,
    get,
    post,
    post_chunked,
    resets,
    rig,
    sends,
    until,
)
from tests.router.test_keyfile import write

SECRET = b"s" * 32
HALF = {"mode": "split", "buckets": 5_000}
MOST = {"mode": "split", "buckets": 9_999}
LEAST = {"mode": "split", "buckets": 1}
ANSWER = b'{"p": "cat"}'


def make_read(prediction: str | None) -> Any:
    """Reads one key of a JSON object, as a stand-in for what the sidecar gives."""

    def read(outcome: Outcome) -> tuple[str | None, bool]:
        if outcome.body_bytes > len(outcome.body):
            return None, True
        try:
            return json.dumps(json.loads(outcome.body)[prediction]), False
        except (ValueError, KeyError):
            return None, False

    return read


@pytest.fixture
def signs(tmp_path: Path) -> dict[str, Any]:
    """What makes a route give tokens."""
    line = f"k1 {base64.b64encode(SECRET).decode()}"
    keys = write(tmp_path / "keys", line)
    return {"make_read": make_read, "signing": Signing(keys=keys, hold_bytes=2000, prediction="p")}


def token_of(answer: Message) -> Served:
    """The content of an answer's token, which must be a sound one."""
    token = answer.fields[b"x-understudy-exposure"].decode()
    found = claims(token)
    assert found is not None and verify(token, [Key("k1", SECRET)])
    return found


async def test_a_served_answer_carries_what_the_observation_says(signs: dict[str, Any]) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), **HALF, **signs) as r:
        client = await r.client()
        for n in range(8):
            answer = await client.ask(post(b"x", b"X-Request-Id: r%d" % n))
            assert answer.body == ANSWER
            found = token_of(answer)
            exposure = (await r.exposures(n + 1))[n]
            variant = "challenger" if exposure.is_challenger else "champion"
            assert (found.route, found.experiment, found.variant) == ("r", "e", variant)
            assert (found.request_id, found.unit) == (exposure.request_id, exposure.unit)
            assert (found.propensity, found.table_version) == (0.5, exposure.table_version)
            assert (found.at_ns, found.kind, found.text) == (exposure.at_ns, "value", '"cat"')
        assert r.events["understudy_exposure_tokens_total|route=r|prediction=value"] == 8


async def test_nobody_else_can_say_what_is_ours_to_say(signs: dict[str, Any]) -> None:
    """Neither a client nor a model: a token comes from us or there is none."""
    field = b"X-Understudy-Exposure: v1.k1.e30.AAAA"
    async with rig(answers(ANSWER, field), answers(ANSWER, field), **HALF, **signs) as r:
        client = await r.client()
        assert token_of(await client.ask(post(b"x", field))).text == '"cat"'
        seen = [*r.champion.requests, *r.challenger.requests]
        assert [b"x-understudy-exposure" in one.fields for one in seen] == [False]
        r.use(signing=None)
        assert b"x-understudy-exposure" not in (await client.ask(post(b"x", field))).fields


@pytest.mark.parametrize("mode", ["plain", "mirror"])
async def test_where_nothing_is_drawn_by_lot_there_is_no_token(
    mode: str, signs: dict[str, Any]
) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), mode=mode, **signs) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert b"x-understudy-exposure" not in answer.fields


async def test_what_is_no_inference_gets_none_and_is_not_held(signs: dict[str, Any]) -> None:
    slow = sends(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", ANSWER[:2])
    async with rig(slow, slow, inference=("POST /x",), **HALF, **signs) as r:
        client = await r.client()
        await client.send(get())
        assert b"x-understudy-exposure" not in (await client.head()).fields
        assert await client.reader.readexactly(2) == ANSWER[:2]


PIECES = [
    pytest.param([b"content-length: 12\r\n\r\n", ANSWER[:5], ANSWER[5:]], id="length"),
    pytest.param(
        [b"transfer-encoding: chunked\r\n\r\n", b"5\r\n" + ANSWER[:5] + b"\r\n",
         b"7\r\n" + ANSWER[5:] + b"\r\n", b"0\r\n\r\n"],
        id="chunks",
    ),
]  # fmt: skip


@pytest.mark.parametrize("pieces", PIECES)
async def test_an_answer_in_pieces_is_held_until_it_is_whole(
    pieces: list[bytes], signs: dict[str, Any]
) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\n" + pieces[0], *pieces[1:-1])
        await go_on.wait()
        await turn.send(pieces[-1])

    async with rig(script, script, **HALF, **signs) as r:
        client = await r.client()
        await client.send(post(b"x"))
        await until(lambda: any(len(model.requests) for model in r.models.values()))
        with pytest.raises(TimeoutError):
            await client.head(within_s=0.2)
        go_on.set()
        answer = await client.answer()
        assert answer.body == ANSWER
        assert token_of(answer).text == '"cat"'


async def test_an_answer_that_ends_with_its_connection_is_held_too(signs: dict[str, Any]) -> None:
    script = sends(b"HTTP/1.1 200 OK\r\n\r\n", ANSWER, then=closes)
    async with rig(script, script, **HALF, **signs) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert (answer.body, token_of(answer).text) == (ANSWER, '"cat"')


async def test_a_large_answer_passes_with_a_token_that_knows_no_prediction(
    signs: dict[str, Any],
) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n", b"x" * 100)
        await go_on.wait()
        await turn.send(b"x" * 4900)

    async with rig(script, script, **HALF, **signs) as r:
        client = await r.client()
        await client.send(post(b"x"))
        head = await client.head()  # before the rest of the body
        assert token_of(head).kind == "cut"
        go_on.set()
        assert await client.reader.readexactly(5000) == b"x" * 5000


async def test_what_turns_out_too_large_is_let_go_in_its_order(signs: dict[str, Any]) -> None:
    chunk = b"3e8\r\n%b\r\n"
    bodies = [bytes([65 + n]) * 1000 for n in range(5)]
    pieces = [chunk % body for body in bodies]
    script = sends(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n")
    async with rig(script, script, **HALF, **signs) as r:
        client = await r.client()
        answer = await client.ask(post(b"x"))
        assert answer.body == b"".join(bodies)
        assert token_of(answer).kind == "cut"
        assert (await client.ask(post(b"x"))).body == b"".join(bodies)


async def test_a_stream_of_events_is_never_held(signs: dict[str, Any]) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await turn.send(head + b"transfer-encoding: chunked\r\n\r\n", b"9\r\ndata: 1\n\n\r\n")
        await go_on.wait()
        await turn.send(b"0\r\n\r\n")

    async with rig(script, script, **HALF, **signs) as r:
        client = await r.client()
        await client.send(post(b"x"))
        assert token_of(await client.head()).kind == "cut"
        assert await client.reader.readuntil(b"data: 1\n\n\r\n")
        go_on.set()


@pytest.mark.parametrize(
    "failing",
    [
        resets,
        answers(b"no", status=b"500 No"),
        sends(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", ANSWER[:5], then=resets),
    ],
    ids=["reset", "status", "cut"],
)
async def test_the_champions_answer_for_a_failing_challenger_is_labelled_as_a_failure(
    failing: Script, signs: dict[str, Any]
) -> None:
    """The last one is new with tokens: what was held can still be answered by the champion."""
    async with rig(answers(ANSWER), failing, **MOST, **signs) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert (answer.status, answer.body) == (200, ANSWER)
        found = token_of(answer)
        assert (found.variant, found.kind) == ("challenger", "failed")
        (exposure,) = await r.exposures()
        assert exposure.is_challenger and exposure.fallback is not None


async def test_a_resting_challenger_failed_too(signs: dict[str, Any]) -> None:
    async with rig(answers(ANSWER), resets, **MOST, eject_after=1, **signs) as r:
        client = await r.client()
        for n in range(3):
            found = token_of(await client.ask(post(b"x")))
            assert (found.variant, found.kind) == ("challenger", "failed"), n
        exposures = await r.exposures(3)
        assert exposures[-1].loss == "circuit_open"


@pytest.mark.parametrize("failing", [resets, answers(b"no", status=b"500 No")])
async def test_who_is_refused_for_a_failing_champion_can_label_that(
    failing: Script, signs: dict[str, Any]
) -> None:
    """Or labels would come for the failures of the challenger alone."""
    async with rig(failing, answers(ANSWER), **LEAST, **signs) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert answer.status in (500, 502)
        found = token_of(answer)
        assert (found.variant, found.kind) == ("champion", "failed")
        (exposure,) = await r.exposures()
        assert exposure.request_id == found.request_id


async def test_an_answer_without_a_prediction_says_so(signs: dict[str, Any]) -> None:
    async with rig(answers(b"{}"), answers(b"{}"), **HALF, **signs) as r:
        assert token_of(await (await r.client()).ask(post(b"x"))).kind == "none"


async def test_what_is_outside_of_the_experiment_gets_no_token(signs: dict[str, Any]) -> None:
    """As its observation says: too large a request is nobody's exposure."""
    async with rig(answers(ANSWER), answers(ANSWER), **HALF, replay_bytes=4, **signs) as r:
        client = await r.client()
        for raw in (post(b"12345"), post_chunked(b"123", b"456")):
            assert b"x-understudy-exposure" not in (await client.ask(raw)).fields
        exposures = await r.exposures(2)
        assert {one.loss for one in exposures} == {"body_too_large"}
        reasons = "understudy_exposure_tokens_withheld_total|route=r|reason=body_too_large"
        assert r.events[reasons] == 2


async def test_an_answer_before_the_whole_request_gets_no_token(signs: dict[str, Any]) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), **LEAST, early=True, **signs) as r:
        client = await r.client()
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
        answer = await client.answer()
        assert answer.status == 200 and b"x-understudy-exposure" not in answer.fields
        assert r.events["understudy_exposure_tokens_withheld_total|route=r|reason=incomplete"] == 1


async def test_each_of_two_pipelined_requests_gets_a_token_of_its_own(
    signs: dict[str, Any],
) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), **HALF, **signs) as r:
        client = await r.client()
        await client.send(post(b"x", b"X-Request-Id: r1") + post(b"y", b"X-Request-Id: r2"))
        found = [token_of(await client.answer()).request_id for _ in range(2)]
        assert found == ["r1", "r2"]


async def test_an_answer_to_head_has_a_token_and_no_prediction(signs: dict[str, Any]) -> None:
    async with rig(answers(b""), answers(b""), **HALF, **signs) as r:
        answer = await (await r.client()).ask(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert token_of(answer).kind == "none"


async def test_the_variants_name_may_be_shown_beside_it(signs: dict[str, Any]) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), **HALF, show_variant=True, **signs) as r:
        answer = await (await r.client()).ask(post(b"x"))
        assert answer.fields[b"x-understudy-variant"].decode() == token_of(answer).variant


async def test_a_client_that_leaves_while_its_answer_is_held_costs_nothing(
    signs: dict[str, Any],
) -> None:
    script = sends(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", ANSWER[:5])
    async with rig(script, script, **HALF, **signs) as r:
        client = await r.client()
        await client.send(post(b"x"))
        await until(lambda: any(len(model.requests) for model in r.models.values()))
        client.reset()
        (exposure,) = await r.exposures()
        assert exposure.outcome.fault == "aborted"


async def test_keys_are_rotated_under_load_and_no_answer_misses_its_token(
    signs: dict[str, Any],
) -> None:
    async with rig(answers(ANSWER), answers(ANSWER), **HALF, **signs) as r:
        path = Path(signs["signing"].keys)
        r.server._signers._poll_s = 0.01
        client = await r.client()
        write(path, f"k2 {base64.b64encode(b'2' * 32).decode()}\n{path.read_text()}")
        seen: set[str] = set()
        while seen != {"k1", "k2"}:
            answer = await client.ask(post(b"x"))
            token = answer.fields[b"x-understudy-exposure"].decode()
            assert verify(token, [Key("k1", SECRET), Key("k2", b"2" * 32)])
            seen.add(token.split(".")[1])
