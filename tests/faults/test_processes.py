"""What dies takes nothing else with it: a whole sidecar in real processes, under load."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.running import Load, Sidecar, is_alive, kill, load
from tests.pace import slowness

Start = Callable[..., Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Sidecar] = []

    def make(workers: int = 1) -> Sidecar:
        made.append(Sidecar(tmp_path, workers))
        return made[-1]

    yield make
    for sidecar in made:
        sidecar.close()


def seen(sidecar: Sidecar) -> int:
    """Return how many mirrored requests the evaluator knows of, answered or lost."""
    status, content = sidecar.get("/v1/status")
    counts = content["routes"][0]["counts"] if status == 200 else {}
    return int(counts.get("pairs", -1)) + int(counts.get("lost", 0))


def phase(sidecar: Sidecar) -> object:
    status, content = sidecar.get("/v1/status")
    return content["routes"][0]["phase"] if status == 200 else None


def test_killed_controller_fails_no_request_and_loses_no_observation(start: Start) -> None:
    """F22: what the routers saw meanwhile waits for the new one, and is counted once."""
    sidecar = start()
    sidecar.until(lambda: phase(sidecar) == "shadow")
    with load(sidecar) as clients:
        for _ in range(3):
            n_starts = len(sidecar.events("started"))
            kill(sidecar.pid("controller"))
            sidecar.until(lambda n=n_starts: len(sidecar.events("started")) > n)  # type: ignore[misc] # bound now
            sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert clients.failures == []
    sidecar.until(lambda: seen(sidecar) >= clients.answered)
    assert seen(sidecar) == clients.answered


def test_killed_router_fails_only_what_it_had_in_hand(start: Start) -> None:
    """F20: connections that wait in the backlog are served by its successor."""
    sidecar = start(workers=2)
    with load(sidecar) as clients:
        victim = sidecar.pid("router 0")
        other = sidecar.pid("router 1")
        kill(victim)
        took_s = sidecar.until(lambda: sidecar.pid("router 0") != victim)
        assert took_s < 2.0 * slowness()
        sidecar.until(lambda: sidecar.get("/readyz")[0] == 200)
    assert len(clients.failures) <= 4  # four clients, one request each
    assert "ConnectionRefusedError" not in clients.failures
    assert sidecar.pid("router 1") == other


def test_only_router_killed_refuses_no_new_connection(start: Start) -> None:
    sidecar = start(workers=1)
    with load(sidecar) as clients:
        kill(sidecar.pid("router 0"))
        time.sleep(0.5)
    assert len(clients.failures) <= 4
    assert "ConnectionRefusedError" not in clients.failures


def test_killed_supervisor_takes_its_children_with_it(start: Start) -> None:
    sidecar = start(workers=2)
    sidecar.supervisor.kill()
    took_s = sidecar.until(lambda: not any(is_alive(pid) for pid in sidecar.pids()))
    assert took_s < 12.0


def test_reload_storm_fails_no_request_and_leaves_the_last_file_in_force(start: Start) -> None:
    """F27: a thousand hang-ups, some of them while the file is half written."""
    sidecar = start()
    good = sidecar.file.read_text()
    controller = sidecar.pid("controller")
    with load(sidecar) as clients:
        for k in range(1000):
            sidecar.file.write_text(good if k % 2 else good[: len(good) // 2])
            sidecar.supervisor.send_signal(signal.SIGHUP)
        sidecar.file.write_text(good)
        sidecar.supervisor.send_signal(signal.SIGHUP)
        sidecar.until(lambda: sidecar.get("/v1/status")[1].get("config_error", "") is None)
    assert clients.failures == []
    assert sidecar.pid("controller") == controller


def test_half_written_file_is_never_in_force(start: Start) -> None:
    """F26: it is written in place, piece by piece, and read at each piece."""
    sidecar = start()
    good = sidecar.file.read_text().replace("digits-2", "digits-3")
    name = "understudy_config_last_reload_successful"
    with load(sidecar) as clients:
        for cut in range(0, len(good) - 4, len(good) // 40):
            sidecar.file.write_text(good[:cut])
            sidecar.supervisor.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        sidecar.until(lambda: f"{name} 0.0" in sidecar.text("/metrics"))
        names = {route["challenger"] for route in sidecar.get("/v1/status")[1]["routes"]}
        assert names == {"digits-2"}
        sidecar.file.write_text(good)
        sidecar.supervisor.send_signal(signal.SIGHUP)
        sidecar.until(lambda: f"{name} 1.0" in sidecar.text("/metrics"))
    assert clients.failures == []


def test_second_sidecar_on_the_same_state_is_refused(start: Start) -> None:
    sidecar = start()
    second = subprocess.run(sidecar.command(), stderr=subprocess.PIPE, text=True, timeout=30)
    assert second.returncode == 1 and "in use" in second.stderr
    clients = Load(sidecar.port, clients=1)
    sidecar.until(lambda: clients.answered > 5)
    clients.stop()
    assert clients.failures == []
