"""A lock ends with its holder."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import lockfile

HOLDER = """
import sys, time; from pathlib import Path; from sidecar import lockfile
held = lockfile.take(Path(sys.argv[1])); print("held", flush=True); time.sleep(60)
"""


def test_second_taker_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first = lockfile.take(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        lockfile.take(tmp_path / "lock")
    first.close()
    lockfile.take(tmp_path / "lock").close()


def test_killed_holder_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    argv = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            lockfile.take(path)
        holder.send_signal(signal.SIGKILL)
    lockfile.take(path).close()


def test_child_does_not_keep_the_lock_of_its_parent(tmp_path: Path) -> None:
    lock = lockfile.take(tmp_path / "lock")
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        lock.close()
        lockfile.take(tmp_path / "lock").close()
        child.kill()
