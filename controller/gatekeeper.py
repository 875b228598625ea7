"""Which gates are to be run for the rollouts, and what they found. Owns their schedule."""

from dataclasses import replace

from controller.clock import Clock
from controller.gates.report import GateReport
from controller.gates.schedule import Schedule
from controller.gates.task import GateTask
from controller.mover import Mover
from controller.plan import variant_of
from controller.policy import RouteIntent
from controller.rollout import BEFORE_TRAFFIC, Phase, Rollout, stage_for
from controller.store import RouteState


class Gatekeeper:
    """One thread; made and used by the Controller. What it remembers a restart may lose."""

    def __init__(self, mover: Mover, clock: Clock) -> None:
        self._mover = mover
        self._clock = clock
        self._schedule = Schedule()

    def pending(self) -> list[GateTask]:
        """Return the gates to run now, at most one a route."""
        tasks = [self._task(*one) for one in self._mover.rollouts(BEFORE_TRAFFIC)]
        now_s = self._clock.monotonic_s()
        return [task for task in tasks if self._schedule.is_due(*task.place, now_s=now_s)]

    def take(self, task: GateTask, report: GateReport) -> bool:
        """Remember a report; return whether it is about where its rollout stands now."""
        state = self._mover.states.get(task.route.name)
        if state is None or state.rollout is None or not _is_about(task, report, state.rollout):
            return False
        rollout = state.rollout
        self._schedule.returned(*task.place, report, now_s=self._clock.monotonic_s())
        skips = rollout.skips_shadow or (report.passed and report.skips_shadow)
        noted = replace(rollout, because=report.because, skips_shadow=skips)
        self._mover.put(replace(state, rollout=noted))
        return True

    def report(self, state: RouteState) -> GateReport | None:
        """Return what the gate of the present stage found last; None before it did."""
        rollout = state.rollout
        if rollout is None or rollout.phase not in BEFORE_TRAFFIC:
            return None
        kind = stage_for(_policy_of(state, self._mover), rollout.phase).kind
        return self._schedule.report(state.name, rollout.experiment, kind)

    def is_refused(self, rollout: Rollout, report: GateReport) -> bool:
        """Whether ``report`` ends the rollout: what it found, asking again would find again."""
        may_load = rollout.phase is Phase.FUNCTIONAL
        return not (report.passed or report.is_transient or may_load)

    def _task(self, state: RouteState, rollout: Rollout) -> GateTask:
        route = self._mover.serving()[state.name]
        stage = stage_for(_policy_of(state, self._mover), rollout.phase)
        if rollout.phase is Phase.FUNCTIONAL:
            stage = stage_for(route, rollout.phase)  # the kept policy has no sample bodies
        return GateTask(
            route=route,
            stage=stage,
            experiment=rollout.experiment,
            challenger=variant_of(route, rollout.challenger),
            champion=variant_of(route, state.champion),
        )


def _is_about(task: GateTask, report: GateReport, rollout: Rollout) -> bool:
    return (
        rollout.experiment == task.experiment
        and rollout.phase.value == task.kind.value
        and rollout.challenger == report.challenger
    )


def _policy_of(state: RouteState, mover: Mover) -> RouteIntent:
    return state.policy or mover.serving()[state.name]
