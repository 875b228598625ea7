"""The gatekeeper: what is asked of whom, and which answers count."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.gates.report import GateReport
from controller.policy import StageKind
from controller.rollout import BEFORE_TRAFFIC, Phase
from controller.store import load_routes
from tests.controller.builders import (
    ALL_STAGES,
    FUNCTIONAL,
    PERFORMANCE,
    intent,
    route_intent,
)
from tests.controller.test_reviewer import Scene

PASSED = GateReport("digits-2", True, "so")
FAILED = GateReport("digits-2", False, "not so")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "understudy.db")
    made.stand_at(Phase.PERFORMANCE, route_intent(stages=ALL_STAGES))
    yield made
    made.connection.close()


@pytest.mark.parametrize("phase", list(Phase))
def test_one_gate_a_route_is_wanted_and_only_before_traffic(scene, phase):
    scene.stand_at(phase, route_intent(stages=ALL_STAGES))
    wanted = [phase.value] if phase in BEFORE_TRAFFIC else []
    assert [task.kind.value for task in scene.gates.pending()] == wanted


def test_a_gate_is_run_as_the_file_said_when_the_rollout_began(scene):
    scene.mover.intent = intent(route_intent(stages=(replace(PERFORMANCE, at_most_s=1.0),)))
    (task,) = scene.gates.pending()
    assert task.stage == PERFORMANCE
    assert (task.challenger.name, task.champion.name) == ("digits-2", "digits-1")


def test_sample_bodies_come_from_the_present_file(scene):
    """States are saved often, so they are kept without them."""
    scene.stand_at(Phase.FUNCTIONAL, route_intent(stages=ALL_STAGES))
    stages = (replace(FUNCTIONAL, samples=(b"{}",)), *ALL_STAGES[1:])
    scene.mover.intent = intent(route_intent(stages=stages))
    (task,) = scene.gates.pending()
    assert task.stage.samples == (b"{}",)


def test_a_report_about_a_stage_that_is_over_does_not_count(scene):
    (task,) = scene.gates.pending()
    scene.stand_at(Phase.SECURITY, route_intent(stages=ALL_STAGES))
    assert not scene.gates.take(task, PASSED)
    assert scene.gates.report(scene.mover.states["digits"]) is None


def test_what_a_gate_found_is_known_until_its_stage_is_over(scene):
    (task,) = scene.gates.pending()
    assert scene.gates.take(task, FAILED)
    assert scene.gates.report(scene.mover.states["digits"]) is FAILED
    assert scene.rollout.because == "not so"
    scene.stand_at(Phase.SHADOW, route_intent(stages=ALL_STAGES))
    assert scene.gates.report(scene.mover.states["digits"]) is None


def test_only_a_gate_that_may_find_otherwise_is_asked_again(scene):
    for phase, report, is_refused in (
        (Phase.PERFORMANCE, FAILED, True),
        (Phase.PERFORMANCE, replace(FAILED, is_transient=True), False),
        (Phase.PERFORMANCE, PASSED, False),
        (Phase.FUNCTIONAL, FAILED, False),
    ):
        scene.stand_at(phase)
        assert scene.gates.is_refused(scene.rollout, report) is is_refused


def test_a_pass_by_much_is_remembered_with_the_rollout(scene):
    (task,) = scene.gates.pending()
    scene.gates.take(task, replace(PASSED, skips_shadow=True))
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.SECURITY
    saved = load_routes(scene.connection)["digits"].rollout
    assert saved is not None and saved.skips_shadow
    (task,) = scene.gates.pending()
    assert task.kind is StageKind.SECURITY
    scene.gates.take(task, PASSED)
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.CANARY
