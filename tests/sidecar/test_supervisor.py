"""The supervisor and real children: order of stopping, signals, and the pipe that ties them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.policy import Intent
from router import table
from sidecar import supervisor
from sidecar.launch import Launch
from sidecar.supervisor import StartError
from tests.pace import slowness

INTENT = Intent(routes=(), digest="d")
CHILD = """
import os, select, signal, sys, time
name, folder, alive = sys.argv[1], sys.argv[2], int(sys.argv[3])
def note(event):
    with open(f"{folder}/events", "a") as file:
        file.write(f"{name} {event} {os.getpid()}\\n")
def stop(*_):
    time.sleep(float(sys.argv[4])); note("stopped"); os._exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, lambda *_: note("reload"))
signal.signal(signal.SIGUSR1, lambda *_: note("retiring"))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGUSR1})
note("started")
while not select.select([alive], [], [], 60)[0]:
    pass
note("orphaned")
"""
PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from sidecar.child import Command
from sidecar.handover import HandOver, Ports
from sidecar.supervisor import Supervisor
folder, child, slow, delay = sys.argv[1:]
alive, held = os.pipe()
def command(name, rest):
    argv = (sys.executable, "-S", "-E", "-c", child, name, folder, str(alive), rest)
    return Command(name, argv, (alive,), frozenset({signal.SIGHUP, signal.SIGUSR1}))
async def main():
    routers = [command("router0", slow), command("router1", "0")]
    ports = Ports(("", 0), ("", 0), [], [])
    hand_over = HandOver(Path(folder) / "handover.sock", ports)
    controller = command("controller", "0")
    one = Supervisor(routers, controller, ports, hand_over, drain_s=0.5, delay_s=float(delay))
    one.start()
    await one.run()
asyncio.run(main())
"""


class Family:
    """A supervisor process with three children that write down what happens to them."""

    def __init__(self, folder: Path, slow: str, delay: str) -> None:
        self.folder = folder
        argv = [sys.executable, "-c", PARENT, str(folder), CHILD, slow, delay]
        self.parent = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        self.until(lambda: len(self.pids("started")) == 3)

    def events(self) -> list[tuple[str, str, int]]:
        path = self.folder / "events"
        rows = path.read_text().splitlines() if path.exists() else []
        return [(name, event, int(pid)) for name, event, pid in map(str.split, rows)]

    def pids(self, event: str) -> dict[str, int]:
        return {name: pid for name, what, pid in self.events() if what == event}

    def until(self, condition: Callable[[], object], within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"did not happen in time: {self.events()}"
            time.sleep(0.02)

    def end(self) -> None:
        self.parent.kill()
        self.parent.wait()
        self.until(lambda: not any(is_alive(pid) for _, _, pid in self.events()))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    made: list[Family] = []

    def start(slow: str = "0", delay: str = "0") -> Family:
        made.append(Family(tmp_path, slow, delay))
        return made[-1]

    yield start
    for each in made:
        each.end()


def test_routers_stop_before_the_controller(family: Callable[..., Family]) -> None:
    one = family(slow="0.2")
    one.parent.terminate()
    assert one.parent.wait(timeout=5) == 0
    stopped = [name for name, event, _ in one.events() if event == "stopped"]
    assert sorted(stopped[:2]) == ["router0", "router1"] and stopped[2:] == ["controller"]


def test_router_that_does_not_drain_in_time_is_killed(family: Callable[..., Family]) -> None:
    one = family(slow="30")
    began = time.monotonic()
    one.parent.terminate()
    assert one.parent.wait(timeout=10) == 0
    assert 0.5 <= time.monotonic() - began < 10.0
    assert set(one.pids("stopped")) == {"router1", "controller"}
    assert not is_alive(one.pids("started")["router0"])


def test_asking_twice_does_not_wait_for_the_drain(family: Callable[..., Family]) -> None:
    one = family(slow="30")
    one.parent.send_signal(signal.SIGINT)
    one.until(lambda: "router1" in one.pids("stopped"))
    began = time.monotonic()
    one.parent.send_signal(signal.SIGINT)
    assert one.parent.wait(timeout=5) == 0
    assert time.monotonic() - began < 1.0 * slowness()


def test_controller_knows_of_the_stop_before_the_routers(family: Callable[..., Family]) -> None:
    one = family(delay="0.5")
    began = time.monotonic()
    one.parent.terminate()
    one.until(lambda: "controller" in one.pids("retiring"))
    assert one.pids("stopped") == {}
    assert one.parent.wait(timeout=5) == 0
    assert time.monotonic() - began >= 0.5


def test_controller_that_is_restarted_during_the_stop_knows_of_it_too(
    family: Callable[..., Family],
) -> None:
    one = family(delay="2")
    one.parent.terminate()
    one.until(lambda: "controller" in one.pids("retiring"))
    first = one.pids("retiring")["controller"]
    os.kill(first, signal.SIGKILL)
    one.until(lambda: one.pids("started")["controller"] != first)
    one.until(lambda: one.pids("retiring")["controller"] != first)
    assert one.parent.wait(timeout=5) == 0


def test_asking_twice_does_not_wait_for_the_delay(family: Callable[..., Family]) -> None:
    one = family(delay="60")
    one.parent.terminate()
    one.until(lambda: "controller" in one.pids("retiring"))
    one.parent.terminate()
    assert one.parent.wait(timeout=2) == 0
    assert not any(is_alive(pid) for pid in one.pids("started").values())


def test_hangup_reaches_the_controller_alone(family: Callable[..., Family]) -> None:
    one = family()
    one.parent.send_signal(signal.SIGHUP)
    one.until(lambda: one.pids("reload"))
    assert set(one.pids("reload")) == {"controller"}
    assert one.parent.poll() is None


def test_killed_child_is_replaced_and_the_others_never_notice(
    family: Callable[..., Family],
) -> None:
    one = family()
    before = one.pids("started")
    os.kill(before["router1"], signal.SIGKILL)
    one.until(lambda: one.pids("started")["router1"] != before["router1"], within_s=2)
    after = one.pids("started")
    assert {name for name in after if after[name] != before[name]} == {"router1"}


def test_children_notice_the_death_of_the_supervisor(family: Callable[..., Family]) -> None:
    one = family()
    one.parent.kill()
    one.until(lambda: len(one.pids("orphaned")) == 3, within_s=2)


def launch(state: Path) -> Launch:
    return Launch(
        file=Path("routing.yaml"),
        state=state,
        host="127.0.0.1",
        port=0,
        admin_host="127.0.0.1",
        admin_port=8081,
    )


def test_state_directory_serves_one_supervisor_at_a_time(tmp_path: Path) -> None:
    lock = supervisor.lock_state(tmp_path / "state")
    with pytest.raises(StartError, match="in use"):
        supervisor.lock_state(tmp_path / "state")
    lock.close()
    supervisor.lock_state(tmp_path / "state").close()


def test_state_directory_is_closed_to_other_users(tmp_path: Path) -> None:
    supervisor.lock_state(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_state_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="file/state"):
        supervisor.lock_state(tmp_path / "file" / "state")


def test_routers_find_a_table_before_the_controller_ever_ran(tmp_path: Path) -> None:
    supervisor.prepare(launch(tmp_path), INTENT)
    assert table.from_bytes((tmp_path / "table.msgpack").read_bytes()).version == 0


def test_state_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="too long"):
        supervisor.prepare(launch(tmp_path / ("x" * 120)), INTENT)
