"""Which gate runs for which stage: the one place that knows them all."""

from collections.abc import Awaitable, Callable, Mapping

from controller.gates import functional, webhook
from controller.gates.report import GateReport
from controller.gates.task import GateTask
from controller.policy import StageKind

Runner = Callable[[GateTask], Awaitable[GateReport]]
"""Never raises for the challenger's faults; touches no store."""


async def _functional(task: GateTask) -> GateReport:
    return await functional.run(functional.task_of(task))


RUNNERS: Mapping[StageKind, Runner] = {StageKind.FUNCTIONAL: _functional}


async def run(task: GateTask) -> GateReport:
    """Run the gate of ``task``, or call its webhook; what nobody has built is not passed."""
    if task.hook is not None:
        return await webhook.run(task, task.hook)
    runner = RUNNERS.get(task.kind)
    if runner is None:
        because = f"this version has no {task.kind.value} gate: remove the stage"
        return GateReport(task.challenger.name, False, because)
    return await runner(task)
