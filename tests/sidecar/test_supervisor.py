"""The supervisor and real children: order of stopping, signals, and the pipe that ties them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.policy import Intent
from router import table
from router.certificate import ServerTls
from sidecar import supervisor
from sidecar.supervisor import Launch, StartError

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
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
note("started")
while not select.select([alive], [], [], 60)[0]:
    pass
note("orphaned")
"""
PARENT = """
import asyncio, os, sys
from sidecar.child import Command
from sidecar.supervisor import Supervisor
folder, child, slow = sys.argv[1:]
alive, held = os.pipe()
def command(name, rest):
    argv = (sys.executable, "-S", "-E", "-c", child, name, folder, str(alive), rest)
    return Command(name, argv, (alive,))
async def main():
    routers = [command("router0", slow), command("router1", "0")]
    await Supervisor(routers, command("controller", "0"), [], drain_s=0.5).run()
asyncio.run(main())
"""


class Family:
    """A supervisor process with three children that write down what happens to them."""

    def __init__(self, folder: Path, slow: str) -> None:
        self.folder = folder
        argv = [sys.executable, "-c", PARENT, str(folder), CHILD, slow]
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

    def start(slow: str = "0") -> Family:
        made.append(Family(tmp_path, slow))
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
    assert 0.5 <= time.monotonic() - began < 4.0
    assert set(one.pids("stopped")) == {"router1", "controller"}
    assert not is_alive(one.pids("started")["router0"])


def test_asking_twice_does_not_wait_for_the_drain(family: Callable[..., Family]) -> None:
    one = family(slow="30")
    one.parent.send_signal(signal.SIGINT)
    one.until(lambda: "router1" in one.pids("stopped"))
    began = time.monotonic()
    one.parent.send_signal(signal.SIGINT)
    assert one.parent.wait(timeout=5) == 0
    assert time.monotonic() - began < 1.0


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


def test_workers_get_their_own_socket_and_the_common_pipe(tmp_path: Path) -> None:
    with socket.socket() as listener:
        number = listener.fileno()
        command = supervisor.router_command(launch(tmp_path), 1, number, alive_fd=99)
    assert command.fds == (number, 99)
    assert command.argv[1:] == (
        *("-P", "-m", "router.worker", "--listen-fd", str(number), "--worker", "1"),
        *("--table", str(tmp_path / "table.msgpack")),
        *("--control", str(tmp_path / "control.sock")),
        *("--alive-fd", "99", "--drain-s", "10", "--log-level", "info"),
    )


def test_workers_are_told_which_certificate_to_show(tmp_path: Path) -> None:
    shown = replace(launch(tmp_path), tls=ServerTls("/c", "/k"))
    argv = supervisor.router_command(shown, 0, 5, alive_fd=99).argv
    assert argv[-4:] == ("--tls-cert", "/c", "--tls-key", "/k")
    asking = replace(shown, tls=ServerTls("/c", "/k", "/a"))
    argv = supervisor.router_command(asking, 0, 5, alive_fd=99).argv
    assert argv[-2:] == ("--tls-client-ca", "/a")


def test_controller_gets_what_a_reload_does_not_change(tmp_path: Path) -> None:
    """Its settings must not depend on a file that may be broken by the time it is restarted."""
    command = supervisor.controller_command(launch(tmp_path), alive_fd=99)
    assert command.fds == (99,) and signal.SIGHUP in command.blocked
    assert command.argv[1:] == (
        *("-m", "sidecar.process", "routing.yaml", "--alive-fd", "99"),
        *("--state", str(tmp_path), "--log-level", "info"),
        *("--admin-host", "127.0.0.1", "--admin-port", "8081"),
    )
