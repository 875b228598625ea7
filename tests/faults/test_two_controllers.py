"""Two controllers at once: only who holds the lock decides, however long it stands still (F25).

There is no lease that runs out: the lock is the kernel's, held as long as its process lives. So a
controller that was stopped for an hour comes back as the only one there is, not as a stale one.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller import audit, store
from tests.faults.running import Sidecar, free_port, is_alive, kill


class Rival:
    """A second controller process on the state of a running sidecar."""

    def __init__(self, sidecar: Sidecar, folder: Path) -> None:
        self.log = folder / "rival.log"
        command = [sys.executable, "-m", "sidecar.process", str(sidecar.file)]
        command += ["--state", str(folder / "state"), "--admin-host", "127.0.0.1"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--admin-port", str(free_port())],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
            )

    def says(self, words: str) -> bool:
        return words in self.log.read_text()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.mark.slow
def test_a_second_controller_waits_as_long_as_the_first_lives_and_takes_over_when_it_dies(
    tmp_path: Path,
) -> None:
    sidecar = Sidecar(tmp_path)
    rival = Rival(sidecar, tmp_path)
    try:
        sidecar.until(lambda: rival.says("waiting for another controller process"))
        first = sidecar.pid("controller")
        os.kill(first, signal.SIGSTOP)
        time.sleep(1.0)  # beyond what any lease of an impatient rival would be
        assert not rival.says("admin port open")
        os.kill(first, signal.SIGCONT)
        sidecar.until(lambda: sidecar.get("/v1/status")[0] == 200)
        assert not rival.says("admin port open")
        os.kill(sidecar.supervisor.pid, signal.SIGSTOP)  # so that it starts no other one first
        kill(first)
        sidecar.until(lambda: rival.says("routing file adopted") or rival.says("admin port open"))
        assert is_alive(rival.process.pid)
        with store.reader(tmp_path / "state" / "understudy.db") as connection:
            assert audit.verify(connection).verified
            records = audit.records(connection, after=0, limit=100)
        assert [record["action"] for record in records].count("adopt") == 1
    finally:
        os.kill(sidecar.supervisor.pid, signal.SIGCONT)
        rival.end()
        sidecar.close()
