"""So many a second, on average: one allowance that grows with time and is spent in bulk. Pure."""

BURST_S = 2.0
"""What was not used is kept for this long. Chosen."""


class Rate:
    """What one sender may spend. A purchase larger than what is there is allowed, and owed.

    So a body of any size passes sooner or later, and the average holds: nothing more passes until
    what is owed has grown back.
    """

    def __init__(self, per_second: float, now_s: float) -> None:
        self.per_second = per_second
        self._left = per_second * BURST_S
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing may be spent; 0 when it may now."""
        grown = max(0.0, now_s - self._at_s) * self.per_second
        self._left = min(self.per_second * BURST_S, self._left + grown)
        self._at_s = now_s
        return 0.0 if self._left > 0.0 else (1.0 - self._left) / self.per_second

    def spend(self, count: int) -> None:
        """Note that ``count`` were taken."""
        self._left -= count
