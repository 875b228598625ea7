"""Connections that ask once and then say nothing, and how they lie on several workers."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtests.generator import write_out
from loadtests.work import PATH, PREDICT, UNIT_HEADER, request_body

_TIMEOUT_S = 10.0
_ESTABLISHED = "01"
"""State in /proc/net/tcp (include/net/tcp_states.h)."""


class Held:
    """Open connections, each of which has had one answer of 200."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.n_answered = 0

    def n_open(self) -> int:
        """Count the connections that the other side has not ended."""
        return sum(1 for each in self.sockets if _is_silent(each))


def _is_silent(sock: socket.socket) -> bool:
    """Whether the other side keeps the connection open; what it still says is thrown away."""
    try:
        while sock.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@contextlib.contextmanager
def holding(port: int, n: int) -> Iterator[Held]:
    """Open ``n`` connections to 127.0.0.1:``port``, ask on each, hold them. OSError if refused."""
    body = request_body(PREDICT.request_bytes)
    requests = write_out(f"127.0.0.1:{port}", PATH, UNIT_HEADER, n, body)
    held = Held()
    with contextlib.ExitStack() as stack:
        for request in requests:
            sock = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
            held.sockets.append(stack.enter_context(sock))
            sock.sendall(request)
            held.n_answered += sock.recv(65_536).startswith(b"HTTP/1.1 200")
            sock.setblocking(False)
        yield held


def connections_of(pid: int, port: int) -> int:
    """Count the established connections that a process holds on its local ``port``."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _ESTABLISHED:
            inodes.add(f"socket:[{fields[9]}]")
    count = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(fd) in inodes
    return count


def workers_share(pids: Sequence[int], port: int) -> float:
    """Return the share of all connections that the worker with the most of them has."""
    counts = [connections_of(pid, port) for pid in pids]
    return max(counts) / max(sum(counts), 1)
