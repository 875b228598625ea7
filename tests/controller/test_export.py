"""The store's evidence as a recording."""

from dataclasses import replace
from pathlib import Path

import pytest

from controller import export, record, store
from controller.account import reading_json
from controller.record import Begun, Line, WaitingLine
from controller.replay import Replay, Replayed, with_policy
from evaluator.join import Label
from tests.controller.builders import intent, route_intent
from tests.controller.simulation import EQUAL, Simulation


@pytest.fixture
def running(start) -> Simulation:
    """In the shadow, with labels of an hour's wait: some are there, one is corrected."""
    route = replace(route_intent(), maturity_s=3.0, window_s=600.0)
    simulation: Simulation = start(models=EQUAL, intent=intent(route))
    simulation.run("shadow")
    for _ in range(20):
        simulation.tick(5)
    correction = Label(simulation.last_id, "99", is_correction=True)
    simulation.tick(0)
    assert simulation.controller.label([correction])[0].outcome.value == "corrected"
    return simulation


def exported(path: Path) -> list[Line]:
    with store.reader(path) as connection:
        found = list(export.lines(connection))
    raw = [record.encode(line) for line in found]
    assert list(record.lines_of(raw)) == found
    return found


def replayed(lines: list[Line], **how: object) -> Replayed:
    found = Replay(**how)  # type: ignore[arg-type]
    found.feed(lines)
    found.finish()
    (one,) = found.experiments.values()
    return one


def test_replay_of_an_export_says_what_the_store_says_to_the_last_bit(running):
    one = replayed(exported(running.path))
    live = running.status()
    readings = one.evaluator.evidence(0.0).readings
    assert [reading_json(reading) for reading in readings] == live["checks"]
    assert one.evaluator.snapshot() == store.load_snapshot(running.connection, "digits")
    assert len(one.waiting) == live["labels"]["waiting"] > 0


def test_what_waits_is_exported_with_its_label_as_corrected(running):
    first, *waiting = exported(running.path)
    assert isinstance(first, Begun)
    assert all(isinstance(line, WaitingLine) for line in waiting)
    labels = {line.request_id: record.label_of(line) for line in waiting}
    assert labels[running.last_id] == "99"
    assert len(waiting) == running.status()["labels"]["waiting"]


def test_another_policy_judges_what_waits(running):
    """The evidence so far is of another plan; what waits can be judged by any."""
    policy = replace(route_intent(), maturity_s=0.0)
    one = replayed(exported(running.path), replan=with_policy(policy, "digits"))
    assert not one.is_whole and not one.waiting
    counts = one.evaluator.evidence(0.0).counts
    assert counts["judged"] == running.status()["labels"]["waiting"]
    assert counts["unlabelled"] < counts["judged"] and counts["foreign"] == 0


def test_without_an_experiment_there_is_nothing_to_export(start):
    simulation = start(models=EQUAL)
    assert exported(simulation.path) == []


def test_state_of_another_version_is_left_out(running):
    running.connection.execute("UPDATE snapshot SET content = x'c1'")
    assert exported(running.path) == []
