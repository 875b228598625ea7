"""Whole rollouts, every decision of which is reached again from its record and its evidence."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import decided
from controller.act import Act
from controller.policy import Intent, StageKind
from controller.rejudge import Outcome, Rejudged, rejudge
from controller.rollout import Event
from tests.controller.builders import intent
from tests.controller.simulation import BETTER, EQUAL, FAILING, WORSE, Model, Simulation

JOURNEYS = {"better": BETTER, "worse": WORSE, "failing": FAILING}


def judged(one: Simulation) -> list[Rejudged]:
    found = [rejudge(r, decided.load(one.connection, r["sequence"])) for r in one.audit()]
    return [result for result in found if result.recorded]


@pytest.mark.parametrize("journey", JOURNEYS)
def test_every_decision_of_a_rollout_is_reached_again(tmp_path: Path, journey: str) -> None:
    """The replay and the reviewer cannot part: what the one did, the other must do."""
    models: dict[str, Model] = JOURNEYS[journey]
    one = Simulation(tmp_path / "s.db", models=models)
    end = one.run("promoted", "rolled_back")
    found = judged(one)
    assert [result.outcome for result in found] == [Outcome.SAME] * len(found)
    assert [result.from_evidence for result in found] == [Outcome.SAME] * len(found)
    moves = [result.recorded for result in found]
    assert moves[-1] == (Event.WATCH_PASSED if end == "promoted" else Event.HARMED).value
    assert len(moves) == len([r for r in one.audit() if r["evidence"].get("readings")])
    one.stop()


def test_a_stage_that_lasted_too_long_is_reached_again(tmp_path: Path) -> None:
    one = Simulation(tmp_path / "s.db")
    one.run("shadow")
    one.clock.advance(30 * 86_400.0)
    one.run("rolled_back", n=0)
    (last,) = judged(one)
    assert (last.recorded, last.outcome) == ("timed_out", Outcome.SAME)
    assert last.from_evidence is Outcome.SAME
    one.stop()


def test_what_a_person_did_is_told_and_not_judged(tmp_path: Path) -> None:
    one = Simulation(tmp_path / "s.db")
    one.run("canary")
    one.controller.act("digits", Act.ROLLBACK, "ada", "I do not like it")
    last = judged(one)[-1]
    assert (last.recorded, last.outcome) == ("ordered", Outcome.NOT_JUDGED)
    assert last.because.startswith("ada did this; the evidence said hold: ")
    one.stop()


def test_a_glass_that_was_broken_for_a_time_ends_again(tmp_path: Path) -> None:
    one = Simulation(tmp_path / "s.db", models=EQUAL)
    one.run("shadow")
    glass = {"break_glass": True, "glass_s": 5.0}
    one.controller.act("digits", Act.PROMOTE, "ada", "urgent", **glass)  # type: ignore[arg-type] # mixed
    one.run("rolled_back")
    forced, last = judged(one)[-2:]
    assert (forced.recorded, forced.outcome) == ("forced", Outcome.NOT_JUDGED)
    assert (last.recorded, last.outcome) == ("expired", Outcome.SAME)
    assert last.from_evidence is Outcome.SAME and "break-glass of ada" in last.because
    one.stop()


def test_a_stage_that_is_left_with_an_approval_is_judged_with_it(tmp_path: Path) -> None:
    policy = approved(intent(), StageKind.SHADOW)
    one = Simulation(tmp_path / "s.db", intent=policy)
    one.run("shadow")
    for _ in range(60):
        one.tick()
    one.controller.act("digits", Act.APPROVE, "bob", "looks good")
    one.run("canary")
    record = next(r for r in one.audit() if r["phase_to"] == "canary")
    assert rejudge(record).outcome is Outcome.SAME
    record["evidence"]["basis"]["rollout"]["approvals"] = []
    found = rejudge(record)
    assert (found.outcome, found.judged) == (Outcome.DIFFERENT, "")
    one.stop()


def approved(one: Intent, kind: StageKind) -> Intent:
    """Return ``one`` with an approval that the stage ``kind`` of its route waits for."""
    route = one.routes[0]
    stages = tuple(
        replace(stage, approvals=1) if stage.kind is kind else stage for stage in route.stages
    )
    return replace(one, routes=(replace(route, stages=stages),))


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The record of a rollback, as JSON, and the evidence that is stored for it."""
    one = Simulation(tmp_path_factory.mktemp("harmed") / "s.db", models=WORSE)
    one.run("rolled_back")
    record = one.audit()[-1]
    snapshot = decided.load(one.connection, record["sequence"])
    assert snapshot is not None
    one.stop()
    return json.dumps(record), snapshot


def flip_reading(record: dict[str, Any]) -> None:
    for reading in record["evidence"]["readings"]:
        reading["state"] = "undecided"


def change_policy(record: dict[str, Any]) -> None:
    record["evidence"]["basis"]["policy"]["alpha"] = 0.4


def change_reason(record: dict[str, Any]) -> None:
    record["because"] = "it was a Monday"


def change_event(record: dict[str, Any]) -> None:
    record["evidence"]["basis"]["event"] = "futile"


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], Outcome, Outcome]] = {
    "readings": (flip_reading, Outcome.DIFFERENT, Outcome.DIFFERENT),
    "policy": (change_policy, Outcome.SAME, Outcome.DIFFERENT),
    "reason": (change_reason, Outcome.DIFFERENT, Outcome.SAME),
    "event": (change_event, Outcome.DIFFERENT, Outcome.DIFFERENT),
}
"""What is changed, what the record then leads to, and what the stored evidence does."""


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_that_does_not_fit_its_verdict_comes_out_otherwise(
    harmed: tuple[str, bytes], what: str
) -> None:
    change, outcome, from_evidence = CHANGES[what]
    record = json.loads(harmed[0])
    change(record)
    found = rejudge(record, harmed[1])
    assert found.outcome is outcome
    # another policy has another plan: the evaluator's state is not of it, or reads otherwise
    assert found.from_evidence is from_evidence or (
        what == "policy" and found.from_evidence is Outcome.NOT_JUDGED
    )


def test_other_evidence_than_the_records_is_told(harmed: tuple[str, bytes]) -> None:
    found = rejudge(json.loads(harmed[0]), harmed[1] + b" ")
    assert found.outcome is Outcome.SAME and found.from_evidence is Outcome.DIFFERENT
    found = rejudge(json.loads(harmed[0]), None)
    assert found.outcome is Outcome.SAME and found.from_evidence is Outcome.NOT_JUDGED
    assert "no evidence is stored" in found.evidence_because
