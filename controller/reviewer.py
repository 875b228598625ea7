"""Looks at every rollout and moves those whose time or evidence has come."""

from dataclasses import replace
from typing import Any

import structlog

from controller import coldstart, feed
from controller.clock import Clock
from controller.gatekeeper import Gatekeeper
from controller.gates.confirm import Confirmation
from controller.gates.report import GateReport
from controller.health import EASED, Ailment, eased, is_passable, soundness
from controller.intake import Intake
from controller.judge import Action, Verdict, expired, futile, is_mended, judge, overdue, required
from controller.landing import Landings
from controller.mover import Mover
from controller.policy import OnTimeout
from controller.registrar import Registrar
from controller.rollout import (
    BEFORE_TRAFFIC,
    OBSERVED,
    WITH_TRAFFIC,
    Event,
    Phase,
    Rollout,
    approvals_needed,
    hold,
    way_forward,
)
from controller.store import RouteState
from evaluator.evidence import Evidence, Reading
from router.table import chained_name

log = structlog.get_logger(__name__)

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
        landings: Landings,
        clock: Clock,
        registrar: Registrar,
    ) -> None:
        self._mover = mover
        self._intake = intake
        self._gates = gates
        self._landings = landings
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
            if is_due or rollout.phase not in OBSERVED:
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
        elif rollout.phase is Phase.COLD_START:
            self._prove(state, rollout)
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
        """Return what a route's experiment shows now, on the routes behind it too; None without
        one."""
        own = self._intake.evidence(route, now_s=self._mover.wall_s())
        return feed.joined(own, self._behind(self._mover.states[route]))

    def chain_json(self, state: RouteState) -> list[dict[str, Any]]:
        """Return each stage of a route's chain by itself, JSON-ready; empty without one."""
        if state.policy is None:
            return []
        own = self._intake.evidence(state.name, now_s=self._mover.wall_s())
        return feed.status_json(state.policy, state.rollout, own, self._behind(state))

    def _behind(self, state: RouteState) -> list[feed.Stage]:
        """Return what the routes that ``state`` feeds have shown of its rollout."""
        rollout = state.rollout
        if state.policy is None or rollout is None or rollout.phase not in feed.STAGES:
            return []
        now_s = self._mover.wall_s()
        found = [
            (one, self._intake.evidence(chained_name(state.name, one.route), now_s=now_s))
            for one in state.policy.feeds
        ]
        return [feed.Stage(one, shown) for one, shown in found if shown is not None]

    def required(
        self, state: RouteState, rollout: Rollout, evidence: Evidence | None
    ) -> tuple[Reading, ...]:
        """Return what the present stage asks for, as readings; none without evidence."""
        if evidence is None or state.policy is None:
            return ()
        policy, now_s = state.policy, self._mover.wall_s()
        if rollout.phase is Phase.COLD_START:
            return coldstart.required(policy, rollout, evidence, now_s=now_s)
        asked = required(policy, rollout, evidence, now_s=now_s, cooling_s=state.cooling_s)
        if is_passable(policy, rollout, self._landings.ailment(state.name, evidence)):
            return eased(policy, evidence, asked)
        if rollout.phase is Phase.WATCH and rollout.is_rescue:
            return (*asked, soundness(policy, evidence))
        more = feed.required(policy, rollout, evidence, self._behind(state))
        names = {reading.check for reading in more}
        return (*(one for one in asked if one.check not in names), *more)

    def _prove(self, state: RouteState, rollout: Rollout) -> None:
        """Make the first version champion, or hold it where it is; there is no way back."""
        evidence = self.evidence(state.name)
        verdict = judge(self.required(state, rollout, evidence))
        is_passed = verdict.action is Action.PROMOTE and rollout.held_by is None
        if is_passed and self._registrar.missing(state, rollout):
            return  # what runs is not yet proven to be what was registered
        if is_passed:
            if self._registrar.may_promote(state, rollout):
                self._go_forward(state, Event.ESTABLISHED, verdict.because, evidence)
        elif state.policy is not None and coldstart.closes(state.policy, rollout):
            because = f"the cold start lasted longer than the file allows ({verdict.because})"
            self._roll_back(state, Event.TIMED_OUT, because, evidence)
        elif state.policy is not None and (
            why := coldstart.trouble(state.policy, rollout, verdict)
        ):
            log.error("cold_start_fails", route=state.name, variant=rollout.challenger, because=why)
            held = replace(state, rollout=hold(rollout, by=POLICY, reason=why))
            self._mover.annotate(held, who=CONTROLLER, action="hold", because=why)

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
        self._landings.note(state.name, evidence)
        ailment = self._landings.ailment(state.name, evidence)
        verdict = judge(self.required(state, rollout, evidence))
        if verdict.action is Action.ROLLBACK:
            self._roll_back(state, Event.HARMED, verdict.because, evidence)
        elif because := expired(state.policy, rollout, evidence):
            self._roll_back(state, Event.EXPIRED, because, evidence)
        elif state.policy is not None and is_mended(state.policy, rollout, evidence):
            self._mend(state, rollout, evidence)
        elif verdict.action is Action.PROMOTE and rollout.held_by is None:
            self._go_on(state, rollout, verdict.because, evidence, ailment)
        elif ailment is None and (why := _futile(state, rollout, evidence)):
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

    def _go_on(
        self,
        state: RouteState,
        rollout: Rollout,
        because: str,
        evidence: Evidence | None,
        ailment: Ailment | None,
    ) -> None:
        """Go forward; past a broken champion it is said, and nobody is held back with that one."""
        assert state.policy is not None  # without it nothing is asked, so nothing is passed
        is_rescue = is_passable(state.policy, rollout, ailment)
        if is_rescue and ailment is not None:
            because = f"{ailment.because}: no comparison is asked for; {because}"
        if rollout.phase in EASED:
            rollout = replace(rollout, is_rescue=is_rescue)
            state = replace(state, rollout=rollout)
            self._mover.put(state)
        self._leave(state, rollout, because, evidence, None)

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
        """Give the users back: to the champion, or to whom they can be given; else hold."""
        assert state.rollout is not None  # only rollouts go back
        landing = self._landings.choose(state, state.rollout, evidence)
        told = f"{because}; {landing.because}" if landing.because else because
        if landing.champion is not None:
            self._mover.move(
                state.name,
                event,
                who=CONTROLLER,
                because=told,
                evidence=evidence,
                report=report,
                land_on=landing.champion,
            )
        elif state.rollout.held_by is None:
            log.error("rollback_has_nowhere_to_go", route=state.name, because=told)
            held = replace(state, rollout=hold(state.rollout, by=POLICY, reason=told))
            self._mover.annotate(held, who=CONTROLLER, action="hold", because=told)

    def eject(self, state: RouteState, because: str) -> None:
        """Roll back a challenger that routers gave up on."""
        self._roll_back(state, Event.EJECTED, because, self.evidence(state.name))


def _futile(state: RouteState, rollout: Rollout, evidence: Evidence | None) -> str | None:
    return None if state.policy is None else futile(state.policy, rollout, evidence)


def _with_checks(
    rollout: Rollout, report: GateReport | None, outside: Confirmation
) -> GateReport | None:
    """Return what the stage's gate and those outside found, as one report; None if neither."""
    if not outside.checks:
        return report
    own = report or GateReport(rollout.challenger, True, "its checks have passed")
    passed = own.passed and not outside.waiting
    return replace(own, passed=passed, checks=(*own.checks, *outside.checks))
