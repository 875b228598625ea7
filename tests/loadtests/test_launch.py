import os
import sys
import time
from pathlib import Path

import pytest

from loadtests.launch import Launched, StartFailed, fetch, free_port

CORE = min(os.sched_getaffinity(0))
HAS_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)


def is_alive(pid: int) -> bool:
    """A zombie is not alive; whoever adopted it may be slow to reap it."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ports_are_not_given_twice() -> None:
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)


def test_process_runs_on_its_core_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"]
    with Launched(command, cores={CORE}, log=tmp_path / "log") as launched:
        launched.wait(10)
    assert (tmp_path / "log").read_text() == f"{CORE}\n"


def test_leaving_ends_children_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Launched([sys.executable, "-c", HAS_CHILD], cores={CORE}, log=log) as launched:
        launched.wait_ready(lambda: log.read_text().endswith("\n"))
        pids = [launched.pid, int(log.read_text())]
        assert all(is_alive(pid) for pid in pids)
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(is_alive(pid) for pid in pids)


def test_process_that_ends_before_it_is_ready_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such port')"]
    with Launched(command, cores={CORE}, log=tmp_path / "log") as launched:
        with pytest.raises(StartFailed, match=r"ended with 1\nno such port"):
            launched.wait_ready(lambda: False)


def test_process_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with Launched(command, cores={CORE}, log=tmp_path / "log") as launched:
        with pytest.raises(StartFailed, match="not ready"):
            launched.wait_ready(lambda: fetch(port)[0] == 200, seconds=0.2)


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    launched = Launched([sys.executable, "-c", "pass"], cores={CORE}, log=tmp_path / "log")
    launched.stop()
    launched.stop()
