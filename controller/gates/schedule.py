"""When a gate is asked again: with growing pauses. Pure."""

from dataclasses import dataclass

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""Pauses double from the first to this; chosen, so that a model server which loads for minutes is
found ready within half a minute."""


@dataclass(frozen=True, slots=True)
class _Answered:
    experiment: str
    times: int
    next_at_s: float


class Schedule:
    """Remembers the last answer a route; lost at a restart, when gates are simply asked again.

    Whether an attempt is under way is for those who make it to know.
    """

    def __init__(self) -> None:
        self._answered: dict[str, _Answered] = {}

    def is_due(self, route: str, experiment: str, *, now_s: float) -> bool:
        """Whether the gate of ``experiment`` may be asked now (monotonic clock)."""
        last = self._answered.get(route)
        return last is None or last.experiment != experiment or now_s >= last.next_at_s

    def returned(self, route: str, experiment: str, *, now_s: float) -> None:
        """Note that it was asked and answered: if it is asked again, then after a pause."""
        last = self._answered.get(route)
        times = last.times + 1 if last is not None and last.experiment == experiment else 1
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(times - 1, 10))
        self._answered[route] = _Answered(experiment, times, now_s + pause_s)
