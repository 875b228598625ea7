import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import pytest

from sidecar.demo.children import Child, ChildDied, Children, or_death
from tests.sidecar.demo.processes import is_running

REPORTS = (
    'import sys, time; sys.stderr.write(\'{"report": "ready", "n": 1}\\n\''
    '\'{"report": "ready", "n": 2}\\na log line\\n\'); sys.stderr.flush(); time.sleep(60)'
)
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    'sys.stderr.write(\'{"report": "ready"}\\n\'); sys.stderr.flush(); time.sleep(60)'
)
PARENT = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c',"
    " 'import time; time.sleep(60)'], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL);"
    'sys.stderr.write(\'{"report": "ready", "pid": %d}\\n\' % child.pid);'
    "sys.stderr.flush(); time.sleep(60)"
)
LAST_WORDS = (
    "import signal, sys\n"
    "def end(*_):\n"
    '    for n in range(5000): sys.stderr.write(\'{"report": "end", "n": %d}\\n\' % n)\n'
    "    sys.stderr.flush(); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    'sys.stderr.write(\'{"report": "ready"}\\n\'); sys.stderr.flush()\n'
    "while True: signal.pause()\n"
)


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    children = Children()
    yield children
    await children.close()


async def started(children: Children, program: str) -> Child:
    return await children.start("a child", [sys.executable, "-c", program])


async def test_first_and_latest_report_and_the_log_are_kept(children: Children) -> None:
    child = await started(children, REPORTS)
    await child.reported("ready", 10.0)
    await children.stop(child)
    assert child.first["ready"]["n"] == 1
    assert child.number("ready", "n") == 2
    assert list(child.log) == ["a log line"]


async def test_number_that_was_not_reported_is_zero(children: Children) -> None:
    child = await started(children, REPORTS)
    assert child.number("never", "n") == 0


async def test_child_has_a_session_of_its_own(children: Children) -> None:
    child = await started(children, REPORTS)
    await child.reported("ready", 10.0)
    assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)


async def test_waiting_for_a_report_of_a_dead_child_says_how_it_died(children: Children) -> None:
    child = await started(children, "raise SystemExit('out of luck')")
    with pytest.raises(ChildDied, match=r"a child ended with 1:\s+out of luck"):
        await child.reported("ready", 10.0)


async def test_report_that_does_not_come_in_time_is_a_timeout(children: Children) -> None:
    child = await started(children, REPORTS)
    with pytest.raises(TimeoutError):
        await child.reported("never", 0.3)


async def test_stop_returns_when_the_child_has_ended(children: Children) -> None:
    child = await started(children, REPORTS)
    await children.stop(child)
    assert child.code == -signal.SIGTERM


async def test_what_a_child_says_while_it_ends_is_read_to_the_last_line(
    children: Children,
) -> None:
    child = await started(children, LAST_WORDS)
    await child.reported("ready", 10.0)
    await children.stop(child)
    assert child.number("end", "n") == 4999


async def test_child_that_ignores_sigterm_is_killed(children: Children) -> None:
    child = await started(children, STUBBORN)
    await child.reported("ready", 10.0)
    begun_s = time.monotonic()
    await children.stop(child, within_s=0.3)
    assert child.code == -signal.SIGKILL
    assert 0.3 <= time.monotonic() - begun_s < 5.0


async def test_grandchildren_end_with_the_child(children: Children) -> None:
    child = await started(children, PARENT)
    grandchild = (await child.reported("ready", 10.0))["pid"]
    assert isinstance(grandchild, int) and is_running(grandchild)
    await children.stop(child)
    await _ended(grandchild)


async def test_close_stops_everything_and_may_be_called_again() -> None:
    children = Children()
    running = [await started(children, REPORTS) for _ in range(3)]
    await children.close()
    assert all(child.code is not None for child in running)
    await children.close()


async def test_work_ends_early_when_a_needed_child_dies(children: Children) -> None:
    needed = await started(children, REPORTS)
    other = await started(children, "raise SystemExit(7)")
    with pytest.raises(ChildDied, match="ended with 7"):
        await or_death(asyncio.sleep(30.0), [needed, other])


async def test_work_is_done_while_the_children_live(children: Children) -> None:
    async def work() -> int:
        return 42

    needed = await started(children, REPORTS)
    assert await or_death(work(), [needed]) == 42


async def test_error_of_the_work_is_passed_on(children: Children) -> None:
    async def work() -> None:
        raise LookupError("lost")

    needed = await started(children, REPORTS)
    with pytest.raises(LookupError, match="lost"):
        await or_death(work(), [needed])


async def test_command_that_does_not_exist_leaves_no_descriptor(children: Children) -> None:
    await started(children, REPORTS)  # the loop's own descriptors are open now
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with contextlib.suppress(FileNotFoundError):
            await children.start("nobody", ["/nonexistent"])
    assert len(os.listdir("/proc/self/fd")) == before


async def _ended(pid: int) -> None:
    async with asyncio.timeout(5.0):
        while is_running(pid):
            await asyncio.sleep(0.02)
