"""When a router stops using a challenger by itself, and when it tries again. Pure: no clock.

The controller decides about rollouts; this is the reflex that does not wait for it. A run of
failures without one success ejects; after a rest one request probes, and a success lets the
others follow. Precedent: Envoy's consecutive_5xx (5) and base_ejection_time, Linkerd's failfast.
"""

REST_S = 1.0
MAX_REST_S = 30.0


class Ejection:
    """The state of one challenger in one router. Times are monotonic seconds."""

    __slots__ = ("_limit", "_rest_s", "_until_s", "failures")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest_s = REST_S
        self._until_s: float | None = None
        self.failures = 0
        """Failures since the last success."""

    @property
    def is_ejected(self) -> bool:
        """Whether the challenger rests, or is being probed."""
        return self._until_s is not None

    def may_use(self, now_s: float) -> bool:
        """Whether a request may go to the challenger now; the one that ends a rest is a probe."""
        if self._until_s is None:
            return True
        if now_s < self._until_s:
            return False
        self._rest_s = min(self._rest_s * 2, MAX_REST_S)
        self._until_s = now_s + self._rest_s
        return True

    def succeeded(self) -> None:
        """An answer came that was not the challenger's fault."""
        self.failures = 0
        if self._until_s is not None:
            self._until_s = None
            self._rest_s = REST_S

    def failed(self, now_s: float) -> bool:
        """A request failed; return whether that ejects the challenger just now."""
        self.failures += 1
        if self._until_s is not None or self.failures < self._limit:
            return False
        self._until_s = now_s + self._rest_s
        return True
