"""The command as a user meets it: exit codes, the summary file, and Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from sidecar.commands.demo import EXAMPLE, INTERRUPTED, run
from sidecar.demo.scenario import Scenario
from tests.sidecar.demo.conftest import Quiet, fake
from tests.sidecar.demo.elsewhere import elsewhere
from tests.sidecar.demo.processes import descendants, is_running

PROGRAM = """
import sys
from pathlib import Path
from rich.console import Console
from sidecar.commands.demo import run
from sidecar.demo.scenario import Scenario
from sidecar.demo.show import show_on
file, *sidecar = sys.argv[1:]
sys.exit(run(Scenario.BETTER, None, Path(file), show_on(Console()), tuple(sidecar)))
"""
PROCESSES = 5
"""Two model servers, the sidecar, the client, the labeller."""


@pytest.fixture
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder beside the one that must be empty in the end."""
    return tmp_path_factory.mktemp("aside")


@pytest.fixture
def hurried(tmp_path: Path) -> Path:
    """The demo's own routing file with less patience."""
    document = yaml.safe_load(elsewhere(tmp_path).read_text())
    document["routes"][0]["rollout"]["stages"] = [
        {"functional": {"samples": str(EXAMPLE.parent / "digits-samples.jsonl")}},
        {"shadow": {"share": "100%", "at_least": 100}},
        {"canary": {"shares": ["25%", "50%"]}},
        {"production": {"watch": "10s", "holdback": "10%"}},
    ]
    file = tmp_path / "hurried.yaml"
    file.write_text(yaml.safe_dump(document, explicit_end=True))
    return file


@pytest.mark.slow
def test_challenger_that_crashes_under_the_real_sidecar_is_out_and_no_user_notices(
    hurried: Path, tmp_path: Path
) -> None:
    show = Quiet()
    target = tmp_path / "summary.json"
    code = run(Scenario.CRASH, target, hurried, show)
    said = "\n".join(show.said)
    assert code == 0, said
    summary = json.loads(target.read_text())
    assert summary["outcome"] == "rolled_back"
    assert summary["champion_after"] == "digits-1"
    assert summary["requests"] > 0 and summary["failed_requests"] == 0
    assert summary["seconds_to_rollback"] < 1.0
    assert summary["decision"]["action"] == "rollback"
    assert summary["audit_verified"] is True
    assert "challenger  digits-2: accuracy 0.9" in said
    assert "(3 x error, 2 x hang, 1 x exit)" in said


def test_bad_end_is_exit_code_1_and_a_summary_all_the_same(tmp_path: Path) -> None:
    show = Quiet()
    target = tmp_path / "summary.json"
    assert run(Scenario.BETTER, target, elsewhere(tmp_path), show, fake("worse")) == 1
    assert json.loads(target.read_text())["outcome"] == "rolled_back"
    assert any("NOT AS IT SHOULD BE" in words for words in show.said)


def test_sidecar_that_dies_ends_everything_with_exit_code_1_and_its_last_words(
    tmp_path: Path,
) -> None:
    show = Quiet()
    before = descendants(os.getpid())
    assert run(Scenario.BETTER, None, elsewhere(tmp_path), show, fake("dies")) == 1
    assert re.search(r"the sidecar ended with 3:\s+out of luck", show.said[-1])
    assert show.is_over
    assert descendants(os.getpid()) == before


def test_file_that_does_not_exist_is_exit_code_1(tmp_path: Path) -> None:
    show = Quiet()
    assert run(Scenario.BETTER, None, tmp_path / "nothing.yaml", show) == 1
    assert "nothing.yaml" in show.said[-1]


def test_ctrl_c_leaves_no_process_and_no_folder_behind(tmp_path: Path, aside: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(elsewhere(aside)), *fake("stuck")],
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


def test_signal_while_training_ends_the_demo(tmp_path: Path, aside: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(elsewhere(aside)), *fake("stuck")],
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
