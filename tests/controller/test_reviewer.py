from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller import audit
from controller.account import ACTIONS
from controller.gatekeeper import Gatekeeper
from controller.gates.report import GateCheck, GateReport
from controller.intake import Intake
from controller.landing import Landings
from controller.mover import Mover
from controller.opening import open_database
from controller.policy import OnFutility, OnTimeout
from controller.registrar import Registrar
from controller.reviewer import LOOK_EVERY_S, Reviewer
from controller.rollout import BEFORE_TRAFFIC, Phase, Rollout, hold, resume
from controller.store import RouteState
from controller.traffic import Traffic
from evaluator.evidence import FUTILE_LOG_E, CheckState, Evidence, Role
from router.table import RoutingTable
from tests.controller.builders import (
    ALL_STAGES,
    SettableClock,
    evidence,
    intent,
    reading,
    route_intent,
)

NEXT = {
    Phase.FUNCTIONAL: Phase.PERFORMANCE,
    Phase.PERFORMANCE: Phase.SECURITY,
    Phase.SECURITY: Phase.SHADOW,
}
GOOD = evidence(
    reading("accuracy", CheckState.PASSED, Role.OBJECTIVE),
    reading("errors", CheckState.PASSED),
    counts={"pairs": 1000, "exposures_challenger": 1000},
)
HARM = evidence(harm=CheckState.TRIPPED)


class FixedEvidence(Intake):
    """Says what a test wants to be shown."""

    shown: Evidence | None = GOOD
    n_reads = 0

    def evidence(self, route: str, *, now_s: float) -> Evidence | None:
        self.n_reads += 1
        return self.shown


class Scene:
    def __init__(self, path: Path) -> None:
        self.connection = open_database(path)
        self.clock = SettableClock()
        self.intake = FixedEvidence(self.connection)
        traffic = Traffic(self.connection, lambda table: None, table=RoutingTable(version=1))
        self.mover = Mover(self.connection, self.clock, traffic, self.intake, lambda n: b"\x01" * n)
        self.mover.intent = intent()
        self.gates = Gatekeeper(self.mover, self.clock)
        landings = Landings(self.mover, self.intake, self.clock)
        registrar = Registrar(self.connection, self.mover, self.clock)
        self.reviewer = Reviewer(
            self.mover, self.intake, self.gates, landings, self.clock, registrar
        )
        self.stand_at(Phase.SHADOW)
        traffic._table = RoutingTable(
            version=1,
            routes=(self.mover.route_of(self.mover.states["digits"], route_intent()),),
        )

    def stand_at(
        self, phase: Phase, policy: object = None, in_step_s: float = 3000.0, **parts: object
    ) -> None:
        rollout = Rollout(
            challenger="digits-2",
            champion="digits-1",
            experiment="x",
            phase=phase,
            in_step_s=in_step_s,
        )
        self.mover.states = {
            "digits": RouteState(
                name="digits",
                declared_champion="digits-1",
                champion="digits-1",
                rollout=replace(rollout, **parts),
                policy=policy or route_intent(),
                salt=b"s" * 32,
            )
        }

    @property
    def rollout(self) -> Rollout:
        rollout = self.mover.states["digits"].rollout
        assert rollout is not None
        return rollout


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "understudy.db")
    yield made
    made.connection.close()


@pytest.mark.parametrize(
    ("phase", "next_phase"),
    [
        (Phase.QUEUED, Phase.FUNCTIONAL),
        (Phase.FUNCTIONAL, Phase.FUNCTIONAL),
        (Phase.SHADOW, Phase.CANARY),
        (Phase.CANARY, Phase.CANARY),
        (Phase.WATCH, Phase.PROMOTED),
        (Phase.PROMOTED, Phase.PROMOTED),
        (Phase.ROLLED_BACK, Phase.ROLLED_BACK),
    ],
)
def test_good_evidence_moves_one_stage_at_a_time(scene, phase, next_phase):
    scene.stand_at(phase)
    scene.reviewer.look()
    assert scene.rollout.phase is next_phase


@pytest.mark.parametrize("look", ["look", "look_back"])
@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.CANARY, Phase.WATCH])
@pytest.mark.parametrize("held_by", [None, "ana"])
def test_harm_rolls_back_whoever_holds(scene, look, phase, held_by):
    scene.stand_at(phase, held_by=held_by)
    scene.intake.shown = HARM
    getattr(scene.reviewer, look)()
    assert scene.rollout.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.SHADOW, Phase.CANARY, Phase.WATCH])
def test_a_held_rollout_does_not_go_forward(scene, phase):
    scene.stand_at(phase, held_by="ana")
    scene.reviewer.look()
    assert scene.rollout.phase is phase


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.SHADOW, Phase.CANARY, Phase.WATCH])
def test_looking_back_moves_nothing_forward(scene, phase):
    scene.stand_at(phase, waited_s=1e9)
    scene.reviewer.look_back()
    assert scene.rollout.phase is phase


def test_no_evidence_holds(scene):
    scene.intake.shown = None
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.SHADOW


@pytest.mark.parametrize("phase", [Phase.FUNCTIONAL, Phase.SHADOW, Phase.CANARY, Phase.WATCH])
def test_a_stage_that_lasts_too_long_goes_back(scene, phase):
    scene.intake.shown = None
    scene.stand_at(phase, waited_s=1e9)
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.ROLLED_BACK


def test_a_stage_that_may_hold_is_held_by_the_policy_and_recorded_once(scene):
    scene.intake.shown = None
    scene.stand_at(Phase.SHADOW, route_intent(on_timeout=OnTimeout.HOLD), waited_s=1e9)
    for _ in range(3):
        scene.reviewer.note_news()
        scene.reviewer.look()
    assert (scene.rollout.phase, scene.rollout.held_by) == (Phase.SHADOW, "policy")
    assert scene.connection.execute("SELECT count(*) FROM audit").fetchone() == (1,)


def test_evidence_in_time_beats_the_time_limit(scene):
    scene.stand_at(Phase.SHADOW, waited_s=1e9)
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.CANARY


def test_evidence_is_read_when_there_is_news_and_once_a_second(scene):
    scene.stand_at(Phase.SHADOW, in_step_s=0.0)
    reads = []
    for advance_s, is_news in ((0, False), (0, False), (0, True), (LOOK_EVERY_S, False)):
        scene.clock.advance(advance_s)
        if is_news:
            scene.reviewer.note_news()
        scene.reviewer.look()
        reads.append(scene.intake.n_reads)
    assert reads == [1, 1, 2, 3]


def test_a_hold_is_not_time_that_was_waited(scene):
    scene.intake.shown = None
    scene.stand_at(Phase.SHADOW, waited_s=1e9)
    state = scene.mover.states["digits"]
    scene.mover.put(replace(state, rollout=hold(scene.rollout, by="ana", reason="look")))
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.SHADOW


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.CANARY])
@pytest.mark.parametrize("on_futility", OnFutility)
def test_futility_rolls_back_only_where_the_file_says_so(scene, phase, on_futility):
    scene.stand_at(phase, policy=replace(route_intent(), on_futility=on_futility))
    waiting = replace(
        reading("accuracy", CheckState.UNDECIDED, Role.OBJECTIVE),
        log_e_futile=FUTILE_LOG_E + 0.1,
    )
    scene.intake.shown = evidence(waiting)
    scene.reviewer.look()
    is_stopped = on_futility is OnFutility.STOP
    assert (scene.rollout.phase is Phase.ROLLED_BACK) is is_stopped


def test_futility_stops_nothing_that_is_held_promoted_or_still_likely(scene):
    stop = replace(route_intent(), on_futility=OnFutility.STOP)
    waiting = reading("accuracy", CheckState.UNDECIDED, Role.OBJECTIVE)
    for phase, held_by, log_e in (
        (Phase.SHADOW, "ana", 9.0),
        (Phase.WATCH, None, 9.0),
        (Phase.SHADOW, None, 1.5),
    ):
        scene.stand_at(phase, policy=stop, held_by=held_by, in_step_s=0.0)
        scene.intake.shown = evidence(replace(waiting, log_e_futile=log_e))
        scene.reviewer.look()
        assert scene.rollout.phase is phase


def answer(scene: Scene, passed: bool, **parts: object) -> None:
    """Let the gate of the present stage answer."""
    (task,) = scene.gates.pending()
    checks = (GateCheck("rows", passed, "so", {"n": 3, "low": float("-inf")}),)
    assert scene.gates.take(task, GateReport("digits-2", passed, "so it is", checks, **parts))
    scene.reviewer.look()


def last_record(scene: Scene) -> dict:
    return audit.latest(scene.connection, route=None, actions=list(ACTIONS.values()), limit=1)[0]


@pytest.mark.parametrize("phase", sorted(BEFORE_TRAFFIC, key=lambda p: p.value))
def test_a_gate_that_is_passed_leads_on_with_its_numbers_on_record(scene, phase):
    scene.stand_at(phase, route_intent(stages=ALL_STAGES))
    answer(scene, passed=True)
    assert scene.rollout.phase is NEXT[phase]
    gate = last_record(scene)["evidence"]["gate"]
    assert (gate["stage"], gate["passed"], gate["because"]) == (phase.value, True, "so it is")
    assert gate["checks"] == [
        {"name": "rows", "passed": True, "because": "so", "numbers": {"n": 3, "low": None}}
    ]


@pytest.mark.parametrize("phase", [Phase.PERFORMANCE, Phase.SECURITY])
@pytest.mark.parametrize("held_by", [None, "ana"])
def test_a_gate_that_is_refused_ends_the_rollout_with_its_numbers_on_record(scene, phase, held_by):
    scene.stand_at(phase, route_intent(stages=ALL_STAGES), held_by=held_by)
    answer(scene, passed=False)
    record = last_record(scene)
    assert (scene.rollout.phase, record["because"]) == (Phase.ROLLED_BACK, "so it is")
    assert record["evidence"]["gate"]["checks"][0]["numbers"] == {"n": 3, "low": None}


def test_a_gate_that_could_not_be_asked_is_asked_again_until_its_time_is_over(scene):
    policy = route_intent(stages=ALL_STAGES)
    scene.stand_at(Phase.PERFORMANCE, policy)
    answer(scene, passed=False, is_transient=True)
    assert (scene.rollout.phase, scene.gates.pending()) == (Phase.PERFORMANCE, [])
    scene.clock.advance(60.0)
    assert len(scene.gates.pending()) == 1
    state = scene.mover.states["digits"]
    scene.mover.put(replace(state, rollout=replace(scene.rollout, waited_s=1e9)))
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.ROLLED_BACK
    assert last_record(scene)["evidence"]["gate"]["passed"] is False


def test_a_held_rollout_goes_on_with_what_its_gate_found_when_it_is_resumed(scene):
    scene.stand_at(Phase.PERFORMANCE, route_intent(stages=ALL_STAGES), held_by="ana")
    answer(scene, passed=True)
    assert (scene.rollout.phase, scene.gates.pending()) == (Phase.PERFORMANCE, [])
    scene.mover.put(replace(scene.mover.states["digits"], rollout=resume(scene.rollout)))
    scene.reviewer.look()
    assert scene.rollout.phase is Phase.SECURITY
