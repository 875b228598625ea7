import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import record, store
from controller.opening import open_database
from controller.policy import RecordSpec
from controller.record import Begun, EpochLine, LabelLine, Line
from controller.recorder import segments
from controller.recording import RECORDED, Recording
from controller.trial import Trial
from evaluator.evaluator import Evaluator
from evaluator.join import Label, LabelOutcome, LabelResult
from evaluator.metric import ExperimentPlan

PLAN = ExperimentPlan("x", "digits", "a", "b", (), None)
EPOCH = EpochLine(route="digits", why="the share changed")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


@pytest.fixture
def trial() -> Trial:
    evaluator = Evaluator(PLAN)
    return Trial(PLAN, evaluator, evaluator.snapshot(), is_new=True)


@pytest.fixture
def recording(connection: sqlite3.Connection, trial: Trial) -> Recording:
    return Recording(connection, {"digits": trial})


@pytest.fixture
def spec(tmp_path: Path) -> RecordSpec:
    return RecordSpec(str(tmp_path / "recording"), 1 << 20)


def commit(recording: Recording, connection: sqlite3.Connection) -> None:
    with store.transaction(connection):
        recording.flush(connection)
    recording.settled()


def told(spec: RecordSpec) -> list[Line]:
    return [
        line
        for path in segments(Path(spec.folder))
        for line in record.lines_of(path.read_bytes().splitlines(keepends=True))
    ]


def test_nothing_is_written_unless_the_file_asks_for_it(recording, connection, spec):
    recording.add(EPOCH)
    commit(recording, connection)
    assert recording.told() is None
    recording.use(spec)
    recording.add(EPOCH)
    recording.use(None)
    commit(recording, connection)
    assert recording.told() is None
    assert told(spec) == []


def test_an_experiment_that_is_not_written_yet_is_all_that_is_left_of_a_failure(
    recording, connection, spec, trial
):
    recording.use(spec)
    recording.add(EPOCH)
    recording.revert()
    commit(recording, connection)
    assert [line for line in told(spec) if isinstance(line, Begun)][-1] == Begun(plan=PLAN)
    assert EPOCH not in told(spec)
    trial.is_new = False
    recording.add(EPOCH)
    recording.revert()
    recording.add(EPOCH)
    commit(recording, connection)
    assert told(spec).count(EPOCH) == 1
    assert recording.told() == {
        "folder": spec.folder,
        "bytes": sum(path.stat().st_size for path in segments(Path(spec.folder))),
        "dropped": 0,
    }


def test_labels_are_written_that_another_maturity_would_use(recording, connection, spec):
    recording.use(spec)
    labels = [Label(outcome.value, "7.0", "digits") for outcome in LabelOutcome]
    results = [LabelResult(outcome, "", "digits") for outcome in LabelOutcome]
    with store.transaction(connection):
        recording.labelled(labels, results, 5)
    recording.settled()
    written = [line for line in told(spec) if isinstance(line, LabelLine)]
    assert {line.request_id for line in written} == {outcome.value for outcome in RECORDED}
    assert len(written) == len(RECORDED)
    assert {bytes(line.label) for line in written} == {b"7"}
