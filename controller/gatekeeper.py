"""Which gates are to be run for the rollouts, whom else to ask, and what they found."""

from collections.abc import Callable
from dataclasses import replace

from controller.clock import Clock
from controller.gates.confirm import Confirmation, Confirmations
from controller.gates.report import GateReport
from controller.gates.schedule import Schedule
from controller.gates.task import GateTask, HookCall
from controller.lineage import ModelVersion
from controller.mover import Mover
from controller.plan import variant_of
from controller.policy import RouteIntent
from controller.rollout import (
    BEFORE_TRAFFIC,
    Event,
    Phase,
    Rollout,
    stage_for,
    webhooks_asked,
)
from controller.store import RouteState


class Gatekeeper:
    """One thread; made and used by the Controller. What it remembers a restart may lose."""

    def __init__(self, mover: Mover, clock: Clock) -> None:
        self._mover = mover
        self._clock = clock
        self._schedule = Schedule()
        self._outside = Confirmations()
        self.model_of: Callable[[RouteIntent, str], ModelVersion | None] = _unregistered
        """Returns what is registered of a variant."""

    def pending(self) -> list[GateTask]:
        """Return what is to be asked now: at most one gate a route, and its webhooks."""
        tasks = [self._task(*one) for one in self._mover.rollouts(BEFORE_TRAFFIC)]
        now_s = self._clock.monotonic_s()
        due = [task for task in tasks if self._schedule.is_due(task.key, now_s=now_s)]
        return due + [task for task in self._outside.due(now_s=now_s) if self._is_about(task)]

    def take(self, task: GateTask, report: GateReport) -> bool:
        """Remember a report; return whether it is about where its rollout stands now."""
        if not self._is_about(task) or report.challenger != task.challenger.name:
            return False
        now_s = self._clock.monotonic_s()
        if task.hook is not None:
            return self._outside.take(task, report, now_s=now_s)
        state = self._mover.states[task.route.name]
        assert state.rollout is not None  # the task is about it
        self._schedule.returned(task.key, report, now_s=now_s)
        skips = state.rollout.skips_shadow or (report.passed and report.skips_shadow)
        noted = replace(state.rollout, because=report.because, skips_shadow=skips)
        self._mover.put(replace(state, rollout=noted))
        return True

    def report(self, state: RouteState) -> GateReport | None:
        """Return what the gate of the present stage found last; None before it did."""
        rollout = state.rollout
        if rollout is None or rollout.phase not in BEFORE_TRAFFIC:
            return None
        return self._schedule.report((state.name, rollout.experiment, rollout.phase.value))

    def is_refused(self, rollout: Rollout, report: GateReport) -> bool:
        """Whether ``report`` ends the rollout: what it found, asking again would find again."""
        may_load = rollout.phase is Phase.FUNCTIONAL
        return not (report.passed or report.is_transient or may_load)

    def confirm(self, state: RouteState, rollout: Rollout, event: Event) -> Confirmation:
        """Return what those outside say of the move ``event``; who has not answered is asked."""
        asked = webhooks_asked(self._policy(state), rollout, event)
        if not asked:
            return Confirmation()
        task = self._task(state, rollout)
        calls = [HookCall(spec, event.value, rollout.step, self._mover.digest) for spec in asked]
        tasks = [replace(task, hook=call) for call in calls]
        return self._outside.ask(state.name, tasks, now_s=self._clock.monotonic_s())

    def confirmation(self, route: str) -> Confirmation:
        """Return what those outside have said so far; nothing while nobody is asked."""
        return self._outside.standing(route, now_s=self._clock.monotonic_s())

    def retract(self, route: str) -> None:
        """Ask nobody outside: the move that they would confirm may not be made now."""
        self._outside.retract(route)

    def _is_about(self, task: GateTask) -> bool:
        """Whether the rollout of ``task`` stands where it did when the task was made."""
        state = self._mover.states.get(task.route.name)
        rollout = None if state is None else state.rollout
        if state is None or rollout is None or not rollout.is_running:
            return False
        if rollout.phase is Phase.QUEUED:
            return False
        is_here = stage_for(self._policy(state), rollout.phase).kind is task.kind
        is_step = task.hook is None or task.hook.step == rollout.step
        return is_here and is_step and rollout.experiment == task.experiment

    def _task(self, state: RouteState, rollout: Rollout) -> GateTask:
        route, policy = self._mover.serving()[state.name], self._policy(state)
        stage = stage_for(policy, rollout.phase)
        if rollout.phase is Phase.FUNCTIONAL:
            stage = stage_for(route, rollout.phase)  # the kept policy has no sample bodies
        began = replace(route, metrics=policy.metrics, alpha=policy.alpha, stages=policy.stages)
        return GateTask(
            route=began,  # what it is judged by; how it is asked is for the present file to say
            stage=stage,
            experiment=rollout.experiment,
            challenger=variant_of(route, rollout.challenger),
            champion=variant_of(route, state.champion),
            model=self.model_of(policy, rollout.challenger),  # what is proven to run, too
            champion_model=self.model_of(policy, state.champion),
        )

    def _policy(self, state: RouteState) -> RouteIntent:
        return state.policy or self._mover.serving()[state.name]


def _unregistered(_route: RouteIntent, _variant: str) -> ModelVersion | None:
    return None
