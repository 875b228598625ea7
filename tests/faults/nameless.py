"""A whole sidecar in a network of its own whose only name server falls silent, under load.

``python -m tests.faults.nameless FOLDER SECONDS``, started by test_names.py inside fresh network
and mount namespaces; writes what it saw as JSON. Port 53 and /etc/resolv.conf are its own there.
"""

import http.client
import json
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tests.faults.running import PATH, Sidecar, kill, load

A, AAAA, IN = 1, 28, 1


class NameServer:
    """Answers every question for an address with 127.0.0.1, or takes it and says nothing."""

    def __init__(self) -> None:
        self.is_silent = False
        self.n_asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            self.n_asked += 1
            if not self.is_silent:
                self._socket.sendto(answer_to(question), client)


def answer_to(question: bytes) -> bytes:
    """Return a whole answer (RFC 1035 section 4): an address for A, nothing for others."""
    end = question.index(b"\x00", 12) + 5
    kind = int.from_bytes(question[end - 4 : end - 2], "big")
    n_answers = 1 if kind == A else 0
    head = question[:2] + b"\x81\x80" + bytes([0, 1, 0, n_answers]) + bytes(4)
    record = b"\xc0\x0c" + bytes([0, A, 0, IN, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1])
    return head + question[12:end] + record * n_answers


def counted(sidecar: Sidecar, name: str) -> float:
    """Return a sample of the metrics, 0 if it is not there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{sidecar.admin}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def play(folder: Path, silent_s: float) -> dict[str, object]:
    """Run the sidecar through ``silent_s`` of silence and a while of answers."""
    server = NameServer()
    sidecar = Sidecar(folder, host="model.test")
    unready = 0
    try:
        with load(sidecar) as clients:
            server.is_silent = True
            asked, ends_at_s = server.n_asked, time.monotonic() + silent_s
            answered, threads = clients.answered, 0
            while time.monotonic() < ends_at_s:
                unready += sidecar.get("/readyz")[0] != 200
                threads = max(threads, threads_of(sidecar.pid("router 0")))
                time.sleep(0.2)
            asked_in_silence = server.n_asked - asked
            answered_in_silence = clients.answered - answered
            failures = counted(sidecar, "understudy_dns_failures_total")
        status = restarted(sidecar)
        server.is_silent = False
        sidecar.until(lambda: sidecar.events("name resolved again"), 30)
        return {
            "status_after_restart": status,
            "failed": clients.failures[:5],
            "answered_in_silence": answered_in_silence,
            "asked_in_silence": asked_in_silence,
            "dns_failures": failures,
            "unready": unready,
            "threads": threads,
            "said": len(sidecar.events("name not resolved")),
        }
    finally:
        sidecar.close()


def restarted(sidecar: Sidecar) -> int:
    """Kill the router while the name server is silent; return what its successor answers."""
    before = sidecar.pid("router 0")
    kill(before)
    sidecar.until(lambda: sidecar.pid("router 0") != before)
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=10)
    connection.request("POST", PATH, b"{}")
    status = connection.getresponse().status
    connection.close()
    return status


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("Threads:")
    )
    return int(line.split()[1])


if __name__ == "__main__":
    print(json.dumps(play(Path(sys.argv[1]), float(sys.argv[2]))))
