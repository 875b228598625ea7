"""When a gate is asked again, with growing pauses, and what it said last. Pure."""

from dataclasses import dataclass

from controller.gates.report import GateReport

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""Pauses double from the first to this; chosen, so that a model server which loads for minutes is
found ready within half a minute."""

Key = tuple[str, ...]
"""What is asked: route, experiment, stage, and what else tells it from the others there."""


@dataclass(frozen=True, slots=True)
class _Answered:
    times: int
    next_at_s: float
    report: GateReport


class Schedule:
    """Remembers the last answers of each route; lost at a restart, when gates are simply asked
    again.

    What was passed is not asked again. Answers of a stage that is over are forgotten with the next
    one of their route. Whether an attempt is under way is for those who make it to know.
    """

    def __init__(self) -> None:
        self._answered: dict[str, dict[Key, _Answered]] = {}

    def is_due(self, key: Key, *, now_s: float) -> bool:
        """Whether it may be asked now (monotonic clock)."""
        last = self._of(key)
        return last is None or (not last.report.passed and now_s >= last.next_at_s)

    def returned(self, key: Key, report: GateReport, *, now_s: float) -> None:
        """Note what was answered: if it is asked again, then after a pause."""
        last = self._of(key)
        times = 1 if last is None else last.times + 1
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(times - 1, 10))
        kept = self._answered.get(key[0], {}).items()
        self._answered[key[0]] = {
            **{other: answered for other, answered in kept if other[:3] == key[:3]},
            key: _Answered(times, now_s + pause_s, report),
        }

    def report(self, key: Key) -> GateReport | None:
        """Return what was answered last; None before it was."""
        last = self._of(key)
        return None if last is None else last.report

    def forget(self, route: str) -> None:
        """Forget every answer of ``route``."""
        self._answered.pop(route, None)

    def _of(self, key: Key) -> _Answered | None:
        return self._answered.get(key[0], {}).get(key)
