"""The gatekeeper: what is asked of whom, and which answers count."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.controller import Act
from controller.gates.report import GateReport
from controller.policy import OnHookTimeout, StageKind, WebhookSpec
from controller.rollout import BEFORE_TRAFFIC, Phase
from controller.store import load_routes
from tests.controller.builders import (
    ALL_STAGES,
    FUNCTIONAL,
    PERFORMANCE,
    intent,
    route_intent,
)
from tests.controller.simulation import FAILING, Simulation
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
    assert task.stage == PERFORMANCE and task.route.stages == ALL_STAGES
    assert (task.challenger.name, task.champion.name) == ("digits-2", "digits-1")


def test_a_metric_that_left_the_file_is_still_asked_of_a_rollout_that_began_with_it(scene):
    began = scene.mover.states["digits"].policy
    scene.mover.intent = intent(replace(began, metrics=began.metrics[:1], alpha=0.5))
    (task,) = scene.gates.pending()
    assert (task.route.metrics, task.route.alpha) == (began.metrics, began.alpha)


def test_the_version_that_a_gate_looks_at_is_the_one_that_is_proven_to_run(scene):
    """Not another one that the file names since: its files are not those of the challenger."""
    began = replace(route_intent(stages=ALL_STAGES), models=(("digits-2", "digits:2"),))
    scene.stand_at(Phase.SECURITY, began)
    scene.mover.intent = intent(replace(began, models=(("digits-2", "digits:3"),)))
    asked = []
    scene.gates.model_of = lambda route, name: asked.append(dict(route.models).get(name))
    scene.gates.pending()
    assert asked == ["digits:2", None]


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


# Webhooks, in a whole rollout.

YES = GateReport("", True, "answered 200")


def asked(
    start: Callable[..., Simulation], stage: str, on_timeout: OnHookTimeout, **parts: object
) -> Simulation:
    """A simulation in which a webhook must confirm that ``stage`` may be left."""
    hook = WebhookSpec(name="risk", url="http://h/x", timeout_s=60.0, on_timeout=on_timeout)
    stages = tuple(
        replace(one, webhooks=(replace(hook, **parts),)) if one.kind.value == stage else one
        for one in ALL_STAGES
    )
    return start(intent=intent(route_intent(stages=stages)))


def until_called(simulation: Simulation) -> None:
    for _ in range(2000):
        if simulation.called:
            return
        simulation.tick()
    raise AssertionError(f"nobody is called: {simulation.status()}")


@pytest.mark.parametrize("stage", ["functional", "security", "shadow", "canary"])
def test_a_stage_is_left_when_its_webhook_confirms(start, stage):
    simulation = asked(start, stage, OnHookTimeout.HOLD)
    until_called(simulation)
    for _ in range(20):
        simulation.tick()
    assert simulation.phase == stage
    assert simulation.status()["missing"] == ["webhook risk: has not answered yet"]
    simulation.hooks["risk"] = YES
    for _ in range(3):
        simulation.tick()
    assert simulation.phase != stage
    record = next(r for r in simulation.audit() if (r["phase_from"], r["phase_to"]) == MOVES[stage])
    last = record["evidence"]["gate"]["checks"][-1]
    assert (last["name"], last["passed"]) == ("webhook risk", True)


MOVES = {
    "functional": ("functional", "performance"),
    "security": ("security", "shadow"),
    "shadow": ("shadow", "canary"),
    "canary": ("canary", "watch"),
}


def test_guardrails_watch_while_a_webhook_is_waited_for(start):
    simulation = asked(start, "canary", OnHookTimeout.HOLD)
    until_called(simulation)
    simulation.models = FAILING
    assert simulation.run("rolled_back", at_most=100) == "rolled_back"
    assert simulation.controller.pending_gates() == []


@pytest.mark.parametrize(
    ("on_timeout", "phase"),
    [
        (OnHookTimeout.ABORT, "rolled_back"),
        (OnHookTimeout.PROCEED, "watch"),
        (OnHookTimeout.HOLD, "canary"),
    ],
)
def test_silence_is_what_the_file_says_it_is(start, on_timeout, phase):
    simulation = asked(start, "canary", on_timeout)
    until_called(simulation)
    for _ in range(125):
        simulation.tick(5)
    assert simulation.phase == phase
    if on_timeout is not OnHookTimeout.HOLD:
        checks = simulation.audit()[-1]["evidence"]["gate"]["checks"]
        assert "60 s are over" in checks[-1]["because"]


def test_who_holds_for_ever_holds_until_the_stages_own_limit(start):
    simulation = asked(start, "canary", OnHookTimeout.HOLD)
    until_called(simulation)
    simulation.clock.advance(7200.0)
    simulation.tick()
    assert simulation.phase == "rolled_back"


@pytest.mark.parametrize(("each_step", "step"), [(True, 0), (False, 2)])
def test_a_webhook_may_be_asked_before_every_step(start, each_step, step):
    simulation = asked(start, "canary", OnHookTimeout.HOLD, each_step=each_step)
    until_called(simulation)
    assert simulation.status()["step"] == step


def test_a_held_rollout_asks_nobody(start):
    simulation = asked(start, "canary", OnHookTimeout.ABORT)
    until_called(simulation)
    simulation.controller.act("digits", Act.HOLD, "ana", "wait")
    simulation.tick()
    simulation.called.clear()
    simulation.clock.advance(200.0)
    simulation.tick()
    assert (simulation.called, simulation.phase) == ([], "canary")


def test_a_restart_asks_again(start):
    simulation = asked(start, "shadow", OnHookTimeout.HOLD)
    until_called(simulation)
    simulation.called.clear()
    simulation.restart()
    until_called(simulation)
    assert simulation.phase == "shadow"
