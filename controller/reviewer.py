"""Looks at every rollout and moves those whose time or evidence has come."""

from dataclasses import replace

from controller.clock import Clock
from controller.gatekeeper import Gatekeeper
from controller.gates.report import GateReport
from controller.intake import Intake
from controller.judge import Action, futile, judge, overdue, required
from controller.mover import Mover
from controller.policy import OnTimeout
from controller.registrar import Registrar
from controller.rollout import WITH_TRAFFIC, Event, Phase, Rollout, hold, way_forward
from controller.store import RouteState
from evaluator.evidence import Evidence, Reading

CONTROLLER = "controller"
"""Who acts when nobody does."""
POLICY = "policy"
"""Who holds a rollout whose stage says ``on_timeout: hold``."""
LOOK_EVERY_S = 1.0
"""Evidence is read at least this often, and whenever something new was counted."""


class Reviewer:
    """One thread; made and used by the Controller."""

    def __init__(
        self,
        mover: Mover,
        intake: Intake,
        gates: Gatekeeper,
        clock: Clock,
        registrar: Registrar,
    ) -> None:
        self._mover = mover
        self._intake = intake
        self._gates = gates
        self._registrar = registrar
        self._clock = clock
        self._has_news = True
        self._looked_at_s = clock.monotonic_s()

    def note_news(self) -> None:
        """Look at the evidence at the next ``look``, however soon that is."""
        self._has_news = True

    def look(self) -> None:
        """Move every rollout that may move, forward or back; StoreError from a move forward."""
        now_s = self._clock.monotonic_s()
        is_due = self._has_news or now_s - self._looked_at_s >= LOOK_EVERY_S
        for state, rollout in self._mover.rollouts():
            if self._refuse(state, rollout):
                continue
            if rollout.phase in WITH_TRAFFIC:
                if is_due:
                    self._weigh(state, rollout)
            elif rollout.phase is Phase.QUEUED:
                if rollout.held_by is None:
                    self.go_forward(state, rollout, "its turn has come")
            else:
                self.pass_gate(state, rollout)
        if is_due:
            self._has_news, self._looked_at_s = False, now_s

    def look_back(self) -> None:
        """Roll back what must be, and nothing else: for when the store takes no writes."""
        for state, rollout in self._mover.rollouts(WITH_TRAFFIC):
            if self._refuse(state, rollout):
                continue
            evidence = self.evidence(state.name)
            verdict = judge(self.required(state, rollout, evidence))
            if verdict.action is Action.ROLLBACK:
                self._roll_back(state, Event.HARMED, verdict.because, evidence)

    def pass_gate(self, state: RouteState, rollout: Rollout) -> None:
        """Do what the gate of a stage before traffic found; StoreError from a move forward."""
        report = self._gates.report(state)
        may_leave = rollout.held_by is None and not self._registrar.missing(state, rollout)
        if report is not None and report.passed and may_leave:
            self.go_forward(state, rollout, report.because, report=report)
        elif report is not None and self._gates.is_refused(rollout, report):
            self._roll_back(state, Event.REFUSED, report.because, None, report)
        else:
            self._check_time(state, rollout, None, report)

    def go_forward(
        self,
        state: RouteState,
        rollout: Rollout,
        because: str,
        evidence: Evidence | None = None,
        report: GateReport | None = None,
    ) -> None:
        """Leave the present stage with success; StoreError when that cannot be written."""
        event = way_forward(state.policy or self._mover.serving()[state.name], rollout)
        self._mover.move(
            state.name, event, who=CONTROLLER, because=because, evidence=evidence, report=report
        )

    def evidence(self, route: str) -> Evidence | None:
        """Return what a route's experiment shows now; None without one."""
        return self._intake.evidence(route, now_s=self._mover.wall_s())

    def required(
        self, state: RouteState, rollout: Rollout, evidence: Evidence | None
    ) -> tuple[Reading, ...]:
        """Return what the present stage asks for, as readings; without evidence what is proven."""
        proven = self._registrar.readings(state, rollout)
        if evidence is None or state.policy is None:
            return proven
        now_s = self._mover.wall_s()
        return (*required(state.policy, rollout, evidence, now_s=now_s), *proven)

    def _refuse(self, state: RouteState, rollout: Rollout) -> bool:
        """Roll back a challenger that is not what was registered; return whether it was."""
        because = self._registrar.mismatch(state, rollout)
        if because:
            evidence = self.evidence(state.name) if rollout.phase in WITH_TRAFFIC else None
            self._roll_back(state, Event.REFUSED, because, evidence)
        return bool(because)

    def _may_go(self, state: RouteState, rollout: Rollout) -> bool:
        """Whether nothing but the evidence stands before the next stage.

        Before a promotion the challenger's files are read once more: until then it waits.
        """
        if rollout.held_by is not None:
            return False
        is_promotion = state.policy and way_forward(state.policy, rollout) is Event.PROVEN
        return not is_promotion or self._registrar.may_promote(state, rollout)

    def _weigh(self, state: RouteState, rollout: Rollout) -> None:
        evidence = self.evidence(state.name)
        verdict = judge(self.required(state, rollout, evidence))
        if verdict.action is Action.ROLLBACK:
            self._roll_back(state, Event.HARMED, verdict.because, evidence)
        elif verdict.action is Action.PROMOTE and self._may_go(state, rollout):
            self.go_forward(state, rollout, verdict.because, evidence)
        elif state.policy is not None and (why := futile(state.policy, rollout, evidence)):
            self._roll_back(state, Event.FUTILE, why, evidence)
        else:
            self._check_time(state, rollout, evidence)

    def _check_time(
        self,
        state: RouteState,
        rollout: Rollout,
        evidence: Evidence | None,
        report: GateReport | None = None,
    ) -> None:
        if state.policy is None:
            return
        because = f"{rollout.phase.value} lasted longer than the file allows"
        match overdue(state.policy, rollout):
            case OnTimeout.ROLLBACK:
                self._roll_back(state, Event.TIMED_OUT, because, evidence, report)
            case OnTimeout.HOLD:
                held = replace(state, rollout=hold(rollout, by=POLICY, reason=because))
                self._mover.annotate(held, who=CONTROLLER, action="hold", because=because)

    def _roll_back(
        self,
        state: RouteState,
        event: Event,
        because: str,
        evidence: Evidence | None,
        report: GateReport | None = None,
    ) -> None:
        self._mover.move(
            state.name, event, who=CONTROLLER, because=because, evidence=evidence, report=report
        )
