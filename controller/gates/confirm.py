"""Which webhooks are asked to confirm a move, since when, and what they said. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.gates.report import GateCheck, GateReport
from controller.gates.schedule import Key, Schedule
from controller.gates.task import GateTask, HookCall
from controller.policy import OnHookTimeout


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What those outside say of one move."""

    checks: tuple[GateCheck, ...] = ()
    """One for each webhook, in the file's order."""
    refused: str = ""
    """Why the rollout must end; empty if it need not."""

    @property
    def waiting(self) -> tuple[str, ...]:
        """Return what is still to be confirmed, as sentences."""
        return tuple(f"{check.name}: {check.because}" for check in self.checks if not check.passed)


class Confirmations:
    """One owner, the gatekeeper. A restart forgets all of it, and everybody is asked again."""

    def __init__(self) -> None:
        self._schedule = Schedule()
        self._asked: dict[str, dict[Key, tuple[GateTask, float]]] = {}
        """By route: what is asked, and the moment of the first question (monotonic clock)."""

    def ask(self, route: str, tasks: Sequence[GateTask], *, now_s: float) -> Confirmation:
        """Have ``tasks`` asked, those that are asked already go on; return how it stands."""
        known = self._asked.get(route, {})
        self._asked[route] = {
            task.key: (task, known[task.key][1] if task.key in known else now_s) for task in tasks
        }
        return self.standing(route, now_s=now_s)

    def retract(self, route: str) -> None:
        """Ask nobody any more: what they would confirm is not to be had now."""
        if self._asked.pop(route, None) is not None:
            self._schedule.forget(route)

    def due(self, *, now_s: float) -> list[GateTask]:
        """Return the webhooks to call now."""
        return [
            task
            for asked in self._asked.values()
            for key, (task, _) in asked.items()
            if self._schedule.is_due(key, now_s=now_s)
        ]

    def take(self, task: GateTask, report: GateReport, *, now_s: float) -> bool:
        """Remember an answer; return whether it is still asked for."""
        if task.key not in self._asked.get(task.route.name, {}):
            return False
        self._schedule.returned(task.key, report, now_s=now_s)
        return True

    def standing(self, route: str, *, now_s: float) -> Confirmation:
        """Return what was said so far of the move that ``route`` asks about."""
        checks, refused = [], ""
        for key, (task, since_s) in self._asked.get(route, {}).items():
            assert task.hook is not None  # only webhooks are asked here
            report = self._schedule.report(key)
            check = _check(task.hook, report, now_s - since_s)
            checks.append(check)
            is_late = not check.passed and now_s - since_s >= task.hook.spec.timeout_s
            if is_late and task.hook.spec.on_timeout is OnHookTimeout.ABORT:
                refused = refused or f"{check.name}: {check.because}"
        return Confirmation(tuple(checks), refused)


def _check(hook: HookCall, report: GateReport | None, waited_s: float) -> GateCheck:
    name, spec = f"webhook {hook.spec.name}", hook.spec
    if report is not None and report.passed:
        return GateCheck(name, True, report.because, {"waited_s": round(waited_s, 3)})
    said = "has not answered yet" if report is None else report.because
    numbers = {"waited_s": round(waited_s, 3), "timeout_s": spec.timeout_s}
    if waited_s < spec.timeout_s:
        return GateCheck(name, False, said, numbers)
    late = f"{said}, and {spec.timeout_s:g} s are over"
    if spec.on_timeout is OnHookTimeout.PROCEED:
        return GateCheck(name, True, f"{late}: it goes on without, as declared", numbers)
    return GateCheck(name, False, late, numbers)
