import errno
import sqlite3
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from controller import record, store
from controller.opening import open_database
from controller.policy import RecordSpec
from controller.record import Begun, EpochLine, Gap, Line
from controller.recorder import Recorder, segments
from controller.store import StoreError
from evaluator.metric import ExperimentPlan

PLAN = ExperimentPlan("x", "digits", "a", "b", (), None)
HEAD = Begun(plan=PLAN, snapshot=b"so far")
MIB = 1 << 20


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


@pytest.fixture
def spec(tmp_path: Path) -> RecordSpec:
    return RecordSpec(str(tmp_path / "recording"), MIB)


def recorder(spec: RecordSpec, connection: sqlite3.Connection) -> Recorder:
    return Recorder(spec, connection, lambda: [HEAD])


def epoch(why: str) -> EpochLine:
    return EpochLine(route="digits", why=why)


def commit(one: Recorder, connection: sqlite3.Connection, *lines: Line) -> None:
    for line in lines:
        one.add(line)
    with store.transaction(connection):
        one.flush(connection)
    one.settled()


def fail(one: Recorder, connection: sqlite3.Connection, *lines: Line) -> None:
    """Let the transaction of ``lines`` end badly after the file was written."""
    for line in lines:
        one.add(line)
    with pytest.raises(StoreError), store.transaction(connection):
        one.flush(connection)
        raise sqlite3.OperationalError("disk is full")
    one.revert()


def told(spec: RecordSpec) -> list[Line]:
    return [
        line
        for path in segments(Path(spec.folder))
        for line in record.lines_of(path.read_bytes().splitlines(keepends=True))
    ]


def test_a_recording_begins_with_where_the_experiments_stand(spec, connection) -> None:
    commit(recorder(spec, connection), connection, epoch("1"), epoch("2"))
    assert told(spec) == [HEAD, epoch("1"), epoch("2")]


def test_what_was_not_committed_is_not_in_the_file(spec, connection) -> None:
    one = recorder(spec, connection)
    commit(one, connection, epoch("1"))
    fail(one, connection, epoch("never"), epoch("never"))
    commit(one, connection, epoch("2"))
    assert told(spec) == [HEAD, epoch("1"), epoch("2")]
    assert one.n_dropped == 0


def test_first_lines_that_were_not_committed_leave_a_head_for_the_next(spec, connection) -> None:
    one = recorder(spec, connection)
    fail(one, connection, epoch("never"))
    commit(one, connection, epoch("1"))
    assert told(spec) == [HEAD, epoch("1")]


def test_a_process_that_ends_before_the_commit_leaves_nothing(spec, connection) -> None:
    one = recorder(spec, connection)
    commit(one, connection, epoch("1"))
    one.add(epoch("never"))
    with pytest.raises(StoreError), store.transaction(connection):
        one.flush(connection)
        raise sqlite3.OperationalError("killed here")
    assert epoch("never") in told(spec)
    commit(recorder(spec, connection), connection, epoch("2"))  # the next process
    assert told(spec) == [HEAD, epoch("1"), epoch("2")]


def test_the_oldest_eighth_goes_when_there_is_no_room(spec, connection) -> None:
    one = recorder(spec, connection)
    for number in range(300):
        commit(one, connection, epoch(f"{number}:{'x' * 10_000}"))
        assert one.size_bytes <= MIB
    kept = segments(Path(spec.folder))
    assert 6 <= len(kept) <= 8
    for path in kept:
        first = next(iter(record.lines_of(path.read_bytes().splitlines(keepends=True))))
        assert first == HEAD, "each file can be read by itself"
    last = told(spec)[-1]
    assert isinstance(last, EpochLine)
    assert last.why.startswith("299:")


def test_a_folder_that_cannot_be_written_costs_lines_and_nothing_else(spec, connection) -> None:
    folder = Path(spec.folder)
    folder.write_text("a file is in the way")
    one = recorder(spec, connection)
    commit(one, connection, epoch("1"), epoch("2"))
    assert one.n_dropped == 2
    folder.unlink()
    commit(one, connection, epoch("3"))
    gap, *rest = told(spec)
    assert isinstance(gap, Gap)
    assert gap.lost == 2
    assert rest == [HEAD, epoch("3")]
    commit(one, connection, epoch("4"))
    assert told(spec)[-2:] == [epoch("3"), epoch("4")]


def test_a_write_that_fails_half_way_leaves_no_half(spec, connection, monkeypatch) -> None:
    one = recorder(spec, connection)
    commit(one, connection, epoch("1"))

    def half(file: FileIO, raw: bytes) -> None:
        file.write(raw[: len(raw) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("controller.recorder._write_all", half)
        commit(one, connection, epoch("2"), epoch("3"))
    commit(one, connection, epoch("4"))
    assert one.n_dropped == 2
    assert [type(line) for line in told(spec)] == [Begun, EpochLine, Gap, Begun, EpochLine]
    assert told(spec)[-1] == epoch("4")


def test_a_file_that_lost_its_end_is_followed_by_a_gap(spec, connection) -> None:
    commit(recorder(spec, connection), connection, epoch("1"), epoch("2"))
    (path,) = segments(Path(spec.folder))
    path.write_bytes(path.read_bytes()[:-20])
    commit(recorder(spec, connection), connection, epoch("3"))
    assert [type(line) for line in told(spec)] == [Begun, EpochLine, Gap, Begun, EpochLine]


def test_another_folder_begins_a_recording_of_its_own(spec, connection, tmp_path) -> None:
    commit(recorder(spec, connection), connection, epoch("1"))
    other = RecordSpec(str(tmp_path / "other"), MIB)
    commit(recorder(other, connection), connection, epoch("2"))
    assert told(other) == [HEAD, epoch("2")]
    commit(recorder(spec, connection), connection, epoch("3"))
    assert told(spec) == [HEAD, epoch("1"), HEAD, epoch("3")]


def test_answers_are_for_nobody_else_to_read(spec, connection) -> None:
    commit(recorder(spec, connection), connection, epoch("1"))
    (path,) = segments(Path(spec.folder))
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
