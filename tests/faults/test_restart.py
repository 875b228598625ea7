"""F21: stop, restart and hand-over of a whole sidecar in real processes, under load."""

import asyncio
import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.table import Match, Route, RoutingTable, Split
from tests.faults.running import PATH, Sidecar, is_alive, load
from tests.router.kit import Client, Model, echoes, post, until, variant
from tests.router.running import worker

Start = Callable[..., Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Sidecar] = []

    def make(workers: int = 1, more: str = "") -> Sidecar:
        made.append(Sidecar(tmp_path, workers, more))
        return made[-1]

    yield make
    for sidecar in made:
        sidecar.close()


def started(sidecar: Sidecar, child: str) -> int:
    """Return how often ``child`` was started, by all supervisors."""
    return len([line for line in sidecar.events("started") if line.get("child") == child])


def test_successor_takes_over_under_load_and_no_request_fails(start: Start) -> None:
    """Twice; half of the clients keep their connections, and all of them POST."""
    sidecar = start(workers=2)
    with load(sidecar) as clients:
        for _ in range(2):
            former = sidecar.take_over()
            former.wait(20)
            assert former.returncode == 0
            sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert clients.failures == []
    assert started(sidecar, "controller") == 3
    assert sidecar.supervisor.poll() is None


class Pretender:
    """A successor that says what the test wants, and serves nobody."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.line.settimeout(5)
        self.line.connect(str(sidecar.folder / "state" / "handover.sock"))
        self.line.send(b"take 1")
        _, self.numbers, _, _ = socket.recv_fds(self.line, 4096, 16)

    def say_ready(self) -> None:
        self.line.send(b"ready")
        assert self.line.recv(100) == b"leaving"

    def die(self) -> None:
        self.line.close()
        for number in self.numbers:
            os.close(number)


def test_successor_that_dies_before_it_is_ready_changes_nothing(start: Start) -> None:
    sidecar = start()
    with load(sidecar) as clients:
        pretender = Pretender(sidecar)
        assert len(pretender.numbers) == 2
        pretender.die()
        sidecar.until(
            lambda: sidecar.events("the successor has ended before it was ready: nothing changes")
        )
    assert clients.failures == []
    assert started(sidecar, "router 0") == started(sidecar, "controller") == 1


@pytest.mark.parametrize("after_s", [0.0, 0.2], ids=["at once", "draining"])
def test_successor_that_dies_before_the_former_has_left_brings_it_back(
    start: Start, after_s: float
) -> None:
    """What came meanwhile waits in the sockets, which the former still holds."""
    sidecar = start()
    address = ("127.0.0.1", sidecar.port)
    with load(sidecar) as clients, socket.create_connection(address) as busy:
        busy.sendall(b"GET /x HTTP/1.1\r\n")  # half a request: the drain lasts as long as it may
        pretender = Pretender(sidecar)
        pretender.say_ready()
        time.sleep(after_s)
        pretender.die()
        sidecar.until(lambda: started(sidecar, "router 0") == 2)
        sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert clients.failures == []
    assert sidecar.supervisor.poll() is None


def test_former_killed_in_the_middle_leaves_everything_to_its_successor(start: Start) -> None:
    """Its children see that it is gone, and stop as if they were asked to."""
    sidecar = start()
    with load(sidecar) as clients:
        former = sidecar.take_over()
        sidecar.until(lambda: sidecar.events("serving beside the former sidecar, which leaves now"))
        former.kill()
        sidecar.until(lambda: started(sidecar, "controller") == 2)
        sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert clients.failures == []


def test_former_that_hangs_is_not_waited_for_and_serves_on(start: Start) -> None:
    sidecar = start()
    former = sidecar.supervisor
    former.send_signal(signal.SIGSTOP)
    with load(sidecar) as clients:
        successor = sidecar.start("--take-over")
        assert successor.wait(20) == 1
        former.send_signal(signal.SIGCONT)
    assert clients.failures == []
    assert former.poll() is None
    assert "does not hand over" in sidecar.log.read_text()


def test_successor_may_have_another_number_of_workers(start: Start) -> None:
    """Fewer: none of the former's sockets is forgotten. More: they join in on the port."""
    sidecar = start(workers=3)
    text = sidecar.file.read_text()
    with load(sidecar) as clients:
        for workers in (1, 2):
            sidecar.file.write_text(text.replace("workers: 3", f"workers: {workers}"))
            assert sidecar.take_over().wait(20) == 0
            sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert clients.failures == []


def test_take_over_of_nobody_is_a_start(start: Start) -> None:
    sidecar = start()
    sidecar.supervisor.kill()
    sidecar.until(lambda: not any(is_alive(pid) for pid in sidecar.pids()))
    sidecar.take_over()
    sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)


# Stopping for good.


def test_readiness_fails_first_and_traffic_is_served_meanwhile(start: Start) -> None:
    sidecar = start(more="stop: {delay: 10s}\n")
    with load(sidecar) as clients:
        began = time.monotonic()
        sidecar.supervisor.send_signal(signal.SIGTERM)
        sidecar.until(lambda: sidecar.get("/readyz")[0] == 503)
        assert time.monotonic() - began < 5.0
        assert sidecar.get("/readyz")[1]["retiring"] is True
        assert sidecar.get("/livez")[0] == 200
    assert time.monotonic() - began < 10.0, "too slow a machine for this test"
    assert clients.failures == []
    assert sidecar.supervisor.wait(20) == 0
    assert time.monotonic() - began > 10.0


def test_second_signal_does_not_wait(start: Start) -> None:
    sidecar = start(more="stop: {delay: 1h, drain: 1h}\n")
    sidecar.supervisor.send_signal(signal.SIGTERM)
    sidecar.until(lambda: sidecar.get("/readyz")[0] == 503)
    began = time.monotonic()
    sidecar.supervisor.send_signal(signal.SIGTERM)
    sidecar.supervisor.wait(20)
    assert time.monotonic() - began < 15.0  # and not for an hour, or two
    assert not any(is_alive(pid) for pid in sidecar.pids())


def test_stop_lets_requests_under_way_finish(start: Start) -> None:
    sidecar = start()
    statuses: list[int] = []

    def ask_slowly() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=10)
        connection.request("POST", PATH, b"{}", {"x-sleep": "1"})
        statuses.append(connection.getresponse().status)
        connection.close()

    asking = threading.Thread(target=ask_slowly)
    asking.start()
    time.sleep(0.3)
    sidecar.supervisor.send_signal(signal.SIGTERM)
    asking.join()
    assert statuses == [200]
    assert sidecar.supervisor.wait(10) == 0
    assert not any(is_alive(pid) for pid in sidecar.pids())


async def test_posts_on_kept_connections_survive_the_stop_of_a_router() -> None:
    """Each client sends as fast as it can until an answer tells it that it was the last."""
    model = Model("m", echoes)
    await model.start()
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=(variant("m", model.port),),
        split=Split(champion="m"),
    )
    n_answered = 0

    async def ask_until_told(client: Client, n: int) -> None:
        nonlocal n_answered
        while True:
            body = b"%d" % n_answered
            answer = await client.ask(post(body))
            assert (answer.status, answer.body) == (200, b"/x " + body)
            n_answered += 1
            if b"connection" in answer.fields:
                return
            await asyncio.sleep(0.01 * (n % 20))

    async with worker(RoutingTable(version=1, routes=(route,)), drain_s=5.0) as one:
        clients = [await one.client() for _ in range(60)]
        asking = [ask_until_told(client, n) for n, client in enumerate(clients)]
        everybody = asyncio.gather(*asking)
        await until(lambda: n_answered > 300)
        one.terminate()
        await asyncio.wait_for(everybody, 10)
        for client in clients:
            client.close()
        assert await one.ended() == 0
    assert len(model.requests) == n_answered
    await model.close()
