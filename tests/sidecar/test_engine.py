"""The engine: one thread, in order, and the loop never waits for it."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from router.tasks import spawn
from sidecar.engine import Engine, NotRunning


def make_list() -> list[str]:
    return [threading.current_thread().name]


async def test_controller_is_made_and_used_in_one_thread() -> None:
    engine = Engine(make_list)
    await engine.start()
    await engine.call(lambda names: names.append(threading.current_thread().name))
    names = await engine.call(lambda names: list(names))
    assert len(set(names)) == 1 and names[0] != threading.current_thread().name
    await engine.close()


async def test_calls_run_in_the_order_in_which_they_were_sent() -> None:
    engine = Engine(list[int])
    await engine.start()

    def append(k: int) -> Callable[[list[int]], None]:
        return lambda seen: seen.append(k)

    await asyncio.gather(*(engine.call(append(k)) for k in range(50)))
    assert await engine.call(list) == list(range(50))
    await engine.close()


async def test_error_reaches_its_caller_and_the_next_call_works() -> None:
    engine = Engine(dict[str, int])
    await engine.start()
    with pytest.raises(KeyError):
        await engine.call(lambda table: table["absent"])
    assert await engine.call(len) == 0
    await engine.close()


async def test_event_loop_goes_on_while_the_engine_is_busy() -> None:
    engine = Engine(list[int])
    await engine.start()
    slow = spawn(engine.call(lambda _: time.sleep(0.2)), name="slow")
    turns = 0
    while not slow.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns > 10
    await engine.close()


async def test_failure_to_start_is_raised() -> None:
    def refuse() -> None:
        raise OSError("no disk")

    engine = Engine(refuse)
    with pytest.raises(OSError, match="no disk"):
        await engine.start()
    await engine.close()


async def test_close_waits_for_what_was_sent_before() -> None:
    seen: list[str] = []
    engine = Engine(lambda: seen)
    await engine.start()

    def slowly(names: list[str]) -> None:
        time.sleep(0.05)
        names.append("call")

    first = spawn(engine.call(slowly), name="slow")
    await asyncio.sleep(0)
    await engine.close(finish=lambda names: names.append("finish"))
    await engine.close(finish=lambda names: names.append("again"))
    assert seen == ["call", "finish"] and first.done()
    with pytest.raises(NotRunning):
        await engine.call(len)
