"""The open loop against a real upstream in a thread: its pace, and what it blames on whom."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from loadtests.generator import write_out
from loadtests.paced import Run, percentile
from loadtests.upstream import respond

REQUESTS = write_out("a", "/predict", "x-user-id", 3, b"{}")
STALL_S = 0.2


class Slow:
    """Answers one connection after the other's request; stalls once, after ``stall_after``."""

    def __init__(self, stall_after: int | None, answer: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.served = 0
        self._stall_after = stall_after
        self._answer = answer
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._lock = threading.Lock()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.listener.getsockname()
        return host, port

    def start(self) -> None:
        self._threads[0].start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            while sock.recv(65_536):
                with self._lock:
                    self.served += 1
                    if self.served == self._stall_after:
                        time.sleep(STALL_S)
                if not self._answer:
                    return
                sock.sendall(self._answer)

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join(5)


def serve(stall_after: int | None = None, answer: bytes = respond(b"200 OK", b"{}")) -> Slow:
    slow = Slow(stall_after, answer)
    slow.start()
    return slow


@pytest.fixture
def steady() -> Iterator[Slow]:
    slow = serve()
    yield slow
    slow.stop()


def run(slow: Slow, *, rate: float, seconds: float, connections: int = 4) -> dict[str, object]:
    load = Run(slow.address, REQUESTS, connections, rate)
    load.run(seconds)
    return load.result(seconds)


def test_requests_are_sent_at_the_rate_whatever_the_answers_do(steady: Slow) -> None:
    result = run(steady, rate=200, seconds=0.5)
    assert result["requests"] == steady.served == 100
    assert (result["bad_statuses"], result["broken"]) == (0, 0)


def test_stall_is_in_the_latency_of_every_request_that_was_due_meanwhile() -> None:
    slow = serve(stall_after=10)
    load = Run(slow.address, REQUESTS, 4, 200.0)
    load.run(0.5)
    slow.stop()
    result = load.result(0.5)
    assert result["requests"] == 100
    # 40 of the 100 requests were due in the 200 ms; the first of them waited all that time, and
    # half of them half of it. A closed loop would have sent 4, and seen 4 slow answers.
    assert isinstance(result["p99_ms"], float)
    assert result["p99_ms"] > 0.8 * STALL_S * 1e3
    assert sum(1 for each in load.latencies_s if each > STALL_S / 2) >= 15


def test_answers_other_than_200_are_counted() -> None:
    slow = serve(answer=respond(b"503 Sorry", b"{}"))
    result = run(slow, rate=100, seconds=0.2)
    slow.stop()
    assert result["bad_statuses"] == result["requests"] == 20


def test_connection_that_is_cut_is_broken_and_replaced() -> None:
    slow = serve(answer=b"")
    result = run(slow, rate=100, seconds=0.2)
    slow.stop()
    assert result["requests"] == 0
    assert result["broken"] == 20


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0)])
def test_percentile_is_a_value_of_the_sequence(share: float, expected: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == expected
    assert percentile([], share) == 0.0
