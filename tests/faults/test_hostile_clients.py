"""F13, F14, F15, F44, F48 with the figures that are promised, against a real worker."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import frames
from router.body import MAX_CHUNK_LINE_BYTES, MAX_TRAILER_BYTES
from router.choose import choose
from router.message import MAX_HEAD_BYTES
from router.table import Match, Mirror, Route, RoutingTable, Split
from tests.pace import cpu_slowness
from tests.router.kit import Client, Model, Turn, answers, get, ok, post, until, variant
from tests.router.running import Worker, worker

CPU_S = 0.05
"""For one hostile connection, all of it: the promise, on the reference machine (tests/pace.py)."""
TIMES_A_NORMAL_ONE = 10
"""A request at its limits may cost so many times what one of the same size costs."""
HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
N_DISTINCT = 100_000
MAX_SERIES = 500


def table_of(*models: Model, **route: object) -> RoutingTable:
    made = tuple(variant(model.name, model.port, response_timeout_s=30.0) for model in models)
    values: dict[str, object] = {"split": Split(champion=models[0].name)}
    one = Route(name="r", match=Match(path="*"), variants=made, **values | route)  # type: ignore[arg-type] # checked by msgspec
    return RoutingTable(version=1, routes=(one,))


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model("m", answers(b"ok"))
    await model.start()
    yield model
    await model.close()


def cpu_s(one: Worker) -> float:
    """Return the processor time that the worker has used, seconds."""
    fields = Path(f"/proc/{one.running.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def warm_up(one: Worker) -> None:
    """Have the worker serve one request: what its start costs is nobody's attack."""
    client = await one.client()
    assert (await client.ask(get())).status == 200
    client.close()


# F14: without end.

ENDLESS: dict[str, tuple[bytes, bytes, int]] = {
    "target": (b"GET /", b"a", MAX_HEAD_BYTES),
    "value": (HEAD + b"X: ", b"v", MAX_HEAD_BYTES),
    "name": (HEAD, b"X", MAX_HEAD_BYTES),
    "fields": (HEAD, b"X: y\r\n", MAX_HEAD_BYTES),
    "chunk extension": (CHUNKED + b"5;", b"a", MAX_CHUNK_LINE_BYTES),
    "chunk size": (CHUNKED, b"0", MAX_CHUNK_LINE_BYTES),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n", MAX_TRAILER_BYTES),
    "trailer value": (CHUNKED + b"0\r\nX: ", b"v", MAX_TRAILER_BYTES),
}


async def refused_after(client: Client, begin: bytes, unit: bytes, step: int) -> tuple[int, bytes]:
    """Send ``unit`` without end, ``step`` bytes at a time; return (bytes sent, what came)."""
    reading = asyncio.ensure_future(client.reader.read(4096))  # noqa: TID251 - polled below
    client.writer.write(begin)
    sent = 0
    piece = (unit * (step // len(unit) + 1))[:step]
    while not reading.done() and sent < 2**20:
        client.writer.write(piece)
        sent += len(piece)
        await asyncio.wait([reading], timeout=0.02)
    return sent, await asyncio.wait_for(reading, 5)


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_never_ends_is_refused_before_twice_its_limit(model: Model, kind: str) -> None:
    begin, unit, limit = ENDLESS[kind]
    async with worker(table_of(model)) as one:
        client = await one.client()
        assert (await client.ask(get())).status == 200
        sent, came = await refused_after(client, begin, unit, max(len(unit), limit // 8))
        assert came[9:12] in (b"400", b"414", b"431"), came[:60]
        assert sent <= 2 * limit
        assert len(model.requests) == 1  # never a whole one besides the first
        client.reset()


@pytest.mark.parametrize("step", [64, 1024, 65_536])
async def test_hostile_connection_costs_little_cpu(model: Model, step: int) -> None:
    """However it is cut; httptools alone takes 22.9 s for a value of 32 MiB."""
    n = 8
    async with worker(table_of(model)) as one:
        await warm_up(one)
        for kind, (begin, unit, limit) in ENDLESS.items():
            raw = begin + unit * (4 * limit // len(unit))
            before_s = cpu_s(one)
            for _ in range(n):
                client = await one.client()
                with contextlib.suppress(ConnectionError):
                    for at in range(0, len(raw), step):
                        await client.send(raw[at : at + step])
                    await client.ended()
                client.reset()
            used_s = (cpu_s(one) - before_s) / n
            told = f"{kind} in pieces of {step}: {used_s * 1000:.0f} ms"
            assert used_s <= CPU_S * cpu_slowness(), told


@pytest.mark.parametrize(
    "raw",
    [
        CHUNKED + b"1\r\nx\r\n" * 4000 + b"0\r\n\r\n",
        CHUNKED + b'1;a="b";c\r\nx\r\n' * 1500 + b"0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 1300 + b"\r\n",
        HEAD + b"X: y\r\n" * 126 + b"\r\n",
        HEAD + b"X: " + b"v," * 15_000 + b"\r\n\r\n",
        HEAD + b"Connection: " + b"a, " * 9000 + b"b\r\n\r\n",
        get() * 1000,
    ],
    ids=["tiny chunks", "extensions", "trailers", "fields", "list", "nominations", "pipelined"],
)
async def test_costly_but_valid_connection_costs_little_cpu(model: Model, raw: bytes) -> None:
    """What may be sent, at its limits: a request costs 50 ms at most, and a thousand 1 ms each."""
    async with worker(table_of(model)) as one:
        await warm_up(one)
        used_s = await cost_s(one, raw, 4)
        n_requests = raw.count(b" HTTP/1.1\r\n")
        allowed_s = max(CPU_S, 0.001 * n_requests) * cpu_slowness()
        assert used_s <= allowed_s, f"{used_s * 1000:.0f} ms"


async def cost_s(one: Worker, raw: bytes, n: int) -> float:
    """Return what a connection costs that sends ``raw`` and reads the answers: of ``n``, each."""
    before_s = cpu_s(one)
    for _ in range(n):
        client = await one.client()
        client.writer.write(raw)
        for _ in range(raw.count(b" HTTP/1.1\r\n")):
            assert (await client.answer()).status == 200
        client.reset()
    return (cpu_s(one) - before_s) / n


async def test_request_that_nominates_thousands_costs_little_more_than_its_size(
    model: Model,
) -> None:
    """Beside another head of 27 kB, on the same worker."""
    async with worker(table_of(model)) as one:
        await warm_up(one)
        nominations = HEAD + b"Connection: " + b"a, " * 9000 + b"b\r\n\r\n"
        normal = HEAD + b"X: " + b"v" * 27_001 + b"\r\n\r\n"
        normal_s = await cost_s(one, normal, 100)
        assert await cost_s(one, nominations, 100) <= TIMES_A_NORMAL_ONE * normal_s


# F13: without measure.


async def test_declared_size_allocates_nothing(model: Model) -> None:
    """A terabyte by length is refused unread; a chunk of half a terabyte and a byte is a byte."""
    async with worker(table_of(model)) as one:
        assert (await (await one.client()).ask(get())).status == 200
        before_mb = one.rss_mb
        for _ in range(50):
            client = await one.client()
            assert (await client.ask(HEAD + b"Content-Length: 1000000000000\r\n\r\n")).status == 413
        waiting = [await one.client() for _ in range(50)]
        for client in waiting:
            await client.send(CHUNKED + b"7fffffffff\r\nx")
        await until(lambda: one.n_descriptors > 60)
        assert one.rss_mb - before_mb < 10
        assert len(model.requests) == 1
        for client in waiting:
            client.reset()


# F15: 100-continue.

EXPECT = HEAD + b"Expect: 100-Continue\r\n"


async def test_client_that_waits_for_100_gets_it_before_it_sends(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        for body, head in (
            (b"hello", EXPECT + b"Content-Length: 5\r\n\r\n"),
            (b"5\r\nhello\r\n0\r\n\r\n", EXPECT + b"Transfer-Encoding: chunked\r\n\r\n"),
        ):
            await client.send(head)
            assert (await client.head()).status == 100
            assert (await client.ask(body)).body == b"ok"
        assert [one.body for one in model.requests] == [b"hello", b"hello"]
        assert all(b"expect" not in one.fields for one in model.requests)


async def test_client_that_does_not_wait_is_served_too(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        head = EXPECT + b"Content-Length: 5\r\n\r\n"
        await client.send((head + b"hello") * 3)
        for _ in range(3):
            assert (await client.answer()).body == b"ok"


async def test_client_of_http_10_never_gets_an_interim_answer(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        await client.send(EXPECT.replace(b"1.1", b"1.0") + b"Content-Length: 5\r\n\r\n")
        await asyncio.sleep(0.05)
        await client.send(b"hello")
        assert (await client.ended()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD + b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\n", b"417"),
        (EXPECT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (EXPECT + b"Content-Length: 5\r\nExpect: x\r\n\r\n", b"200"),
    ],
)
async def test_final_answer_comes_instead_of_100_where_no_body_is_wanted(
    model: Model, head: bytes, status: bytes
) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        await client.send(head)
        if status == b"200":  # the first of two lines counts, and it can be met
            assert (await client.head()).status == 100
            await client.send(b"hello")
        assert (await client.reader.read(12))[9:12] == status


# F44: names without number.


class Fast(asyncio.Protocol):
    """A model that answers each request with the next of a few statuses, and reads no further."""

    STATUSES = (200, 200, 404, 503, 302, 999, 599, 201)

    def __init__(self) -> None:
        self.n = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.n += 1
        status = self.STATUSES[self.n % len(self.STATUSES)]
        answer = b"HTTP/1.1 %d S%d\r\nContent-Length: 0\r\n\r\n" % (status, self.n % 7)
        self.transport.write(answer)  # type: ignore[attr-defined] # a transport that writes


METHODS = (b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"PURGE", b"REPORT", b"LOCK")


def distinct(n: int) -> bytes:
    """Return a request that names nothing that another one named."""
    return (
        b"%b /p%d?q=%d HTTP/1.1\r\nHost: h%d.example\r\nX-Request-Id: r%d\r\nUser-Agent: u%d\r\n"
        b"X-Understudy-Variant: v%d\r\nX-N%d: 1\r\n\r\n"
    ) % (METHODS[n % len(METHODS)], n, n, n, n, n, n, n)


async def ask_distinct(one: Worker, first: int, last: int) -> None:
    client = await one.client()
    for start in range(first, last, 500):
        batch = range(start, min(start + 500, last))
        client.writer.write(b"".join(map(distinct, batch)))
        for _ in batch:
            await client.head()
    client.close()


def series(one: Worker) -> set[str]:
    """Return the names of what the worker counted, as it said last."""
    return set(one.controller.of(frames.Counters)[-1].values)


async def counted(one: Worker, n: int) -> set[str]:
    """Wait until the worker has told of ``n`` requests; return the names of its counts."""

    def total() -> float:
        said = one.controller.of(frames.Counters)
        values = said[-1].values if said else {}
        return sum(v for k, v in values.items() if k.startswith("understudy_requests_total|"))

    await until(lambda: total() >= n, within_s=30)
    return series(one)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_hundred_thousand_names_make_no_new_series() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Fast, "127.0.0.1", 0)
    model, other = Model("m", None), Model("n", None)
    model.port = other.port = server.sockets[0].getsockname()[1]
    route = {"mirror": Mirror(variant="n", buckets=2000), "experiment": "e", "salt": b"s"}
    async with worker(table_of(model, other, eject_after=1000, **route)) as one:
        await one.controller.start()
        await ask_distinct(one, 0, 2000)
        client = await one.client()
        assert (await client.ask(b"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n")).status == 400
        before = await counted(one, 2000)
        rss_mb = one.rss_mb
        step = N_DISTINCT // 8
        await asyncio.gather(
            *(ask_distinct(one, 2000 + k * step, 2000 + (k + 1) * step) for k in range(8))
        )
        for n in range(200):
            client = await one.client()
            raw = b"NONSENSE%d / HTTP/1.1\r\nHost: a\r\n\r\n" % n
            assert (await client.ask(raw)).status == 400
            client.close()
        after = await counted(one, N_DISTINCT + 2000)
        assert after == before
        assert len(after) <= MAX_SERIES
        assert one.rss_mb - rss_mb < 30  # what is remembered about names is bounded too
    server.close()


# F48: the client picks its variant.

TRICKS: dict[str, bytes] = {
    "our field": get(b"/x", b"x-understudy-variant: b"),
    "our field, other case": get(b"/x", b"X-UNDERSTUDY-VARIANT: b"),
    "our field with underscores": get(b"/x", b"X_Understudy_Variant: b"),
    "the mark of a copy": get(b"/x", b"x-understudy-mirror: 1"),
    "every name of ours": get(
        b"/x", b"x-understudy-route: r", b"x-understudy-bucket: 0", b"x-understudy-unit: z"
    ),
    "a nominated unit": get(b"/x", b"Connection: x-user"),
    "a nominated field of ours": get(b"/x", b"Connection: x-understudy-variant"),
    "a query": get(b"/x?variant=b&x-understudy-variant=b"),
    "a cookie": get(b"/x", b"Cookie: x-understudy-variant=b; variant=b"),
    "another unit, later": get(b"/x", b"X-USER: somebody-else"),
    "another unit with underscore": get(b"/x", b"x_user: somebody-else"),
    "a request id": get(b"/x", b"X-Request-Id: 00000000000000000000000000000000"),
    "a trace": get(b"/x", b"traceparent: 00-" + b"0" * 31 + b"1-" + b"0" * 15 + b"1-01"),
    "forwarding fields": get(
        b"/x", b"X-Forwarded-For: 1.1.1.1", b"X-Original-URL: /b", b"X-Rewrite-URL: /b",
        b"X-HTTP-Method-Override: PUT", b"Forwarded: for=b",
    ),
    "an absolute target": get(b"/x").replace(b" /x ", b" http://a/x "),
    "a host in other letters": get(b"/x").replace(b"Host: a", b"HOST: A:80"),
    "HTTP/1.0": get(b"/x").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a trailer": (
        CHUNKED + b"0\r\nX-User: somebody-else\r\nX-Understudy-Variant: b\r\n\r\n"
    ),
    "a chunk extension": CHUNKED + b"5;x-understudy-variant=b\r\nhello\r\n0\r\n\r\n",
    "a body": post(b'{"variant": "b", "x-user": "somebody-else"}'),
    "an upgrade": get(b"/x", b"Connection: Upgrade", b"Upgrade: x-understudy"),
    "an expectation": post(b"hello", b"Expect: 100-continue"),
}  # fmt: skip


async def test_no_trick_of_a_client_changes_its_assignment() -> None:
    """0 of 22 tricks, for 24 units each; the assignment is what anybody with the salt computes."""

    async def says_who(turn: Turn) -> None:
        await turn.send(ok(turn.model.name.encode()))

    models = [Model("a", says_who), Model("b", says_who)]
    for model in models:
        await model.start()
    split = Split(champion="a", challenger="b", challenger_buckets=5000)
    table = table_of(*models, split=split, experiment="e", salt=b"secret", unit_header="x-user")
    (route,) = table.routes
    units = [b"u%d" % n for n in range(24)]
    assigned = {unit: choose(route, unit).serve.encode() for unit in units}
    assert set(assigned.values()) == {b"a", b"b"}
    try:
        async with worker(table) as one:
            wrong = []
            for trick, raw in TRICKS.items():
                line, _, rest = raw.partition(b"\r\n")
                for unit in units:
                    client = await one.client()
                    with_unit = line + b"\r\nx-user: " + unit + b"\r\n" + rest
                    if (await client.ask(with_unit)).body != assigned[unit]:
                        wrong.append((trick, unit))
                    client.close()
            assert wrong == []
        crossed = {
            name
            for model in models
            for request in model.requests
            for name in request.fields
            if b"understudy" in name
        }
        assert crossed == set()
    finally:
        for model in models:
            await model.close()
