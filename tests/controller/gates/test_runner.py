import socket
from dataclasses import replace

import msgspec
import pytest

from controller.gates import runner
from controller.gates.goldenspec import Allowed, GoldenSpec, PerformanceSpec
from controller.policy import StageKind
from tests.controller.builders import StageSpec, variant
from tests.controller.gates.models import Model, served
from tests.controller.gates.test_task import TASK


async def test_the_functional_gate_is_the_one_that_asks_the_challenger():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = replace(TASK, challenger=variant("digits-2", listener.getsockname()[1]))
        report = await runner.run(there)
    assert report.passed and [check.name for check in report.checks] == ["ready"]


@pytest.mark.parametrize(
    "kind",
    [k for k in StageKind if k not in runner.RUNNERS and k is not StageKind.PERFORMANCE],
)
async def test_a_gate_that_is_not_there_is_not_passed(kind):
    report = await runner.run(replace(TASK, stage=StageSpec(kind=kind)))
    assert not report.passed and kind.value in report.because


async def test_a_fault_of_ours_in_a_gate_is_not_passed_and_ends_nothing(monkeypatch):
    async def broken(_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setitem(runner.RUNNERS, StageKind.FUNCTIONAL, broken)
    report = await runner.run(TASK)
    assert not report.passed and report.is_transient
    assert "RecursionError" in report.because and report.challenger == TASK.challenger.name


async def test_the_performance_gate_shows_its_progress_and_is_over_when_it_ends(tmp_path):
    path = tmp_path / "golden.ndjson"
    path.write_text('{"request": 1, "label": 1}\n' * 30)
    gates = runner.GateRunner()
    seen: list[dict[str, int] | None] = []

    def predict(_: object) -> dict[str, int]:
        seen.append(gates.board.of("digits"))
        return {"prediction": 1}

    spec = PerformanceSpec(
        golden=GoldenSpec(path=str(path)), metrics=(("accuracy", Allowed(absolute=0.2)),)
    )
    async with (
        served(Model(predict)) as challenger,
        served(Model(predict), "digits-1") as champion,
    ):
        stage = StageSpec(kind=StageKind.PERFORMANCE, performance=spec)
        champion = msgspec.structs.replace(champion, name="digits-1")
        report = await gates.run(
            replace(TASK, stage=stage, challenger=challenger, champion=champion)
        )
    assert report.passed, report.because
    done = [one["rows_done"] for one in seen if one is not None and one["rows"] == 30]
    assert len(done) == 60 and min(done) == 0 and max(done) > 20
    assert gates.board.of("digits") is None


async def test_a_performance_stage_that_cannot_begin_is_tried_again():
    report = await runner.run(replace(TASK, stage=StageSpec(kind=StageKind.PERFORMANCE)))
    assert report.is_transient and "no golden set" in report.because
