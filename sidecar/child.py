"""One child process: started, restarted whenever it ends, and ended for good when asked."""

import asyncio
import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from router.tasks import spawn

BACKOFFS_S = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
"""Rest before the n-th restart in a row; the last one repeats for ever. Chosen: a lone crash
costs nothing, a crash loop costs one start a second."""
HEALTHY_S = 10.0
"""A child that lived this long starts again at the first backoff. Chosen."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Command:
    """How one child is started."""

    name: str
    argv: tuple[str, ...]
    fds: tuple[int, ...] = ()
    """Inherited under the same numbers."""
    blocked: frozenset[signal.Signals] = frozenset()
    """Signals that wait until the child unblocks them: before it has installed its reaction,
    the default one would end it."""
    environment: Mapping[str, str] | None = None
    """None: ours."""


@dataclass(slots=True, eq=False)
class Child:
    """One process that is started again whenever it ends, until ``stop``."""

    command: Command
    restarts: int = 0
    pid: int | None = None
    """None while it is not running."""
    greeting: signal.Signals | None = None
    """Sent to each process that is started from now on: what it must know of the rest of us."""
    _process: subprocess.Popen[bytes] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = spawn(self._keep(), name=self.command.name)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is running."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to end for good."""
        return self._stopping.is_set()

    def kill(self) -> None:
        """End it for good and at once; ``stop`` still waits for the end."""
        self._stopping.set()
        self.send(signal.SIGKILL)

    async def stop(self, grace_s: float) -> None:
        """End it for good: SIGTERM, then SIGKILL after ``grace_s``; returns when it has ended."""
        self._stopping.set()
        self.send(signal.SIGTERM)
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=grace_s)
        if not done:
            log.warning("killed: did not end in time", child=self.command.name, grace_s=grace_s)
            self.send(signal.SIGKILL)
            await self._task

    async def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            await self._run_once()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - started
            failures = 0 if lived_s >= HEALTHY_S else failures
            rest_s = BACKOFFS_S[min(failures, len(BACKOFFS_S) - 1)]
            failures += 1
            self.restarts += 1
            name = self.command.name
            log.warning("restarting", child=name, lived_s=round(lived_s, 3), rest_s=rest_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), rest_s)

    async def _run_once(self) -> None:
        try:
            self._process = _start(self.command)
        except OSError as error:  # out of processes, memory or descriptors: try again later
            log.error("cannot start", child=self.command.name, error=str(error))
            return
        self.pid = self._process.pid
        if self.greeting is not None:
            self.send(self.greeting)
        log.info("started", child=self.command.name, child_pid=self.pid)
        code = await _ended(self._process, self.command.name)
        self._process = self.pid = None
        log.info("ended", child=self.command.name, code=code)


def _start(command: Command) -> subprocess.Popen[bytes]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, command.blocked)  # the child inherits it
    try:
        return subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            pass_fds=command.fds,
            env=command.environment,
            start_new_session=True,  # a terminal's Ctrl-C is for the supervisor alone
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _ended(popen: subprocess.Popen[bytes], name: str) -> int:
    """Wait for the process; return its exit code, or minus the signal that ended it.

    One thread per child instead of asyncio's subprocesses: those start the child across awaits,
    and the signal mask above must not be set while anything else runs.
    """
    loop = asyncio.get_running_loop()
    code: asyncio.Future[int] = loop.create_future()

    def tell(value: int) -> None:
        if not code.done():
            code.set_result(value)

    def wait() -> None:
        value = popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(tell, value)

    threading.Thread(target=wait, name=f"wait for {name}", daemon=True).start()
    return await code
