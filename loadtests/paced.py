"""The open-loop generator: one request each 1/rate seconds, whatever the answers do.

The latency of a request counts from when it was *meant* to be sent. A proxy that stalls makes
requests wait for a free connection, and that waiting is its own (no coordinated omission). How
late the generator itself was is told too: it is part of every latency, direct or through a proxy.
``python -m loadtests.paced --url URL --connections C --seconds S --rate R HEADER USERS BODY``
"""

import argparse
import array
import json
import re
import socket
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.generator import write_out
from loadtests.precise import Loop, be_punctual, now

PATIENCE_S = 5.0
"""For the last answers; a request that has none by then is broken."""
MAX_BACKLOG = 200_000
"""Requests that wait for a connection; more mean that the rate is far beyond the peer."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of an ordered sequence lies below; 0 for an empty one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Connection:
    """One kept-alive connection: at most one request under way."""

    __slots__ = ("_received", "_run", "is_open", "meant_at", "sock")

    def __init__(self, run: "Run", address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=5.0)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.meant_at = 0.0
        """When the request under way should have been sent; 0 when there is none."""
        self.is_open = True
        self._run = run
        self._received = b""

    def send(self, request: bytes, meant_at: float) -> None:
        self.meant_at = meant_at
        try:
            sent = self.sock.send(request)
        except OSError:
            sent = 0
        if sent < len(request):  # a few hundred bytes into an empty socket: only if it is dead
            self._lost()

    def read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        received = self._received + data if self._received else data
        head_end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, head_end + 2) if head_end >= 0 else None
        if head_end < 0 or (length and len(received) < head_end + 4 + int(length[1])):
            self._received = received
            return
        self._received = b""
        meant_at, self.meant_at = self.meant_at, 0.0
        # Without a length we cannot tell where an answer ends: not a 200 of the upstream's.
        self._run.answered(self, meant_at, bool(length) and received.startswith(b"HTTP/1.1 200"))

    def _lost(self) -> None:
        if self.is_open:
            self.is_open = False
            self._run.lost(self, self.meant_at)


class Run:
    """One load: the plan of sending, the connections, what was seen."""

    def __init__(
        self, address: tuple[str, int], requests: Sequence[bytes], connections: int, rate: float
    ) -> None:
        self.loop = Loop()
        self.latencies_s = array.array("d")
        self.late_s = array.array("d")
        """Of each sending, after it was meant, while connections were free."""
        self.bad_statuses = 0
        self.broken = 0
        self._address = address
        self._requests = requests
        self._rate = rate
        self._turn = self._n_sent = 0
        self._began = self._end = 0.0
        self._backlog: deque[float] = deque()
        self._connections = {Connection(self, address) for _ in range(connections)}
        self._free = deque(self._connections)
        for connection in self._connections:
            self.loop.on_readable(connection.sock, connection.read)

    def run(self, seconds: float) -> None:
        """Send for ``seconds``, then wait for what is still under way."""
        self._began = now() + 0.01
        self._end = self._began + seconds
        self.loop.at(self._began, self._send_due)
        self.loop.at(self._end + PATIENCE_S, self.loop.stop)
        self.loop.run()
        self.broken += len(self._backlog)
        self.broken += sum(1 for each in self._connections if each.meant_at)
        for connection in self._connections:
            connection.sock.close()
        self.loop.close()

    def _send_due(self) -> None:
        """Send all that is due, and come back when the next one is."""
        while True:
            meant_at = self._began + self._turn / self._rate
            if meant_at >= self._end:
                self._stop_if_done()
                return
            if (at := now()) < meant_at:
                self.loop.at(meant_at, self._send_due)
                return
            self._turn += 1
            if self._free:
                self.late_s.append(at - meant_at)
                self._send(self._free.popleft(), meant_at)
            elif len(self._backlog) < MAX_BACKLOG:
                self._backlog.append(meant_at)
            else:
                self.broken += 1

    def _send(self, connection: Connection, meant_at: float) -> None:
        self._n_sent += 1
        connection.send(self._requests[self._n_sent % len(self._requests)], meant_at)

    def answered(self, connection: Connection, meant_at: float, is_good: bool) -> None:
        if meant_at:
            self.latencies_s.append(now() - meant_at)
            self.bad_statuses += not is_good
        self._use(connection)

    def lost(self, connection: Connection, meant_at: float) -> None:
        """Replace a connection that has ended; its request is broken."""
        self.broken += bool(meant_at)
        self.loop.forget(connection.sock)
        connection.sock.close()
        self._connections.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        try:
            fresh = Connection(self, self._address)
        except OSError:
            self._stop_if_done()
            return
        self._connections.add(fresh)
        self.loop.on_readable(fresh.sock, fresh.read)
        self._use(fresh)

    def _use(self, connection: Connection) -> None:
        if self._backlog:
            self._send(connection, self._backlog.popleft())
            return
        self._free.append(connection)
        self._stop_if_done()

    def _stop_if_done(self) -> None:
        is_sent = self._began + self._turn / self._rate >= self._end
        if is_sent and not self._backlog and len(self._free) == len(self._connections):
            self.loop.stop()

    def result(self, seconds: float) -> dict[str, object]:
        """Return the fields of a LoadResult."""
        latencies, late = sorted(self.latencies_s), sorted(self.late_s)
        return {
            "requests": len(latencies),
            "seconds": seconds,
            "bad_statuses": self.bad_statuses,
            "broken": self.broken,
            "p50_ms": percentile(latencies, 0.5) * 1e3,
            "p99_ms": percentile(latencies, 0.99) * 1e3,
            "figures": {
                "rate_per_s": self._rate,
                "generator_late_p99_ms": percentile(late, 0.99) * 1e3,
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("unit_header")
    parser.add_argument("users", type=int)
    parser.add_argument("body", type=Path)
    options = parser.parse_args()
    url = urlsplit(options.url)
    assert url.hostname is not None and url.port is not None
    body = options.body.read_bytes()
    requests = write_out(url.netloc, url.path, options.unit_header, options.users, body)
    be_punctual()
    run = Run((url.hostname, url.port), requests, options.connections, options.rate)
    run.run(options.seconds)
    print("RESULT " + json.dumps(run.result(options.seconds)))


if __name__ == "__main__":
    main()
