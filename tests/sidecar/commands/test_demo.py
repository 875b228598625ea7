"""The command as a user meets it: exit codes, the summary file, and Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from sidecar.commands.demo import EXAMPLE, INTERRUPTED, run
from sidecar.demo.scenario import Scenario
from tests.sidecar.demo.conftest import Quiet, fake
from tests.sidecar.demo.processes import descendants, is_running

PROGRAM = """
import sys
from pathlib import Path
from rich.console import Console
from sidecar.commands.demo import EXAMPLE, run
from sidecar.demo.scenario import Scenario
from sidecar.demo.show import show_on
sidecar = tuple(sys.argv[1:])
sys.exit(run(Scenario.BETTER, None, EXAMPLE, show_on(Console()), sidecar))
"""
PROCESSES = 5
"""Two model servers, the sidecar, the client, the labeller."""


def test_good_end_is_exit_code_0_and_a_summary(tmp_path: Path) -> None:
    show = Quiet()
    target = tmp_path / "summary.json"
    assert run(Scenario.BETTER, target, EXAMPLE, show, fake("better")) == 0
    summary = json.loads(target.read_text())
    assert summary["outcome"] == "promoted"
    assert summary["failed_requests"] == 0
    assert summary["decision"]["action"] == "promote"
    said = "\n".join(show.said)
    for words in ("champion    digits-1: accuracy 0.9", "challenger  digits-2: accuracy 0.9"):
        assert words in said
    assert "audit log    verified" in said


def test_bad_end_is_exit_code_1_and_a_summary_all_the_same(tmp_path: Path) -> None:
    show = Quiet()
    target = tmp_path / "summary.json"
    assert run(Scenario.BETTER, target, EXAMPLE, show, fake("worse")) == 1
    assert json.loads(target.read_text())["outcome"] == "rolled_back"
    assert any("NOT AS IT SHOULD BE" in words for words in show.said)


def test_sidecar_that_dies_is_exit_code_1_with_its_last_words() -> None:
    show = Quiet()
    assert run(Scenario.BETTER, None, EXAMPLE, show, fake("dies")) == 1
    assert "out of luck" in show.said[-1]


def test_file_that_does_not_exist_is_exit_code_1(tmp_path: Path) -> None:
    show = Quiet()
    assert run(Scenario.BETTER, None, tmp_path / "nothing.yaml", show) == 1
    assert "nothing.yaml" in show.said[-1]


def test_ctrl_c_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *fake("stuck")],
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "stage" in line:  # the rollout is under way
                break
        started = descendants(demo.pid)
        assert len(started) >= PROCESSES
        assert list(tmp_path.iterdir())
        demo.send_signal(signal.SIGINT)
        time.sleep(0.05)
        demo.send_signal(signal.SIGTERM)  # an impatient user
        rest = demo.stdout.read()
        assert demo.wait(15.0) == INTERRUPTED
    assert "stopped" in rest
    assert not [pid for pid in started if is_running(pid)]
    assert list(tmp_path.iterdir()) == []


def test_signal_while_training_ends_the_demo(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *fake("stuck")],
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "training" in line:
                break
        demo.send_signal(signal.SIGINT)
        assert demo.wait(15.0) == INTERRUPTED
    assert list(tmp_path.iterdir()) == []
