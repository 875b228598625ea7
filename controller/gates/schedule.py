"""When a gate is asked again, with growing pauses, and what it said last. Pure."""

from dataclasses import dataclass

from controller.gates.report import GateReport
from controller.policy import StageKind

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""Pauses double from the first to this; chosen, so that a model server which loads for minutes is
found ready within half a minute."""


@dataclass(frozen=True, slots=True)
class _Answered:
    experiment: str
    kind: StageKind
    times: int
    next_at_s: float
    report: GateReport


class Schedule:
    """Remembers the last answer a route; lost at a restart, when gates are simply asked again.

    A gate that was passed is not asked again in its stage. Whether an attempt is under way is for
    those who make it to know.
    """

    def __init__(self) -> None:
        self._answered: dict[str, _Answered] = {}

    def is_due(self, route: str, experiment: str, kind: StageKind, *, now_s: float) -> bool:
        """Whether the gate of this stage may be asked now (monotonic clock)."""
        last = self._of(route, experiment, kind)
        return last is None or (not last.report.passed and now_s >= last.next_at_s)

    def returned(
        self, route: str, experiment: str, kind: StageKind, report: GateReport, *, now_s: float
    ) -> None:
        """Note what it answered: if it is asked again, then after a pause."""
        last = self._of(route, experiment, kind)
        times = 1 if last is None else last.times + 1
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(times - 1, 10))
        self._answered[route] = _Answered(experiment, kind, times, now_s + pause_s, report)

    def report(self, route: str, experiment: str, kind: StageKind) -> GateReport | None:
        """Return what the gate of this stage answered last; None before it did."""
        last = self._of(route, experiment, kind)
        return None if last is None else last.report

    def _of(self, route: str, experiment: str, kind: StageKind) -> _Answered | None:
        last = self._answered.get(route)
        if last is None or (last.experiment, last.kind) != (experiment, kind):
            return None
        return last
