"""A loop of callbacks with timers good to some microseconds; asyncio's round up to a millisecond.

select(2) takes its time-out in microseconds, and can wait for an epoll descriptor. The kernel adds
50 us of slack to every wait unless it is told not to. Nothing here spins: the load generator and
the upstreams' stand-ins share a core.
"""

import gc
import heapq
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

now = time.perf_counter
"""Seconds of CLOCK_MONOTONIC, which all processes of a machine share."""
now_ns = time.perf_counter_ns


class Loop:
    """Readable sockets and due times, each with its callback. One per process."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._n_timers = 0
        self._is_stopped = False

    def on_readable(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        """Call back whenever ``sock`` can be read, until ``forget``."""
        self._readers[sock.fileno()] = callback
        self._epoll.register(sock, select.EPOLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching ``sock``; before it is closed."""
        self._epoll.unregister(sock)
        del self._readers[sock.fileno()]

    def at(self, due: float, callback: Callable[[], None]) -> None:
        """Call back once, at ``due`` on the clock of ``now`` or as soon after it as can be."""
        self._n_timers += 1  # callbacks have no order, so no two entries may be equal before them
        heapq.heappush(self._timers, (due, self._n_timers, callback))

    def stop(self) -> None:
        """Return from ``run`` after the callback under way."""
        self._is_stopped = True

    def run(self) -> None:
        """Call back until stopped."""
        timers, readers, epoll = self._timers, self._readers, self._epoll
        while not self._is_stopped:
            while timers and timers[0][0] <= now():
                heapq.heappop(timers)[2]()
                if self._is_stopped:
                    return
            wait_s = max(0.0, timers[0][0] - now()) if timers else 1.0
            if select.select((epoll,), (), (), wait_s)[0]:
                for fd, _ in epoll.poll(0):
                    if reader := readers.get(fd):
                        reader()

    def close(self) -> None:
        self._epoll.close()


def be_punctual() -> None:
    """Ask the kernel for no slack in our waits, and Python for no pauses to collect cycles."""
    gc.disable()
    try:
        Path("/proc/self/timerslack_ns").write_text("1")
    except OSError:
        pass  # an old kernel: up to 50 us late, alike for every peer
