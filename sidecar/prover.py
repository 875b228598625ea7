"""Looks at what runs: the files of registered versions, in threads, and what variants say.

A loop beside the controller, as the files of a model may take minutes to read: nothing waits for
it but the stages that ask for its proof.
"""

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import structlog

from controller.controller import Controller
from controller.gates import identity
from controller.proof import ARTIFACT, Finding, Proof, ProofTask
from controller.verification import verify_artifact
from evaluator.evidence import CheckState
from router.tasks import spawn
from sidecar.engine import Engine, NotRunning

EVERY_S = 0.5
"""How often the controller is asked what is to be proven: a stage is left so much later, at most.
"""
MAX_AT_ONCE = 4
"""Looks under way; reading files is bound by the disk. Chosen."""

log = structlog.get_logger()
Place = tuple[str, str, str, str]
"""Route, experiment, phase and check."""


class _Unwanted(Exception):
    """Nobody waits for the look any more."""


class Prover:
    """Owned by the controller process; ``run`` until it is cancelled."""

    def __init__(self, engine: Engine[Controller], fail: Callable[[Exception], None]) -> None:
        self._engine = engine
        self._fail = fail
        """Told what left the controller half changed."""
        self._looks: dict[Place, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Prove for ever."""
        try:
            while True:
                await self.round()
                await asyncio.sleep(EVERY_S)  # a period, not a wait for something to happen
        finally:
            for look in tuple(self._looks.values()):
                look.cancel("the process stops")

    async def round(self) -> None:
        """Begin every look that is wanted and not under way, as far as there is room."""
        try:
            tasks = await self._engine.call(lambda controller: controller.registrar.tasks())
        except NotRunning:
            return
        except Exception as error:
            log.warning("the registry cannot be read", error=str(error))
            return
        for task in tasks:
            for check in task.wants:
                place = (task.route, task.experiment, task.phase.value, check)
                if place not in self._looks and len(self._looks) < MAX_AT_ONCE:
                    look = spawn(self._look(task, check), name=f"prove {' '.join(place)}")
                    self._looks[place] = look
                    look.add_done_callback(partial(self._forget, place))

    async def settled(self) -> None:
        """Wait until no look is under way."""
        while self._looks:
            await asyncio.wait(tuple(self._looks.values()))
            await asyncio.sleep(0)  # their callbacks run then

    def _forget(self, place: Place, _: asyncio.Task[None]) -> None:
        self._looks.pop(place, None)

    async def _look(self, task: ProofTask, check: str) -> None:
        finding = await self._finding(task, check)
        log.log(
            20 if finding.state is CheckState.PASSED else 30,
            "looked at a model version",
            model=str(task.model.ref),
            check=check,
            state=finding.state.value,
            because=finding.because,
        )
        try:
            await self._engine.call(lambda c: c.registrar.take(Proof(task, {check: finding})))
        except NotRunning:
            return
        except Exception as error:
            self._fail(error)

    async def _finding(self, task: ProofTask, check: str) -> Finding:
        if check == ARTIFACT:
            return await _verified(task)
        assert task.reports is not None  # only then is the identity asked for
        return await identity.ask(task.variant, task.match, task.reports, task.model)


async def _verified(task: ProofTask) -> Finding:
    """Read the files in a thread, which ends soon when nobody waits: a process that must start
    again waits for its threads, and a model may take minutes to read."""
    unwanted = threading.Event()

    def on_read(_: int) -> None:
        if unwanted.is_set():
            raise _Unwanted

    try:
        return await asyncio.to_thread(verify_artifact, task.model, task.keys, on_read)
    finally:
        unwanted.set()
