"""A variant's connections: which is used, which is opened, who waits, what is left."""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator

import pytest

from router.call import Call
from router.deadline import Deadlines
from router.message import AnswerHead
from router.pool import Pool, Room
from tests.router.kit import Model, Script, dial_of, echoes, hangs, until, variant, waits

REQUEST = b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n"


class Recorder:
    """A caller that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.call: Call | None = None

    def on_answer_head(self, call: Call, payload: bytes, is_last: bool) -> None:
        self.told.append(f"head {payload.decode()}" + " end" * is_last)

    def on_answer_payload(self, call: Call, payload: bytes, is_last: bool) -> None:
        self.told.append(f"payload {payload.decode()}" + " end" * is_last)

    def on_call_failed(self, call: Call, is_stale: bool) -> None:
        self.told.append(f"failed {call.fault}" + " stale" * is_stale)

    def on_switch(self, call: Call, raw: bytes, head: AnswerHead, rest: bytes) -> bool:
        self.told.append(f"switch {rest.decode()}")
        return False

    def on_request_full(self) -> None:
        self.told.append("full")

    def on_request_room(self) -> None:
        self.told.append("room")


class Bench:
    """A pool before one model."""

    def __init__(self, model: Model, **settings: object) -> None:
        self.model = model
        self.now_s = time.monotonic()
        self.deadlines = Deadlines(1.0)
        self.room = Room(1000)
        settings = {"port": model.port} | settings
        self.pool = Pool(
            dial_of(variant("m", **settings)),  # type: ignore[arg-type] # a port among them
            self.deadlines,
            lambda: self.now_s,
            self.room,
        )

    def submit(self, n: int = 0, *, fresh: bool = False) -> Recorder:
        caller = Recorder()
        caller.call = Call(self.pool, b"GET", REQUEST % n, caller, 100)
        self.pool.submit(caller.call, fresh=fresh)
        return caller

    async def ended(self, *callers: Recorder) -> None:
        await until(lambda: all(one.call is not None and one.call.is_over for one in callers))

    @property
    def says(self) -> str:
        return repr(self.pool).removeprefix("<Pool m [").removesuffix("]>")


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model("m", echoes)
    await model.start()
    yield model
    await model.close()


async def bench_of(model: Model, script: Script, **settings: object) -> Bench:
    model.script = script
    return Bench(model, **settings)


async def test_call_is_told_its_answer_once(model: Model) -> None:
    bench = await bench_of(model, echoes)
    caller = bench.submit(7)
    assert bench.says == "1 open, 0 idle, 0 waiting"
    await bench.ended(caller)
    assert caller.told == ["head /7  end"]
    assert bench.says == "1 open, 1 idle, 0 waiting"
    assert len(bench.deadlines) == 0
    bench.pool.close()


async def test_latest_idle_connection_is_used_first(model: Model) -> None:
    bench = await bench_of(model, waits(0.02, echoes))
    await bench.ended(bench.submit(), bench.submit(), bench.submit())
    assert bench.says == "3 open, 3 idle, 0 waiting"
    latest = bench.pool._idle[-1]
    caller = bench.submit()
    assert latest.call is caller.call
    await bench.ended(caller)
    bench.pool.close()
    await until(lambda: bench.says == "0 open, 0 idle, 0 waiting")


async def test_fresh_call_gets_a_connection_of_its_own(model: Model) -> None:
    bench = await bench_of(model, echoes)
    await bench.ended(bench.submit())
    await bench.ended(bench.submit(fresh=True))
    assert model.n_connections == 2
    bench.pool.close()


async def test_calls_over_the_limit_wait_in_order(model: Model) -> None:
    bench = await bench_of(model, waits(0.01, echoes), max_connections=2)
    callers = [bench.submit(n) for n in range(6)]
    assert bench.says == "2 open, 0 idle, 4 waiting"
    await bench.ended(*callers)
    assert model.n_connections == 2
    targets = [one.line.split()[1] for one in model.requests]
    assert sorted(targets[2:4]) == [b"/2", b"/3"]
    bench.pool.close()


async def test_call_over_the_pending_limit_fails_at_once(model: Model) -> None:
    bench = await bench_of(model, hangs, max_connections=1, max_pending=1)
    carried, waiting, refused = (bench.submit() for _ in range(3))
    assert refused.told == ["failed overload"]
    for one in (carried, waiting):
        assert one.call is not None
        one.call.drop()
    bench.pool.close()
    await until(lambda: bench.says.startswith("0 open"))


async def test_waiting_call_that_was_dropped_is_skipped(model: Model) -> None:
    bench = await bench_of(model, waits(0.02, echoes), max_connections=1)
    first, dropped, last = (bench.submit(n) for n in range(3))
    assert dropped.call is not None
    dropped.call.drop()
    await bench.ended(first, last)
    assert [one.line.split()[1] for one in model.requests] == [b"/0", b"/2"]
    assert bench.says == "1 open, 1 idle, 0 waiting"
    bench.pool.close()


async def test_broken_connection_gives_its_place_to_the_next_in_line(model: Model) -> None:
    bench = await bench_of(model, hangs, max_connections=1)
    first, second = bench.submit(1), bench.submit(2)
    await until(lambda: model.requests)
    model.script = echoes
    assert first.call is not None
    first.call.drop()
    await bench.ended(second)
    assert second.told == ["head /2  end"]
    bench.pool.close()


async def test_refused_connection_fails_the_call_and_lets_the_next_try(model: Model) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        bench = Bench(model, port=nobody.getsockname()[1], max_connections=1)
        callers = [bench.submit() for _ in range(3)]
        await bench.ended(*callers)
    assert [one.told for one in callers] == [["failed connect"]] * 3
    assert bench.says == "0 open, 0 idle, 0 waiting"


async def test_connection_that_is_never_accepted_fails_within_the_connect_timeout(
    model: Model,
) -> None:
    """F11: a full backlog swallows SYNs."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        plugs = []
        for _ in range(4):
            plug = socket.socket()
            plug.setblocking(False)
            plug.connect_ex(("127.0.0.1", port))
            plugs.append(plug)
        await asyncio.sleep(0.05)
        bench = Bench(model, port=port, connect_timeout_s=0.1)
        began = time.monotonic()
        caller = bench.submit()
        await bench.ended(caller)
        assert time.monotonic() - began < 4.0
        for plug in plugs:
            plug.close()
    assert caller.told == ["failed connect"]
    assert bench.says == "0 open, 0 idle, 0 waiting"


async def test_idle_connections_are_closed_after_their_time(model: Model) -> None:
    bench = await bench_of(model, echoes, keepalive_s=4.0)
    await bench.ended(bench.submit())
    bench.pool.close_idle(bench.now_s + 3.9)
    assert bench.says == "1 open, 1 idle, 0 waiting"
    bench.pool.close_idle(bench.now_s + 4.0)
    await until(lambda: bench.says == "0 open, 0 idle, 0 waiting")


async def test_connection_that_the_variant_closed_while_idle_is_not_used(model: Model) -> None:
    bench = await bench_of(model, echoes)
    await bench.ended(bench.submit())
    await model.close()
    await until(lambda: bench.pool.n_open == 0)
    await model.start(model.port)
    caller = bench.submit()
    await bench.ended(caller)
    assert caller.told == ["head /0  end"]
    bench.pool.close()


async def test_connection_that_is_idle_too_long_is_not_used_even_before_the_sweep(
    model: Model,
) -> None:
    bench = await bench_of(model, echoes, keepalive_s=4.0)
    for n in (1, 2):
        await bench.ended(bench.submit())
        assert model.n_connections == n
        bench.now_s += 4.1
    bench.pool.close()


async def test_fresh_call_at_the_limit_takes_the_place_of_an_idle_connection(model: Model) -> None:
    bench = await bench_of(model, echoes, max_connections=1)
    for n in (1, 2):
        caller = bench.submit(fresh=True)
        await bench.ended(caller)
        assert caller.told == ["head /0  end"]
        assert model.n_connections == n
    bench.pool.close()


async def test_calls_without_room_for_a_connection_wait_for_one_of_the_pools_own(
    model: Model,
) -> None:
    bench = await bench_of(model, waits(0.02, echoes))
    bench.room.n_free = 2
    callers = [bench.submit(n) for n in range(5)]
    assert bench.says == "2 open, 0 idle, 3 waiting"
    await bench.ended(*callers)
    assert [one.told for one in callers] == [[f"head /{n}  end"] for n in range(5)]
    bench.pool.close()
    await until(lambda: bench.room.n_free == 2)


async def test_call_without_room_in_a_pool_without_connections_fails_at_once(model: Model) -> None:
    bench = await bench_of(model, echoes)
    bench.room.n_free = 0
    assert bench.submit().told == ["failed overload"]


async def test_calls_without_a_descriptor_wait_or_fail_and_never_spin(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await bench_of(model, waits(0.05, echoes))
    first = bench.submit(0)
    await until(lambda: model.requests or model.n_connections)
    n_tries = 0

    async def no_descriptor(*_: object, **__: object) -> None:
        nonlocal n_tries
        n_tries += 1
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(
        bench.pool._dial,
        "_loop",
        type(
            "Loop", (), {"create_connection": staticmethod(no_descriptor), "time": time.monotonic}
        )(),
    )
    others = [bench.submit(n) for n in (1, 2, 3)]
    await bench.ended(first, *others)
    assert [one.told for one in others] == [[f"head /{n}  end"] for n in (1, 2, 3)]
    assert n_tries == 3
    bench.pool.close()
    await until(lambda: bench.pool.n_open == 0)
    alone = bench.submit()
    await bench.ended(alone)
    assert alone.told == ["failed overload"]
    assert bench.room.n_free == 1000


async def test_closed_pool_finishes_what_it_was_given_and_keeps_nothing(model: Model) -> None:
    """Requests of an old table: under way, waiting, and asked after the table has gone."""
    bench = await bench_of(model, waits(0.02, echoes), max_connections=1)
    callers = [bench.submit(n) for n in range(3)]
    await until(lambda: model.requests)
    bench.pool.close()
    callers += [bench.submit(3)]
    await bench.ended(*callers)
    assert [one.told for one in callers] == [[f"head /{n}  end"] for n in range(4)]
    await until(lambda: bench.says == "0 open, 0 idle, 0 waiting")


async def test_connections_to_an_address_that_is_gone_are_left(model: Model) -> None:
    """Idle ones at once, busy ones after their call; those that lead elsewhere stay."""
    bench = await bench_of(model, waits(0.05, echoes))
    await bench.ended(bench.submit(), bench.submit())
    busy = bench.submit(7)
    bench.pool._keep_only(frozenset({"127.0.0.1"}))
    assert bench.says == "2 open, 1 idle, 0 waiting"
    bench.pool._keep_only(frozenset({"127.0.0.2"}))
    await until(lambda: bench.says.startswith("1 open"))
    await bench.ended(busy)
    assert busy.told == ["head /7  end"]
    await until(lambda: bench.pool.n_open == 0)


# Cancellation: dropped or cancelled at each point of a connection's life, nothing is left.


@pytest.mark.parametrize("steps", range(12))
async def test_call_dropped_at_any_moment_leaves_the_pool_clean(model: Model, steps: int) -> None:
    bench = await bench_of(model, waits(0.002, echoes), max_connections=1)
    first, second = bench.submit(1), bench.submit(2)
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    assert first.call is not None
    first.call.drop()
    await bench.ended(second)
    assert second.told == ["head /2  end"]
    assert len(bench.deadlines) == 0
    await until(lambda: bench.says == "1 open, 1 idle, 0 waiting")
    bench.pool.close()
    await until(lambda: bench.says == "0 open, 0 idle, 0 waiting")


@pytest.mark.parametrize("steps", range(1, 7))
async def test_cancelled_connect_fails_its_call_and_leaves_the_pool_clean(
    model: Model, steps: int
) -> None:
    """The only await in the pool is the connect; shutdown cancels it wherever it stands."""
    bench = await bench_of(model, echoes, max_connections=1)
    caller = bench.submit()
    (task,) = (one for one in asyncio.all_tasks() if one.get_name() == "connect-m")
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await bench.ended(caller)
    assert caller.told in (["failed connect"], ["head /0  end"])
    bench.pool.close()
    await until(lambda: bench.says == "0 open, 0 idle, 0 waiting")
    assert len(bench.deadlines) == 0
