"""A child is started again whenever it ends, and ended for good when asked. Real processes."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sidecar import child as module
from sidecar.child import Child, Command
from tests.pace import slowness

PYTHON = (sys.executable, "-S", "-E", "-c")
SLEEPS = "import time; time.sleep(60)"
IGNORES_TERM = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open(sys.argv[1], 'w').close(); time.sleep(60)"
)
UNBLOCKS_HUP = """
import signal, sys, time
time.sleep(0.3)
signal.signal(signal.SIGHUP, lambda *_: open(sys.argv[1], "w").close())
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
time.sleep(60)
"""
APPENDS = "import sys; open(sys.argv[1], 'a').write('x')"


@pytest.fixture
async def keep() -> AsyncIterator[Callable[[Command], Child]]:
    children: list[Child] = []

    def start(command: Command) -> Child:
        child = Child(command)
        children.append(child)
        child.start()
        return child

    yield start
    for child in children:
        await child.stop(grace_s=0.1)


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


async def test_killed_child_is_back_at_once(keep: Callable[[Command], Child]) -> None:
    child = keep(Command("sleeper", (*PYTHON, SLEEPS)))
    await until(lambda: child.pid)
    first = child.pid
    assert first is not None
    killed = time.monotonic()
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.pid not in (None, first))
    assert time.monotonic() - killed < 1.0 * slowness()
    assert child.restarts == 1


async def test_crash_loop_backs_off_and_never_gives_up(
    keep: Callable[[Command], Child], tmp_path: Path
) -> None:
    starts = tmp_path / "starts"
    keep(Command("crasher", (*PYTHON, APPENDS, str(starts))))
    await asyncio.sleep(1.2)
    after_a_second = starts.stat().st_size
    # 0 + 0.05 + 0.1 + 0.2 + 0.4 s of rest have passed: six starts if starting cost nothing.
    assert 3 <= after_a_second <= 6
    await until(lambda: starts.stat().st_size > after_a_second, within_s=5)
    assert max(module.BACKOFFS_S) == 1.0


async def test_program_that_cannot_be_started_is_tried_again(
    keep: Callable[[Command], Child], tmp_path: Path
) -> None:
    program = tmp_path / "program"
    child = keep(Command("absent", (str(program),)))
    await until(lambda: child.restarts >= 2)
    assert child.pid is None
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -S -E -c '{SLEEPS}'\n")
    program.chmod(0o700)
    await until(lambda: child.pid is not None)


async def test_stopped_child_ends_and_stays_ended(keep: Callable[[Command], Child]) -> None:
    child = keep(Command("sleeper", (*PYTHON, SLEEPS)))
    await until(lambda: child.pid)
    pid = child.pid
    assert pid is not None
    await child.stop(grace_s=5)
    assert child.pid is None and child.restarts == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_child_that_ignores_sigterm_is_killed_after_its_grace(
    keep: Callable[[Command], Child], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    child = keep(Command("stubborn", (*PYTHON, IGNORES_TERM, str(ready))))
    await until(ready.exists)
    began = time.monotonic()
    await child.stop(grace_s=0.3)
    assert 0.3 <= time.monotonic() - began < 10.0
    assert child.pid is None


async def test_stop_during_a_rest_ends_the_rest(keep: Callable[[Command], Child]) -> None:
    child = keep(Command("crasher", (*PYTHON, "raise SystemExit(3)")))
    await until(lambda: child.restarts >= 4)
    began = time.monotonic()
    await child.stop(grace_s=5)
    assert time.monotonic() - began < 0.5 * slowness()


async def test_blocked_signal_waits_until_the_child_is_ready(
    keep: Callable[[Command], Child], tmp_path: Path
) -> None:
    """Otherwise a reload during the start would end the controller process."""
    seen = tmp_path / "seen"
    argv = (*PYTHON, UNBLOCKS_HUP, str(seen))
    child = keep(Command("late", argv, blocked=frozenset({signal.SIGHUP})))
    await until(lambda: child.pid)
    child.send(signal.SIGHUP)
    await until(seen.exists)
    assert child.restarts == 0
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


async def test_descriptors_are_inherited_under_their_numbers(
    keep: Callable[[Command], Child],
) -> None:
    ours, theirs = os.pipe()
    keep(Command("writer", (*PYTHON, f"import os; os.write({theirs}, b'hi')"), (theirs,)))
    assert await asyncio.to_thread(os.read, ours, 2) == b"hi"
    os.close(ours)
    os.close(theirs)


async def test_greeting_reaches_every_process_that_starts_later(
    keep: Callable[[Command], Child], tmp_path: Path
) -> None:
    argv = (*PYTHON, UNBLOCKS_HUP, str(tmp_path / "greeted"))
    child = keep(Command("greeted", argv, blocked=frozenset({signal.SIGHUP})))
    await until(lambda: child.pid)
    child.greeting = signal.SIGHUP
    first = child.pid
    child.send(signal.SIGKILL)
    await until(lambda: child.pid not in (None, first))
    await until(lambda: (tmp_path / "greeted").exists())


async def test_killed_for_good_is_not_started_again(keep: Callable[[Command], Child]) -> None:
    child = keep(Command("sleeper", (*PYTHON, SLEEPS)))
    await until(lambda: child.pid)
    assert not child.is_stopped
    child.kill()
    assert child.is_stopped
    await child.stop(grace_s=5.0)
    assert child.pid is None and child.restarts == 0
