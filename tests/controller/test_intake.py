import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import store
from controller.intake import Intake, experiment_plan
from controller.rollout import Phase, Rollout
from controller.store import StoreError, open_database
from evaluator.join import Label, LabelOutcome
from evaluator.metric import ExperimentPlan
from router.observation import Batch, MirroredPair, Outcome
from tests.controller.builders import NOW_S, route_intent

AT_NS = round(NOW_S * 1e9)
ROLLOUT = Rollout(challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.SHADOW)
PLAN = experiment_plan(route_intent(), ROLLOUT)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


@pytest.fixture
def intake(connection: sqlite3.Connection) -> Intake:
    """With the experiment of PLAN begun and written."""
    made = Intake(connection)
    begin(made, connection, PLAN)
    return made


def begin(intake: Intake, connection: sqlite3.Connection, plan: ExperimentPlan) -> None:
    intake.begin(plan)
    with store.transaction(connection):
        intake.save(connection)
    intake.settled()


def pair(number: int, experiment: str = "x") -> MirroredPair:
    outcome = Outcome("digits-1", 200, 0.01, "", b'{"prediction": 1}', 17)
    return MirroredPair(
        route="digits",
        experiment=experiment,
        request_id=f"r{number}",
        unit=number,
        table_version=1,
        at_ns=AT_NS,
        champion=outcome,
        challenger=outcome,
    )


def batch(sequence: int, *numbers: int, source: str = "w0") -> Batch:
    return Batch(source, sequence, tuple(pair(number) for number in numbers))


def counts(intake: Intake) -> dict[str, int]:
    evidence = intake.evidence("digits", now_s=NOW_S)
    assert evidence is not None
    return evidence.counts


def lock(connection: sqlite3.Connection) -> None:
    """Let every write fail, as a full disk does."""
    connection.execute("PRAGMA query_only = ON")


def unlock(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = OFF")


def test_the_plan_is_what_the_file_said_when_the_rollout_began():
    plan = experiment_plan(replace(route_intent(), unit_header="x-user", alpha=0.01), ROLLOUT)
    assert (plan.experiment, plan.champion, plan.challenger) == ("x", "digits-1", "digits-2")
    assert (plan.clustered, plan.alpha, plan.maturity_s) == (True, 0.01, 1.0)
    assert not PLAN.clustered


def test_a_batch_is_counted_once_however_often_it_comes(intake, connection):
    assert intake.take([batch(1, 1, 2), batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert intake.take([batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert intake.take([batch(1, 3, source="w1")], at_ns=AT_NS) == {"w1": 1}
    assert counts(intake)["pairs"] == 3
    again = Intake(connection)
    assert again.resume(PLAN)
    assert again.take([batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert counts(again)["pairs"] == 3


def test_an_old_batch_behind_a_newer_one_is_not_counted_again(intake):
    intake.take([batch(1, 1), batch(2, 2)], at_ns=AT_NS)
    assert intake.take([batch(1, 1), batch(3, 3)], at_ns=AT_NS) == {"w0": 3}
    assert counts(intake)["pairs"] == 3


def test_observations_of_another_experiment_or_route_are_passed_over(intake):
    stray = Batch("w0", 1, (pair(1, "y"), pair(2, "")))
    assert intake.take([stray], at_ns=AT_NS) == {"w0": 1}
    assert counts(intake)["pairs"] == 0
    intake.end("digits")
    assert intake.take([batch(2, 3)], at_ns=AT_NS) == {"w0": 2}
    assert intake.evidence("digits", now_s=NOW_S) is None


def test_what_could_not_be_written_shows_until_it_is_reverted(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.take([batch(2, 2, 3)], at_ns=AT_NS)
    assert counts(intake)["pairs"] == 3
    intake.revert()
    assert counts(intake)["pairs"] == 1
    unlock(connection)
    assert intake.take([batch(2, 2, 3)], at_ns=AT_NS) == {"w0": 2}
    assert counts(intake)["pairs"] == 3


def test_labels_are_counted_by_what_became_of_them(intake):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    labels = [
        Label("r1", "1"),
        Label("r1", "1"),
        Label("r1", "2"),
        Label("nobody", "1", route="digits"),
        Label("r1", "not json", route="digits"),
    ]
    results = intake.label(labels, now_ns=AT_NS)
    assert [result.outcome for result in results] == [
        LabelOutcome.ACCEPTED,
        LabelOutcome.DUPLICATE,
        LabelOutcome.CONFLICT,
        LabelOutcome.UNKNOWN,
        LabelOutcome.INVALID,
    ]
    expected = dict.fromkeys((outcome.value for outcome in LabelOutcome), 1)
    assert intake.label_counts("digits") == expected | {"late": 0, "forged": 0, "waiting": 1}


def test_labels_that_could_not_be_written_are_none(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.label([Label("r1", "1")], now_ns=AT_NS)
    unlock(connection)
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert result.outcome is LabelOutcome.ACCEPTED


def test_observations_are_judged_at_maturity_and_once(intake):
    intake.take([batch(1, 1, 2)], at_ns=AT_NS)
    intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert not intake.mature(now_ns=AT_NS + 10**9 - 1)
    assert intake.mature(now_ns=AT_NS + 10**9)
    assert not intake.mature(now_ns=AT_NS + 10**9)
    assert (counts(intake)["judged"], counts(intake)["unlabelled"]) == (2, 1)
    (result,) = intake.label([Label("r2", "1")], now_ns=AT_NS + 2 * 10**9)
    assert result.outcome is LabelOutcome.LATE


def test_a_judgement_that_could_not_be_written_is_made_again(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.mature(now_ns=AT_NS + 10**9)
    intake.revert()
    unlock(connection)
    assert intake.mature(now_ns=AT_NS + 10**9)
    assert counts(intake)["judged"] == 1


def test_a_new_experiment_is_not_judged_on_what_the_last_one_left(intake, connection):
    intake.take([batch(1, 1, 2)], at_ns=AT_NS)
    intake.end("digits")
    begin(intake, connection, replace(PLAN, experiment="y"))
    assert not intake.mature(now_ns=AT_NS + 10**10)
    assert counts(intake)["judged"] == 0


def test_an_experiment_is_taken_up_with_its_evidence_or_none(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    assert Intake(connection).resume(PLAN)
    other = Intake(connection)
    assert not other.resume(replace(PLAN, experiment="y"))
    assert counts(other)["pairs"] == 0
    connection.execute("UPDATE snapshot SET content = x'c1'")
    assert not Intake(connection).resume(PLAN)


def test_tidying_drops_judged_observations_past_their_window_and_old_sources(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    intake.mature(now_ns=AT_NS + 10**9)
    week_ns = 8 * 86_400 * 10**9
    intake.tidy({"digits": 60 * 10**9}, now_ns=AT_NS + week_ns)
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS + week_ns)
    assert result.outcome is LabelOutcome.UNKNOWN
    assert store.last_sequence(connection, "w0") == 0


def test_tidying_drops_what_waits_for_an_experiment_that_ended(intake):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    assert intake.label_counts("digits")["waiting"] == 1
    intake.end("digits")
    intake.tidy({"digits": 60 * 10**9}, now_ns=AT_NS)
    assert intake.label_counts("digits")["waiting"] == 0


def test_a_new_epoch_is_written_with_the_change_that_made_it(intake, connection):
    before: Any = counts(intake)["epochs"]
    intake.roll_epoch("digits", "the share changed")
    intake.roll_epoch("nowhere", "no such route")
    with store.transaction(connection):
        intake.save(connection)
    intake.settled()
    again = Intake(connection)
    again.resume(PLAN)
    assert counts(again)["epochs"] == before + 1
