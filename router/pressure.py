"""Measures how late the event loop is and how much memory the process holds.

Costs two system calls ten times a second, and nothing per request.
"""

import ctypes
import os
import resource

MEMORY_EVERY_S = 0.1
TRIM_EVERY_S = 1.0
FADING = 0.9
"""A late tick counts for less at each tick that follows: half after seven, a tenth after 22."""

_PAGE_BYTES = resource.getpagesize()
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none


class Pressure:
    """Owner: the Server, which tells it of each tick and closes it."""

    def __init__(self, tick_s: float) -> None:
        self._tick_s = tick_s
        self._due_s: float | None = None
        self._statm = -1
        """Opened at the first tick: a server that never starts holds no descriptor."""
        self._next_memory_s = 0.0
        self._next_trim_s = 0.0
        self.lag_s = 0.0
        """How late the loop is: the worst of the last ticks, fading."""
        self.worst_lag_s = 0.0
        """Since ``take_worst_lag_s`` was called last."""
        self.memory_bytes = 0
        """Resident, at most a tenth of a second ago."""

    def tick(self, now_s: float) -> None:
        """Note that a tick, asked for ``tick_s`` after the last one, has come at ``now_s``."""
        late_s = 0.0 if self._due_s is None else max(0.0, now_s - self._due_s)
        self._due_s = now_s + self._tick_s
        self.lag_s = max(late_s, self.lag_s * FADING)
        self.worst_lag_s = max(self.worst_lag_s, late_s)
        if now_s >= self._next_memory_s:
            self._next_memory_s = now_s + MEMORY_EVERY_S
            self.memory_bytes = self._resident_bytes()

    def _resident_bytes(self) -> int:
        if self._statm < 0:
            self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        return int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE_BYTES

    def take_worst_lag_s(self) -> float:
        """Return the worst lateness since the last call."""
        worst_s, self.worst_lag_s = self.worst_lag_s, 0.0
        return worst_s

    def trim(self, now_s: float) -> None:
        """Give freed memory back to the system, at most once a second.

        The C library keeps it otherwise: a process that was short of memory once would look short
        of it for ever. Takes a few milliseconds for a heap of 100 MB.
        """
        if now_s < self._next_trim_s or _malloc_trim is None:
            return
        self._next_trim_s = now_s + TRIM_EVERY_S
        _malloc_trim(0)
        self._next_memory_s = 0.0

    def close(self) -> None:
        """Let go of the descriptor; idempotent."""
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1
