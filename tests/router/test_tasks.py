"""Tasks are named, and live until they are done."""

import asyncio
import gc
import weakref

import pytest

from router.tasks import spawn


async def test_task_carries_its_name_and_its_result() -> None:
    async def answer() -> int:
        return 42

    task = spawn(answer(), name="answering")
    assert task.get_name() == "answering"
    assert await task == 42


async def test_task_that_nobody_else_refers_to_is_not_collected() -> None:
    """The loop's own references are weak, and a task that waits for a future that only it knows
    is garbage to the collector."""
    known: list[weakref.ref[asyncio.Future[str]]] = []

    async def wait() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        known.append(weakref.ref(future))
        return await future

    async def ask() -> None:
        answers.append(await spawn(wait(), name="waiting"))

    answers: list[str] = []
    asking = spawn(ask(), name="asking")
    del asking
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    future = known[0]()
    assert future is not None, "the task was collected half way"
    future.set_result("answer")
    while not answers:
        await asyncio.sleep(0)
    assert answers == ["answer"]


async def test_failure_stays_with_the_task() -> None:
    async def fail() -> None:
        raise ValueError("the cause")

    task = spawn(fail(), name="failing")
    with pytest.raises(ValueError, match="the cause"):
        await task


async def test_reference_is_let_go_when_the_task_is_done() -> None:
    async def pass_by() -> None:
        return None

    task = spawn(pass_by(), name="passing")
    await task
    await asyncio.sleep(0)
    gc.collect()
    assert not [other for other in gc.get_referrers(task) if isinstance(other, set)]
