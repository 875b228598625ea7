"""Two clocks: one for what is written down, one for how long something took."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the controller asks for the time; passed in, never imported."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch. It may jump: use it as a date, never as a duration."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment of this process. It never goes back."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """CLOCK_MONOTONIC: NTP may slew it, nothing sets it back."""
        return time.monotonic()
