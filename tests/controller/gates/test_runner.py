import socket
from dataclasses import replace

import pytest

from controller.gates import runner
from controller.policy import StageKind
from tests.controller.builders import StageSpec, variant
from tests.controller.gates.test_task import TASK


async def test_the_functional_gate_is_the_one_that_asks_the_challenger():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        there = replace(TASK, challenger=variant("digits-2", listener.getsockname()[1]))
        report = await runner.run(there)
    assert report.passed and [check.name for check in report.checks] == ["ready"]


@pytest.mark.parametrize("kind", [kind for kind in StageKind if kind not in runner.RUNNERS])
async def test_a_gate_that_is_not_there_is_not_passed(kind):
    report = await runner.run(replace(TASK, stage=StageSpec(kind=kind)))
    assert not report.passed and kind.value in report.because
