"""The processes that the demo starts: each in a session of its own, none left behind.

A session of its own, because a Ctrl-C in the terminal goes to every process of the foreground
group: the demo alone must get it, to stop the others in order.
"""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from router.tasks import spawn
from sidecar.demo.reports import read_report

T = TypeVar("T")
Report = dict[str, object]
NOTHING: Mapping[str, str] = MappingProxyType({})
LOG_LINES = 30
"""How much of a child's log is kept for the post-mortem."""
STOP_WITHIN_S = 18.0
"""The sidecar takes the longest: it lets requests finish (10 s) and writes its last state (5 s)."""
LINE_LIMIT_BYTES = 1 << 20
LAST_WORDS_WITHIN_S = 1.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Single images gain nothing from more threads, and two models would fight over two cores."""


class ChildDied(Exception):
    """A process ended that should be running. The message carries the end of its log."""

    def __init__(self, child: "Child") -> None:
        log = "\n".join(f"    {line}" for line in child.log) or "    (it said nothing)"
        super().__init__(f"{child.name} ended with {child.code}:\n{log}")


class Child:
    """One running process, the latest report of each kind from it, and the end of its log.

    Made by ``Children.start``, ended by ``Children.stop`` or ``Children.close``.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.reports: dict[str, Report] = {}
        """By kind, the latest one."""
        self.first: dict[str, Report] = {}
        """By kind, the first one."""
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._changed = asyncio.Event()

    @property
    def code(self) -> int | None:
        """The exit code, negative after a signal; None while the process runs."""
        return self.process.returncode

    def take(self, line: bytes) -> None:
        """Take in one line of what the process says."""
        said = read_report(line)
        if said is None:
            self.log.append(line.decode(errors="replace").rstrip())
            return
        self.first.setdefault(str(said["report"]), said)
        self.reports[str(said["report"])] = said
        self._changed.set()

    async def reported(self, kind: str, within_s: float) -> Report:
        """Wait for a report of ``kind``; raises TimeoutError, or ChildDied."""
        async with asyncio.timeout(within_s):
            while kind not in self.reports:
                self._changed.clear()
                if self.code is not None:
                    raise ChildDied(self)
                with contextlib.suppress(TimeoutError):  # look for its death now and then
                    await asyncio.wait_for(self._changed.wait(), 0.1)
        return self.reports[kind]

    def number(self, kind: str, field: str) -> int:
        """Return a number from the latest report of ``kind``, 0 if there is none yet."""
        found = self.reports.get(kind, {}).get(field, 0)
        return found if isinstance(found, int) else 0


class Children:
    """Everything that the demo started. ``close`` leaves nothing of it running."""

    def __init__(self) -> None:
        self._readers: dict[Child, asyncio.Task[None]] = {}
        """Every child that was started and not stopped, with the task that reads what it says."""

    async def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        secrets: Mapping[str, str] = NOTHING,
    ) -> Child:
        """Start ``command``; what it says on stderr is read here, and on stdout unless given.

        Descriptors that are given stay the caller's, who closes them. ``secrets`` go into its
        environment, where no list of processes shows them.
        """
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
                stdout=theirs if stdout is None else stdout,
                stderr=theirs,
                start_new_session=True,
                env={**os.environ, **ONE_THREAD, "PYTHONUNBUFFERED": "1", **secrets},
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        child = Child(name, process)
        self._readers[child] = spawn(_read(ours, child.take), name=f"read {name}")
        return child

    async def stop(self, child: Child, within_s: float = STOP_WITHIN_S) -> None:
        """Ask ``child`` to end (SIGTERM); after ``within_s`` seconds its whole group is killed."""
        with contextlib.suppress(ProcessLookupError):
            child.process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.process.wait(), within_s)
        # Also after an orderly end: whatever it started and left belongs to its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        await child.process.wait()
        reader = self._readers.pop(child, None)
        if reader is not None:
            # Its last words count. They end with its group, unless a grandchild got away.
            await asyncio.wait([reader], timeout=LAST_WORDS_WITHIN_S)
            reader.cancel()
            await asyncio.wait([reader])

    async def close(self) -> None:
        """Stop everything that still runs, the last started first. Idempotent."""
        for child in reversed(list(self._readers)):
            await self.stop(child)


async def or_death(work: Coroutine[object, object, T], needed: Sequence[Child]) -> T:
    """Await ``work``; raises ChildDied as soon as one of ``needed`` has ended."""
    task = spawn(work, name="work while children live")
    deaths = {spawn(child.process.wait(), name=f"death of {child.name}"): child for child in needed}
    try:
        await asyncio.wait([task, *deaths], return_when=asyncio.FIRST_COMPLETED)
        for death, child in deaths.items():
            if death.done():
                raise ChildDied(child)
        return await task
    finally:
        task.cancel()
        for death in deaths:
            death.cancel()
        await asyncio.wait([task, *deaths])


async def _read(descriptor: int, take: Callable[[bytes], None]) -> None:
    """Give every line from ``descriptor`` to ``take`` until its end; closes it."""
    lines = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
    try:
        async for line in lines:
            take(line)
    finally:
        transport.close()
