"""Which gate runs for which stage: the one place that knows them all."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import structlog

from controller.gates import functional, security, webhook
from controller.gates.golden import GoldenError
from controller.gates.progress import Board
from controller.gates.report import GateReport
from controller.gates.scanmemory import ScanMemory
from controller.gates.task import GateTask
from controller.policy import StageKind

log = structlog.get_logger(__name__)
Runner = Callable[[GateTask], Awaitable[GateReport]]
"""Never raises for the challenger's faults; touches no store."""


async def _functional(task: GateTask) -> GateReport:
    return await functional.run(functional.task_of(task))


RUNNERS: dict[StageKind, Runner] = {StageKind.FUNCTIONAL: _functional}


class GateRunner:
    """Runs gates. Owner: the controller process; used by its event loop."""

    def __init__(self, rows: Path | None = None) -> None:
        self._rows = rows
        """The folder of registered training data's row hashes; None: there is none."""
        self.board = Board()
        self._scanned = ScanMemory()

    async def run(self, task: GateTask) -> GateReport:
        """Run the gate of ``task``, or call its webhook; what nobody has built is not passed.

        Nor is what fails by a fault of ours: it is asked again, and must not end the process.
        """
        try:
            return await self._run(task)
        except Exception as error:
            log.exception("a gate failed; will try again", route=task.route.name, gate=task.kind)
            because = f"internal error: {type(error).__name__}; the log has the details"
            return GateReport(task.challenger.name, False, because, is_transient=True)

    async def _run(self, task: GateTask) -> GateReport:
        if task.hook is not None:
            return await webhook.run(task, task.hook)
        if task.kind is StageKind.PERFORMANCE:
            return await self._performance(task)
        if task.kind is StageKind.SECURITY:
            return await security.run(await security.task_of(task, self._scanned))
        runner = RUNNERS.get(task.kind)
        if runner is None:
            because = f"this version has no {task.kind.value} gate: remove the stage"
            return GateReport(task.challenger.name, False, because)
        return await runner(task)

    async def _performance(self, task: GateTask) -> GateReport:
        try:
            performance = await asyncio.to_thread(_performance_gate)
            asked = await asyncio.to_thread(performance.task_of, task, self._rows)
            report: GateReport = await performance.run(asked, self.board.teller(task))
            return report
        except GoldenError as error:
            return GateReport(task.challenger.name, False, str(error), is_transient=True)
        finally:
            self.board.clear(task)


def _performance_gate() -> ModuleType:
    """Return the module when it is needed: scipy.stats is 85 MB and a second of the processor,
    and only a sidecar with this stage should pay for it."""
    from controller.gates import performance

    return performance


async def run(task: GateTask) -> GateReport:
    """Run one gate where nobody looks at its progress."""
    return await GateRunner().run(task)
