"""A blocking call in a thread of its own: its result, its error, and what is left of it."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from router.tasks import spawn
from router.thread import in_thread

ROOT = Path(__file__).parents[2]


async def test_result_comes_back_and_the_loop_runs_meanwhile() -> None:
    free = threading.Event()
    waiting = spawn(in_thread(lambda: free.wait(5), name="t"), name="t")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    free.set()
    assert await waiting is True


async def test_error_of_the_call_is_raised() -> None:
    def fails() -> None:
        raise OSError("no such host")

    with pytest.raises(OSError, match="no such host"):
        await in_thread(fails, name="t")


async def test_cancelled_wait_ends_at_once_and_drops_the_result() -> None:
    free = threading.Event()
    waiting = spawn(in_thread(lambda: free.wait(5), name="left-alone"), name="t")
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    free.set()
    (thread,) = (one for one in threading.enumerate() if one.name == "left-alone")
    thread.join(5)
    await asyncio.sleep(0.01)  # the late result finds nobody, and that is no error


def test_call_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    code = (
        "import asyncio, time\n"
        "from router.thread import in_thread\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1):\n"
        "            await in_thread(lambda: time.sleep(30), name='t')\n"
        "    except TimeoutError:\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True, timeout=20)
    assert time.monotonic() - began < 10
