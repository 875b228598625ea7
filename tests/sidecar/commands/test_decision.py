"""``understudy replay --decision``, on the state of a rollout that was rolled back."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands.decision import decision
from tests.controller.simulation import WORSE, Simulation


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A state folder, and the record of the rollback in it."""
    folder = tmp_path_factory.mktemp("state")
    one = Simulation(folder / "understudy.db", models=WORSE)
    one.run("rolled_back")
    sequence = one.audit()[-1]["sequence"]
    one.stop()
    return folder, sequence


def test_one_decision_is_reached_again(
    played: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    state, sequence = played
    assert decision(sequence, state=state, as_json=False) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{sequence}: harmed again, and so from the stored evidence: ")
    assert decision(sequence, state=state / "understudy.db", as_json=True) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["outcome"], row["from_evidence"], row["judged"]) == ("same", "same", "harmed")


def test_all_decisions_are_judged_with_one_command(played: tuple[Path, int]) -> None:
    state, sequence = played
    asked = ["replay", "--decision", "0", "--state", str(state)]
    outcome = CliRunner().invoke(app, asked)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.splitlines()[-1].startswith(f"{sequence}: harmed again")


def test_a_record_without_a_verdict_says_so(
    played: tuple[Path, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert decision(1, state=played[0], as_json=False) == 0
    assert "not judged: it is no verdict of the evidence" in capsys.readouterr().out


def test_changed_evidence_exits_1(
    played: tuple[Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, sequence = played
    copy = tmp_path / "state"
    shutil.copytree(state, copy)
    connection = sqlite3.connect(copy / "understudy.db", isolation_level=None)
    connection.execute("UPDATE decided SET snapshot = x'20'")
    connection.close()
    assert decision(sequence, state=copy, as_json=False) == 1
    assert "but DIFFERENT from the stored evidence" in capsys.readouterr().out


def test_wrong_usage_exits_2(played: tuple[Path, int], tmp_path: Path) -> None:
    assert decision(10_000, state=played[0], as_json=False) == 2
    assert decision(1, state=tmp_path / "no", as_json=False) == 2
    for words in (["--decision", "3"], ["--state", "x"], ["--decision", "3", "--state", "x", "f"]):
        assert CliRunner().invoke(app, ["replay", *words]).exit_code == 2
