"""The project's corpus against a real worker: hostile clients, and hostile models in every role.

The unit tests read the same lines through the parser; here they cross real sockets, and the
models on the other side are strict readers that note every byte they get.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from router.observation import Exposure, MirroredPair
from router.table import Match, Route, RoutingTable
from tests.router.cases import ANSWERS, REQUESTS, AnswerCase, RequestCase
from tests.router.kit import Client, Message, Model, Turn, ok, read_chunks, sharing, until, variant
from tests.router.running import Worker, worker

_HEAD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
TIMEOUT_S = 4.0
"""No case needs it: each ends by itself. A busy machine must not make a good answer late."""


# Requests.


@dataclass
class Arrived:
    """One whole request at the strict model."""

    method: str
    target: bytes
    fields: list[tuple[str, bytes]]
    body: bytes


@dataclass
class Strict:
    """A model that reads as RFC 9112 says, to the letter, and notes what is not to the letter."""

    whole: list[Arrived] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    n_bytes: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                self.n_bytes += len(raw)
                if not await self._serve_one(raw, reader, writer):
                    break
        except asyncio.IncompleteReadError as error:
            self.n_bytes += len(error.partial)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _serve_one(
        self, raw: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        match = _HEAD.fullmatch(raw)
        if match is None:
            self.violations.append(f"head {raw[:80]!r}")
            return False
        lines = [one.split(b":", 1) for one in match[3].split(b"\r\n")[:-1]]
        fields = [(name.decode().lower(), value.strip(b" \t")) for name, value in lines]
        named: dict[str, list[bytes]] = {}
        for name, value in fields:
            named.setdefault(name, []).append(value)
        lengths, codings = named.get("content-length", []), named.get("transfer-encoding", [])
        if len(named.get("host", [])) != 1 or len(lengths) + len(codings) > 1 or "expect" in named:
            self.violations.append(f"framing {raw[:200]!r}")
            return False
        if codings:
            body = b"".join(await read_chunks(reader))
        else:
            body = await reader.readexactly(int(lengths[0]) if lengths else 0)
        self.whole.append(Arrived(match[1].decode(), match[2], fields, body))
        writer.write(ok(b"" if match[1] == b"HEAD" else b"served"))
        return True


@contextlib.asynccontextmanager
async def strict_worker() -> AsyncIterator[tuple[Worker, Strict]]:
    strict = Strict()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await strict.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = (variant("champion", port), variant("challenger", port))
    # The challenger gets copies too, so a rejected request could slip out by either way.
    route = Route(name="r", match=Match(path="*"), variants=made, **sharing("plain", 0))
    try:
        async with worker(RoutingTable(version=1, routes=(route,))) as one:
            yield one, strict
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()


async def until_end(client: Client) -> bytes:
    """Half-close and read what the router still says; however it ends."""
    came = b""
    with contextlib.suppress(ConnectionError):
        client.writer.write_eof()
    with contextlib.suppress(ConnectionError):
        while piece := await asyncio.wait_for(client.reader.read(65536), 5):
            came += piece
    client.close()
    return came


async def judge_request(case: RequestCase, one: Worker, strict: Strict) -> list[str]:
    """Return what is wrong with how ``case`` was treated."""
    strict.whole.clear()
    strict.violations.clear()
    strict.n_bytes = 0
    client = await one.client()
    with contextlib.suppress(ConnectionError):
        await client.send(case.raw)
        if case.expect == "reject":  # it must be refused without our saying that we are done
            await asyncio.wait_for(client.reader.read(1), 5)
    raw = await until_end(client)
    one.clients.clear()
    wrong = [*strict.violations]
    if any(arrived.target.startswith(b"/smuggled") for arrived in strict.whole):
        wrong.append("smuggled")
    if case.expect != "accept":
        if strict.whole:
            wrong.append(f"a whole request arrived: {strict.whole}")
        if case.expect == "reject" and case.stage == "head" and strict.n_bytes:
            wrong.append(f"{strict.n_bytes} bytes of it arrived")
        # The first letter was read while waiting for the refusal.
        if case.expect == "reject" and f"TTP/1.1 {case.status} ".encode() not in raw:
            wrong.append(f"answer {raw[:60]!r}, wanted {case.status}")
        if b" 200 OK\r\n" in raw:
            wrong.append("answered as if it were good")
        return wrong
    await asyncio.sleep(0)
    expected = [(case.method, case.target, case.body)]
    expected += [("GET", b"/next", b"")] if case.rest else []
    found = [(arrived.method, arrived.target, arrived.body) for arrived in strict.whole]
    if found != expected:
        return [*wrong, f"arrived {found!r:.200}, wanted {expected!r:.200}; answer {raw[:80]!r}"]
    if raw.count(b"HTTP/1.1 200 OK") != len(expected):
        wrong.append(f"answer {raw[:80]!r}")
    names = {name for name, _ in strict.whole[0].fields}
    wrong += [f"{name} did not cross" for name in case.crosses if name not in names]
    wrong += [f"{name} crossed" for name in case.drops if name in names]
    return wrong


async def test_every_request_of_the_corpus_is_taken_or_refused_as_it_says() -> None:
    async with strict_worker() as (one, strict):
        failures = {}
        for case in REQUESTS:
            wrong = await judge_request(case, one, strict)
            if wrong:
                failures[case.id] = wrong
        assert failures == {}
        assert len(REQUESTS) > 600


# Answers.

CASES = {case.id: case for case in ANSWERS}


def target_of(case: AnswerCase) -> bytes:
    return b"/case/" + case.id.encode()


class Hostile:
    """A model that answers ``/case/ID`` with that case's bytes, and anything else cleanly."""

    def __init__(self) -> None:
        self.poisoned: list[str] = []
        """Cases after which a connection was used that may not be."""
        self.n_hostile = 0

    async def __call__(self, turn: Turn) -> None:
        line = turn.line
        before: str = getattr(line, "case", "")
        if before and not CASES[before].reusable:
            self.poisoned.append(before)
        target = turn.request.line.split(b" ")[1]
        if not target.startswith(b"/case/"):
            await turn.send(ok(b"clean " + target))
            return
        case = CASES[target.removeprefix(b"/case/").decode()]
        self.n_hostile += 1
        line.case = case.id  # type: ignore[attr-defined] # a note for ourselves
        await turn.send(case.raw)
        if case.closes:
            turn.close()


async def cleanly(turn: Turn) -> None:
    """The good model: it says which request it answers."""
    is_head = turn.request.line.startswith(b"HEAD")
    target = turn.request.line.split(b" ")[1]
    whole = ok(b"good " + target)
    await turn.send(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_head else whole)


@contextlib.asynccontextmanager
async def hostile_worker(mode: str, champion: Any, challenger: Any) -> AsyncIterator[Worker]:
    models = {
        "champion": Model("champion", champion),
        "challenger": Model("challenger", challenger),
    }
    for model in models.values():
        await model.start()
    made = tuple(
        variant(name, model.port, response_timeout_s=TIMEOUT_S) for name, model in models.items()
    )
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=made,
        eject_after=10**6,
        **sharing(mode, 10_000),
    )
    try:
        async with worker(RoutingTable(version=1, routes=(route,))) as one:
            await one.controller.start()
            yield one
    finally:
        for model in models.values():
            await model.close()


async def ask(one: Worker, case: AnswerCase) -> tuple[Message | None, Message]:
    """Ask for the case and then for something clean; None stands for a visibly broken answer."""
    client = await one.client()
    method = case.method.encode()
    answer: Message | None
    try:
        await client.send(method + b" " + target_of(case) + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await client.answer(is_to_head=method == b"HEAD")
    except (asyncio.IncompleteReadError, ConnectionError):
        answer = None
    client.close()
    client = await one.client()
    after = await client.ask(b"GET /after/%b HTTP/1.1\r\nHost: a\r\n\r\n" % case.id.encode())
    client.close()
    return answer, after


async def ask_all(one: Worker) -> dict[str, tuple[Message | None, Message]]:
    """Ask for every case, a dozen at a time."""
    found = {}
    room = asyncio.Semaphore(12)

    async def ask_one(case: AnswerCase) -> None:
        async with room:
            found[case.id] = await ask(one, case)

    await asyncio.gather(*(ask_one(case) for case in ANSWERS))
    return found


def judge_answer(case: AnswerCase, answer: Message | None) -> list[str]:
    """Return what is wrong with what the client got, with the hostile model as who serves it."""
    if case.expect == "accept":
        if answer is None:
            return ["broken off"]
        wrong = []
        if (answer.status, answer.body) != (case.status, case.body):
            wrong.append(f"got {answer.status} {answer.body[:60]!r}")
        wrong += [f"{name} lost" for name in case.crosses if name.encode() not in answer.fields]
        wrong += [f"{name} crossed" for name in case.drops if name.encode() in answer.fields]
        whole = answer.line + b"".join(k + v for k, v in answer.fields.items()) + answer.body
        wrong += [f"{text!r} crossed" for text in case.forbidden if text.encode() in whole]
        return wrong
    if answer is None:
        return ["broken off before its beginning was good"] if is_head_bad(case) else []
    return [] if answer.status in (502, 504) else [f"looks whole: {answer.status}"]


def is_head_bad(case: AnswerCase) -> bool:
    return case.expect == "reject" and case.stage == "head"


async def test_hostile_champion_is_passed_on_whole_or_not_as_whole() -> None:
    hostile = Hostile()
    async with hostile_worker("plain", hostile, cleanly) as one:
        found = await ask_all(one)
    failures = {}
    for case in ANSWERS:
        answer, after = found[case.id]
        wrong = judge_answer(case, answer)
        if after.body != b"clean /after/" + case.id.encode():
            wrong.append(f"the next answer was {after.body[:60]!r}")
        if wrong:
            failures[case.id] = wrong
    assert failures == {}
    assert hostile.poisoned == []
    assert hostile.n_hostile == len(ANSWERS) > 250  # none was asked for twice


async def test_hostile_challenger_in_the_mirror_changes_nothing_for_the_client() -> None:
    """F4: the champion's bytes, every one, and a pair for every copy."""
    hostile = Hostile()
    async with hostile_worker("mirror", cleanly, hostile) as one:
        found = await ask_all(one)
        await until(lambda: len(one.controller.pairs) == 2 * len(ANSWERS), within_s=10.0)
        pairs = one.controller.pairs
    for case in ANSWERS:
        answer, after = found[case.id]
        assert answer is not None, case.id
        assert answer.status == 200
        assert answer.body == (b"" if case.method == "HEAD" else b"good " + target_of(case))
        assert after.body == b"good /after/" + case.id.encode()
    assert hostile.poisoned == []
    assert hostile.n_hostile == len(ANSWERS)
    assert all(is_accounted_for(pair) for pair in pairs)


def is_accounted_for(pair: MirroredPair) -> bool:
    return pair.champion.fault == "" and pair.challenger is not None and pair.loss == ""


async def test_hostile_challenger_in_the_split_is_replaced_before_its_first_byte() -> None:
    hostile = Hostile()
    async with hostile_worker("split", cleanly, hostile) as one:
        found = await ask_all(one)
        await until(lambda: len(one.controller.exposures) == 2 * len(ANSWERS), within_s=10.0)
        exposures = one.controller.exposures
    failures = {}
    for case in ANSWERS:
        answer, after = found[case.id]
        wrong = judge_split(case, answer)
        if after.body != b"clean /after/" + case.id.encode():
            wrong.append(f"the next answer was {after.body[:60]!r}")
        if wrong:
            failures[case.id] = wrong
    assert failures == {}
    assert hostile.poisoned == []
    assert hostile.n_hostile == len(ANSWERS)
    assert all(one.is_challenger and is_told(one) for one in exposures)


def judge_split(case: AnswerCase, answer: Message | None) -> list[str]:
    """The champion's answer, or the challenger's whole one, or visibly half of it: never 502."""
    if case.expect == "accept" and case.status < 500:
        return judge_answer(case, answer)
    good = b"" if case.method == "HEAD" else b"good " + target_of(case)
    if answer is not None and (answer.status, answer.body) == (200, good):
        return []
    if is_head_bad(case) or case.expect == "accept":
        return [f"the champion's answer is missing: {answer!r:.100}"]
    return [] if answer is None else [f"looks whole: {answer.status}"]


def is_told(exposure: Exposure) -> bool:
    """Whoever failed before the first byte was replaced, and both are on record."""
    outcome = exposure.outcome
    if outcome.fault and (outcome.status == 0 or outcome.status >= 500):
        return exposure.fallback is not None and exposure.fallback.fault == ""
    return exposure.fallback is None


@pytest.mark.parametrize("kind", ["accept", "reject", "incomplete"])
def test_corpus_holds_every_kind(kind: str) -> None:
    """A judge that never sees a kind cannot fail on it."""
    assert any(case.expect == kind for case in REQUESTS)
    assert any(case.expect == kind for case in ANSWERS)
