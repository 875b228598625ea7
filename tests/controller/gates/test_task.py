from dataclasses import replace

from controller.gates.task import GateTask
from controller.policy import StageKind
from tests.controller.builders import FUNCTIONAL, SECURITY, route_intent, variant

TASK = GateTask(
    route=route_intent(),
    stage=FUNCTIONAL,
    experiment="x",
    challenger=variant("digits-2"),
    champion=variant("digits-1"),
)


def test_a_task_is_known_by_route_experiment_and_stage():
    others = (
        replace(TASK, stage=SECURITY),
        replace(TASK, experiment="y"),
        replace(TASK, route=route_intent(name="other")),
    )
    assert len({TASK.key, *(task.key for task in others)}) == 4
    assert TASK.kind is StageKind.FUNCTIONAL


def test_a_file_that_changes_does_not_make_it_another_task():
    assert replace(TASK, route=route_intent(path="/other")).key == TASK.key


def test_a_first_version_is_compared_with_nobody():
    assert not TASK.is_first
    assert replace(TASK, champion=TASK.challenger).is_first
