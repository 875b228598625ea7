"""``understudy export``."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from tests.controller.builders import intent, route_intent
from tests.controller.simulation import EQUAL, Simulation


def run(*words: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, list(words))
    return outcome.exit_code, outcome.output


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state of a sidecar that is in the shadow, and still open."""
    folder = tmp_path / "state"
    route = replace(route_intent(), maturity_s=60.0, window_s=600.0)
    simulation = Simulation(folder / "understudy.db", models=EQUAL, intent=intent(route))
    simulation.run("shadow")
    for _ in range(10):
        simulation.tick(5)
    return folder


def test_export_of_a_state_is_a_recording_that_replay_reads(state: Path, tmp_path: Path) -> None:
    out = tmp_path / "evidence.ndjson"
    assert run("export", str(state), "--out", str(out)) == (0, "")
    code, output = run("replay", str(out), "--json")
    assert code == 0, output
    (one,) = json.loads(output)["experiments"]
    assert (one["route"], one["as_recorded"], one["waiting"]) == ("digits", True, 50)
    assert one["counts"]["pairs"] == 50


def test_without_a_file_it_is_written_to_standard_output(state: Path) -> None:
    code, output = run("export", str(state / "understudy.db"))
    kinds = [json.loads(line)["kind"] for line in output.splitlines()]
    assert code == 0 and kinds == ["experiment", *["waiting"] * 50]


def test_what_is_no_state_is_refused_with_a_reason(tmp_path: Path) -> None:
    code, output = run("export", str(tmp_path))
    assert code == 1 and "neither a state folder" in output
    (tmp_path / "understudy.db").write_bytes(b"nonsense" * 1000)
    code, output = run("export", str(tmp_path))
    assert code == 1 and "could not be read" in output


def test_file_that_cannot_be_written_is_named(state: Path, tmp_path: Path) -> None:
    code, output = run("export", str(state), "--out", str(tmp_path / "no" / "folder"))
    assert code == 1 and "cannot write" in output
