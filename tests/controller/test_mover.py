import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller import audit, store
from controller.intake import Intake
from controller.mover import MAX_HISTORY, Mover
from controller.opening import open_database
from controller.rollout import Event, IllegalMove, Phase
from controller.store import RouteState, StoreError
from controller.traffic import Traffic
from evaluator.evidence import CheckState, Role
from router.table import Route, RoutingTable, Split
from tests.controller.builders import NOW_S, SettableClock, evidence, intent, reading, route_intent

STATE = RouteState(name="digits", declared_champion="digits-1", champion="digits-1")


class Scene:
    """A mover of one route, with the file adopted and its first challenger queued."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.clock = SettableClock()
        self.traffic = Traffic(connection, self.publish, table=RoutingTable(version=1))
        self.intake = Intake(connection)
        entropy = random.Random(1).randbytes
        self.mover = Mover(connection, self.clock, self.traffic, self.intake, entropy)
        self.mover.intent = intent(route_intent(challengers=("digits-2", "digits-3")))
        self.mover.states = {"digits": STATE}
        self.published: list[RoutingTable] = []
        route = self.mover.route_of(STATE, self.mover.serving()["digits"])
        self.traffic.renumber(above=1)
        self.traffic._table = RoutingTable(version=2, routes=(route,))
        self.mover.queue()

    def publish(self, table: RoutingTable) -> None:
        self.published.append(table)

    @property
    def state(self) -> RouteState:
        return self.mover.states["digits"]

    @property
    def phase(self) -> Phase | None:
        return self.state.rollout.phase if self.state.rollout else None

    @property
    def route(self) -> Route:
        return self.traffic.table.routes[0]

    def move(self, *events: Event) -> None:
        for event in events:
            self.mover.move(
                "digits",
                event,
                who="x",
                because=event.value,
                evidence=evidence(counts={"pairs": 9}),
            )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    connection = open_database(tmp_path / "understudy.db")
    yield Scene(connection)
    connection.close()


TO_SHADOW = (Event.STARTED, Event.CLEARED_FOR_SHADOW)
TO_WATCH = (
    *TO_SHADOW,
    Event.CLEARED_FOR_CANARY,
    Event.STEP_PASSED,
    Event.STEP_PASSED,
    Event.PROVEN,
)


def test_a_queued_challenger_moves_nothing(scene):
    assert scene.phase is Phase.QUEUED
    assert scene.published == []
    assert audit.head(scene.connection).sequence == 0


def test_queueing_again_changes_nothing(scene):
    before = scene.state
    scene.mover.queue()
    assert scene.state == before


def test_state_table_and_record_move_together(scene):
    scene.move(*TO_SHADOW)
    assert store.load_routes(scene.connection) == {"digits": scene.state}
    assert store.load_table(scene.connection) == scene.traffic.table == scene.published[-1]
    (started, advanced) = audit.records(scene.connection, after=0, limit=9)
    assert (started["action"], advanced["action"]) == ("start", "advance")
    assert scene.route.mirror is not None


def test_counts_at_entry_are_those_of_the_evidence(scene):
    scene.move(Event.STARTED, Event.CLEARED_FOR_SHADOW)
    assert scene.state.rollout is not None
    assert scene.state.rollout.counts_at_entry == {"pairs": 9}


def test_only_the_end_of_the_watch_makes_a_champion(scene):
    scene.move(*TO_WATCH)
    assert scene.state.champion == "digits-1"
    scene.move(Event.WATCH_PASSED)
    assert (scene.state.champion, scene.state.previous_champion) == ("digits-2", "digits-1")
    assert scene.route.split == Split(champion="digits-2")
    assert scene.state.tried == ("digits-2",)
    assert not scene.intake.has("digits")


def test_a_promotion_taken_back_brings_the_old_champion(scene):
    scene.move(*TO_WATCH, Event.WATCH_PASSED, Event.ORDERED)
    assert (scene.state.champion, scene.state.previous_champion) == ("digits-1", None)
    assert [past.phase for past in scene.state.history] == ["promoted", "rolled_back"]
    assert scene.state.tried == ("digits-2",)


def test_the_next_challenger_waits_for_the_end_of_the_one_before(scene):
    scene.move(*TO_SHADOW)
    scene.mover.queue()
    assert scene.state.rollout is not None
    assert scene.state.rollout.challenger == "digits-2"
    scene.move(Event.HARMED)
    scene.mover.queue()
    assert scene.state.rollout.challenger == "digits-3"
    assert scene.phase is Phase.QUEUED


def test_an_illegal_move_changes_nothing(scene):
    before = scene.state
    with pytest.raises(IllegalMove):
        scene.move(Event.PROVEN)
    assert scene.state == before
    assert audit.head(scene.connection).sequence == 0


@pytest.mark.parametrize("n_moves", range(4))
def test_a_move_forward_that_cannot_be_written_is_not_made(scene, n_moves):
    scene.move(*TO_WATCH[:n_moves])
    before, published = scene.state, list(scene.published)
    shown = scene.intake.evidence("digits", now_s=NOW_S)
    scene.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        scene.move(TO_WATCH[n_moves])
    assert (scene.state, scene.published) == (before, published)
    assert scene.intake.evidence("digits", now_s=NOW_S) == shown
    scene.connection.execute("PRAGMA query_only = OFF")
    scene.move(TO_WATCH[n_moves])


def test_a_move_back_is_made_whatever_the_store_says(scene):
    scene.move(*TO_WATCH)
    scene.connection.execute("PRAGMA query_only = ON")
    scene.move(Event.HARMED)
    assert scene.phase is Phase.ROLLED_BACK
    assert scene.published[-1].routes[0].split == Split(champion="digits-1")
    scene.connection.execute("PRAGMA query_only = OFF")
    assert scene.traffic.settle()
    assert store.load_routes(scene.connection)["digits"].rollout == scene.state.rollout


def test_a_rollout_keeps_the_policy_it_began_under(scene):
    scene.move(*TO_SHADOW)
    began = scene.state.policy
    assert scene.mover.intent is not None
    other = replace(route_intent(challengers=("digits-2",)), alpha=0.5)
    scene.mover.intent = intent(other, digest="d2")
    scene.move(Event.CLEARED_FOR_CANARY)
    assert scene.state.policy == began


def test_a_queued_rollout_begins_under_the_latest_policy(scene):
    latest = replace(route_intent(challengers=("digits-2",)), alpha=0.01)
    scene.mover.intent = intent(latest, digest="d2")
    scene.move(Event.STARTED)
    assert scene.state.policy == latest


def test_samples_are_not_saved_with_every_state(scene):
    stages = tuple(replace(stage, samples=(b"{}",)) for stage in route_intent().stages)
    scene.mover.intent = intent(route_intent(stages=stages), digest="d2")
    scene.move(Event.STARTED)
    assert scene.state.policy == route_intent()


def test_a_route_held_after_a_loss_queues_its_challengers_held(scene):
    scene.mover.put(replace(STATE, hold_reason="the state was damaged"))
    scene.mover.queue()
    assert scene.state.rollout is not None
    assert (scene.state.rollout.held_by, scene.state.rollout.hold_reason) == (
        "recovery",
        "the state was damaged",
    )


def test_a_note_is_recorded_and_moves_no_traffic(scene):
    published = list(scene.published)
    scene.mover.annotate(scene.state, who="ana", action="refuse", because="no")
    (record,) = audit.records(scene.connection, after=0, limit=9)
    assert (record["action"], record["who"]) == ("refuse", "ana")
    assert (record["phase_from"], record["phase_to"]) == ("queued", "queued")
    assert scene.published == published


def test_history_is_bounded(scene):
    for _ in range(MAX_HISTORY + 5):
        scene.move(Event.STARTED, Event.ORDERED)
        scene.mover.put(replace(scene.state, tried=()))
        scene.mover.queue()
    assert len(scene.state.history) == MAX_HISTORY


def test_a_fresh_mover_goes_on_and_counts_the_time_between(scene):
    scene.move(*TO_SHADOW)
    scene.clock.advance(30.0)
    again = Mover(
        scene.connection, scene.clock, scene.traffic, Intake(scene.connection), random.randbytes
    )
    again.intent = scene.mover.intent
    assert again.take_up() == []
    rollout = again.states["digits"].rollout
    assert rollout is not None
    assert (rollout.in_step_s, rollout.waited_s) == (30.0, 30.0)


def test_two_challengers_share_alpha_until_one_is_proven(scene: Scene) -> None:
    first = scene.state.rollout
    assert first is not None and first.alpha_objective == pytest.approx(0.025)
    scene.move(*TO_SHADOW, Event.CLEARED_FOR_CANARY)
    sure = reading("accuracy", CheckState.PASSED, Role.OBJECTIVE, log_e=5.0)
    shown = evidence(sure, counts={})
    scene.mover.move("digits", Event.PROVEN, who="x", because="proven", evidence=shown)
    scene.move(Event.WATCH_PASSED)
    assert scene.state.history[-1].claimed_log_e == 5.0
    scene.mover.queue()
    second = scene.state.rollout
    assert second is not None and second.challenger == "digits-3"
    assert second.alpha_objective == pytest.approx(0.05)
