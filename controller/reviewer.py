"""Looks at every rollout and moves those whose time or evidence has come."""

from dataclasses import replace

from controller.clock import Clock
from controller.gatekeeper import Gatekeeper
from controller.gates.confirm import Confirmation
from controller.gates.report import GateReport
from controller.intake import Intake
from controller.judge import Action, Verdict, expired, futile, is_mended, judge, overdue, required
from controller.mover import Mover
from controller.policy import OnTimeout
from controller.registrar import Registrar
from controller.rollout import (
    BEFORE_TRAFFIC,
    WITH_TRAFFIC,
    Event,
    Rollout,
    approvals_needed,
    hold,
    way_forward,
)
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
            if is_due or rollout.phase not in WITH_TRAFFIC:
                self.review(state, rollout)
        if is_due:
            self._has_news, self._looked_at_s = False, now_s

    def review(self, state: RouteState, rollout: Rollout) -> None:
        """Move one rollout as its stage asks; StoreError from a move forward."""
        if self._refuse(state, rollout):
            return
        if rollout.phase in WITH_TRAFFIC:
            self._weigh(state, rollout)
        elif rollout.phase in BEFORE_TRAFFIC:
            self._pass_gate(state, rollout)
        elif rollout.held_by is None:
            self._go_forward(state, Event.STARTED, "its turn has come")

    def look_back(self) -> None:
        """Roll back what must be, and nothing else: for when the store takes no writes."""
        for state, rollout in self._mover.rollouts(WITH_TRAFFIC):
            if self._refuse(state, rollout):
                continue
            evidence = self.evidence(state.name)
            verdict = judge(self.required(state, rollout, evidence))
            if verdict.action is Action.ROLLBACK:
                self._roll_back(state, Event.HARMED, verdict.because, evidence)
            elif because := expired(state.policy, rollout, evidence):
                self._roll_back(state, Event.EXPIRED, because, evidence)

    def evidence(self, route: str) -> Evidence | None:
        """Return what a route's experiment shows now; None without one."""
        return self._intake.evidence(route, now_s=self._mover.wall_s())

    def required(
        self, state: RouteState, rollout: Rollout, evidence: Evidence | None
    ) -> tuple[Reading, ...]:
        """Return what the present stage asks for, as readings; none without evidence."""
        if evidence is None or state.policy is None:
            return ()
        return required(
            state.policy,
            rollout,
            evidence,
            now_s=self._mover.wall_s(),
            cooling_s=state.cooling_s,
        )

    def _refuse(self, state: RouteState, rollout: Rollout) -> bool:
        """Roll back a challenger that is not what was registered; return whether it was."""
        because = self._registrar.mismatch(state, rollout)
        if because:
            evidence = self.evidence(state.name) if rollout.phase in WITH_TRAFFIC else None
            self._roll_back(state, Event.REFUSED, because, evidence)
        return bool(because)

    def _pass_gate(self, state: RouteState, rollout: Rollout) -> None:
        """Do what the gate of a stage before traffic found."""
        report = self._gates.report(state)
        if report is not None and self._gates.is_refused(rollout, report):
            self._roll_back(state, Event.REFUSED, report.because, None, report)
        elif report is not None and report.passed and rollout.held_by is None:
            self._leave(state, rollout, report.because, None, report)
        else:
            self._gates.retract(state.name)
            self._check_time(state, rollout, None, report)

    def _weigh(self, state: RouteState, rollout: Rollout) -> None:
        """Do what the evidence of a stage with traffic says."""
        evidence = self.evidence(state.name)
        verdict = judge(self.required(state, rollout, evidence))
        if verdict.action is Action.ROLLBACK:
            self._roll_back(state, Event.HARMED, verdict.because, evidence)
        elif because := expired(state.policy, rollout, evidence):
            self._roll_back(state, Event.EXPIRED, because, evidence)
        elif state.policy is not None and is_mended(state.policy, rollout, evidence):
            self._mend(state, rollout, evidence)
        elif verdict.action is Action.PROMOTE and rollout.held_by is None:
            self._leave(state, rollout, verdict.because, evidence, None)
        elif state.policy is not None and (why := futile(state.policy, rollout, evidence)):
            self._roll_back(state, Event.FUTILE, why, evidence)
        else:
            self._wait(state, rollout, verdict, evidence)

    def _leave(
        self,
        state: RouteState,
        rollout: Rollout,
        because: str,
        evidence: Evidence | None,
        report: GateReport | None,
    ) -> None:
        """Leave the stage, unless people or webhooks have yet to say that it may be left."""
        policy = state.policy or self._mover.serving()[state.name]
        event = way_forward(policy, rollout)
        if not self._is_proven(state, rollout, event):
            self._check_time(state, rollout, evidence, report)
            return
        outside = self._gates.confirm(state, rollout, event)
        found = _with_checks(rollout, report, outside)
        if outside.refused:
            self._roll_back(state, Event.REFUSED, outside.refused, evidence, found)
        elif outside.waiting or len(rollout.approvals) < approvals_needed(policy, rollout, event):
            self._check_time(state, rollout, evidence, found)
        else:
            self._go_forward(state, event, because, evidence, found)

    def _is_proven(self, state: RouteState, rollout: Rollout, event: Event) -> bool:
        """Whether the challenger is shown to be what was registered.

        Before a promotion its files are read once more: until then it waits.
        """
        if self._registrar.missing(state, rollout):
            return False
        return event is not Event.PROVEN or self._registrar.may_promote(state, rollout)

    def _wait(
        self, state: RouteState, rollout: Rollout, verdict: Verdict, evidence: Evidence | None
    ) -> None:
        """Stay. What was approved or confirmed counts no more once its checks do not hold.

        Evidence that is merely old withdraws nobody's word: a night without requests is no news.
        """
        is_fading = verdict.action is Action.HOLD and verdict.check not in ("", "fresh")
        if is_fading or rollout.held_by is not None:
            self._gates.retract(state.name)
        if is_fading and rollout.approvals:
            bare = replace(state, rollout=replace(rollout, approvals=()))
            because = f"approved on other evidence: {verdict.because}"
            self._mover.annotate(bare, who=CONTROLLER, action="withdraw", because=because)
        else:
            self._check_time(state, rollout, evidence)

    def _mend(self, state: RouteState, rollout: Rollout, evidence: Evidence | None) -> None:
        """Take note that what was forced has proven itself: it stands like any other promotion."""
        assert rollout.glass is not None  # only what was forced is mended
        because = f"every check that {rollout.glass.who} went around has passed since"
        mended = replace(state, rollout=replace(rollout, glass=None))
        self._mover.annotate(
            mended, who=CONTROLLER, action="mend", because=because, evidence=evidence
        )

    def _go_forward(
        self,
        state: RouteState,
        event: Event,
        because: str,
        evidence: Evidence | None = None,
        report: GateReport | None = None,
    ) -> None:
        self._mover.move(
            state.name, event, who=CONTROLLER, because=because, evidence=evidence, report=report
        )
        self._gates.retract(state.name)

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


def _with_checks(
    rollout: Rollout, report: GateReport | None, outside: Confirmation
) -> GateReport | None:
    """Return what the stage's gate and those outside found, as one report; None if neither."""
    if not outside.checks:
        return report
    own = report or GateReport(rollout.challenger, True, "its checks have passed")
    passed = own.passed and not outside.waiting
    return replace(own, passed=passed, checks=(*own.checks, *outside.checks))
