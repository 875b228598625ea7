"""Drives the controller: what waits goes in as one call, and a step follows, ten times a second.

Each call is one transaction on the disk, so everything that arrives during one commit shares the
next. Nothing is acknowledged before the call that took it in has returned.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from controller.controller import Controller
from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.store import StoreDamaged, StoreError
from evaluator.join import Label, LabelResult
from router.frames import Ejected
from router.observation import Batch
from router.tasks import spawn
from sidecar.engine import Engine
from sidecar.inbox import Inbox

TICK_S = 0.1
"""A step at least this often: a rollback must not wait for the next observation."""
MAX_BATCHES = 256
MAX_BATCH_BYTES = 64 * 1024 * 1024
"""Of observations, before their sockets are read no further."""
MAX_LABELS = 50_000
MAX_LABEL_BYTES = 32 * 1024 * 1024
"""Of labels, before further ones are refused with 429."""
LABELS_AT_ONCE = 20_000
"""Labels in one call: a rollback never waits for more than a second of joining. Chosen."""
MAX_EJECTIONS = 1_000

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class LabelRequest:
    """The labels of one request, and where its answer is awaited."""

    labels: Sequence[Label]
    answer: asyncio.Future[Sequence[LabelResult]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pump:
    """Owner: the controller process. One task runs it; the inboxes are filled by others."""

    def __init__(
        self,
        engine: Engine[Controller],
        acknowledge: Callable[[Mapping[str, int]], None],
        run_gate: Callable[[GateTask], Awaitable[GateReport]],
        after_step: Callable[[], None] = lambda: None,
        condemn: Callable[[str], None] = lambda _: None,
        on_ingested: Callable[[Sequence[Batch]], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._acknowledge = acknowledge
        self._run_gate = run_gate
        self._after_step = after_step
        """Called in the engine's thread after each step."""
        self._condemn = condemn
        """Told why the state must not be used again."""
        self._on_ingested = on_ingested
        """Told what is durable."""
        self._arrived = asyncio.Event()
        self.batches: Inbox[Batch] = Inbox(
            self._arrived, max_count=MAX_BATCHES, max_bytes=MAX_BATCH_BYTES
        )
        self.labels: Inbox[LabelRequest] = Inbox(
            self._arrived, max_count=MAX_LABELS, max_bytes=MAX_LABEL_BYTES
        )
        self._ejections: deque[Ejected] = deque(maxlen=MAX_EJECTIONS)
        self._known_version = 0
        self._gates: dict[tuple[str, ...], asyncio.Task[None]] = {}
        """What is under way, by the task's key."""
        self._reporting: set[tuple[str, ...]] = set()
        """Those of them whose answer is on its way in: it is not lost to a stage that ends."""
        self._stopping = False
        self._fault: Exception | None = None
        self._is_refused = False
        """Whether the disk refused something in this turn."""
        self.store_error: str | None = None
        """What the disk said last; None while it takes everything."""

    def eject(self, ejected: Ejected) -> None:
        """Note that a router gave up on a challenger; the next turn begins with it."""
        self._ejections.append(ejected)
        self._arrived.set()

    def fence(self, table_version: int) -> None:
        """Note the table that a router runs: one that we do not know of must be outdone."""
        if table_version > self._known_version:
            self._known_version = table_version
            self._arrived.set()

    async def run(self) -> None:
        """Turn until ``stop``, and on for what waits then.

        Whatever but a StoreError ends it: the memory may be half changed, the disk is not, so the
        process must start again from the disk.
        """
        loop = asyncio.get_running_loop()
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(loop.time() + TICK_S):
                    await self._arrived.wait()
            await self.turn()
        await self.turn()
        while self.labels.count:
            await self.turn()

    def fail(self, error: Exception) -> None:
        """Let ``run`` end with ``error``, which left the controller half changed elsewhere."""
        self._fault = error
        self._arrived.set()

    def stop(self) -> None:
        """Let ``run`` return after one more turn."""
        self._stopping = True
        self._arrived.set()
        for gate in tuple(self._gates.values()):
            gate.cancel("the process stops")

    async def turn(self) -> None:
        """Take in everything that waits, each kind in one call, and step."""
        if self._fault is not None:
            raise self._fault
        self._arrived.clear()
        self._is_refused = False
        await self._fence()
        await self._eject()
        await self._ingest()
        await self._label()
        await self._step()
        if self.store_error is not None and not self._is_refused:
            log.info("the state can be written again")
            self.store_error = None

    async def _fence(self) -> None:
        version = self._known_version
        if not version:
            return
        try:
            await self._engine.call(lambda c: c.fence(version))
        except StoreError as error:
            self._note(error)
            return
        if self._known_version == version:
            self._known_version = 0

    async def _eject(self) -> None:
        while self._ejections:
            try:
                await self._engine.call(_ejection(self._ejections[0]))
            except StoreError as error:
                self._note(error)
                return
            self._ejections.popleft()

    async def _ingest(self) -> None:
        entries = self.batches.take()
        if not entries:
            return
        batches = [entry.item for entry in entries]
        try:
            done = await self._engine.call(lambda c: c.ingest(batches))
        except StoreError as error:  # not durable, so not acknowledged: tried again next turn
            self._note(error)
            self.batches.put_back(entries)
            return
        self.batches.free(entries)
        self._acknowledge(done)
        self._on_ingested(batches)

    async def _label(self) -> None:
        entries = self.labels.take(LABELS_AT_ONCE)
        if not entries:
            return
        requests = [entry.item for entry in entries]
        labels = [label for request in requests for label in request.labels]
        try:
            results = await self._engine.call(lambda c: c.label(labels))
        except StoreError as error:
            self._note(error)
            for request in requests:
                if not request.answer.done():
                    request.answer.set_exception(error)
            return
        finally:
            self.labels.free(entries)
        at = 0
        for request in requests:
            if not request.answer.done():  # its client may be gone; its labels are in all the same
                request.answer.set_result(results[at : at + len(request.labels)])
            at += len(request.labels)

    async def _step(self) -> None:
        try:
            tasks = await self._engine.call(self._step_in_thread)
        except StoreError as error:
            self._note(error)
            return
        if not self._stopping:
            self._attend(tasks)

    def _step_in_thread(self, controller: Controller) -> Sequence[GateTask]:
        try:
            controller.step()
        finally:
            self._after_step()
        return controller.pending_gates()

    def _attend(self, tasks: Sequence[GateTask]) -> None:
        """Run the gates that are wanted and not under way; end those that nobody wants any more."""
        wanted = {task.key: task for task in tasks}
        for key in self._gates.keys() - wanted.keys() - self._reporting:
            self._gates[key].cancel("its stage is over")
        for key in wanted.keys() - self._gates.keys():
            gate = spawn(self._gate(wanted[key]), name=f"gate {' '.join(key)}")
            self._gates[key] = gate
            gate.add_done_callback(partial(self._forget, key))

    def _forget(self, key: tuple[str, ...], _: asyncio.Task[None]) -> None:
        self._gates.pop(key, None)
        self._reporting.discard(key)

    async def _gate(self, task: GateTask) -> None:
        try:
            report = await self._run_gate(task)
            self._reporting.add(task.key)
            await self._engine.call(lambda c: c.report(task, report))
            self._arrived.set()
        except StoreError as error:
            self._note(error)
        except Exception as error:
            self.fail(error)

    def _note(self, error: StoreError) -> None:
        self._is_refused = True
        if self.store_error is None:  # once per trouble, not ten times a second
            log.error("the state cannot be written; nothing is acknowledged", error=str(error))
        self.store_error = str(error)
        if isinstance(error, StoreDamaged):
            self._condemn(str(error))
            self.fail(error)


def _ejection(gone: Ejected) -> Callable[[Controller], None]:
    return lambda controller: controller.eject(gone.route, gone.variant, gone.failures)
