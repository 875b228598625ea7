"""When a gate is asked again: one attempt at a time, with growing pauses. Pure."""

from dataclasses import dataclass

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""Pauses double from the first to this; chosen, so that a model server which loads for minutes is
found ready within half a minute."""
LEASE_S = 300.0
"""An attempt without a report after this long counts as lost, and another may begin."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The latest attempt of one experiment."""

    experiment: str
    returns: int
    next_at_s: float
    """Monotonic clock: no further attempt before this."""


class Schedule:
    """Remembers one attempt a route; lost at a restart, when gates are simply asked again."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}

    def begin(self, route: str, experiment: str, *, now_s: float) -> bool:
        """Return whether the gate may be asked now, and note that it is."""
        last = self._attempts.get(route)
        if last is None or last.experiment != experiment:
            last = Attempt(experiment, 0, now_s)
        if now_s < last.next_at_s:
            return False
        self._attempts[route] = Attempt(experiment, last.returns, now_s + LEASE_S)
        return True

    def returned(self, route: str, *, now_s: float) -> None:
        """Note that the attempt under way has ended; if it is asked again, then after a pause."""
        last = self._attempts.get(route)
        if last is None:
            return
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(last.returns, 10))
        self._attempts[route] = Attempt(last.experiment, last.returns + 1, now_s + pause_s)
