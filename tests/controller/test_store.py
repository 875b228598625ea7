import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from controller import audit, store
from controller.rollout import Phase, Rollout
from controller.store import (
    Finished,
    RouteState,
    StoreDamaged,
    StoreError,
    open_database,
    transaction,
)
from evaluator.join import Answer, Judgable, Mode
from evaluator.journal import Journal
from router.table import RoutingTable
from tests.controller.builders import intent, route_intent
from tests.evaluator.test_upgrade import FIRST

STATE = RouteState(
    name="digits",
    declared_champion="digits-1",
    champion="digits-2",
    previous_champion="digits-1",
    rollout=Rollout(
        challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.PROMOTED
    ),
    policy=route_intent(),
    salt=b"\x00\xff" * 16,
    tried=("digits-2",),
    history=(Finished("digits-2", "promoted", 7.0, "it kept what it promised"),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "understudy.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(path)
    yield opened
    opened.close()


def filled(path: Path) -> None:
    """Leave a state of some hundred pages at ``path``, wholly in the main file."""
    opened = open_database(path)
    with transaction(opened):
        store.save_route(opened, STATE)
        store.save_intent(opened, intent())
        store.save_table(opened, RoutingTable(version=17))
        for n in range(2000):
            store.note_sequence(opened, f"source-{n:05d}" * 10, n, at_ns=n)
    opened.close()


def test_a_commit_is_synchronous_and_logged(connection):
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (store.BUSY_TIMEOUT_MS,)


def test_a_new_state_is_empty_and_undamaged(connection):
    assert store.load_routes(connection) == {}
    assert store.load_table(connection) is None
    assert store.load_intent(connection) is None
    assert store.damage(connection) == ""


def test_everything_written_is_read_back_equal(connection):
    routing = RoutingTable(version=17)
    with transaction(connection):
        store.save_route(connection, STATE)
        store.save_table(connection, routing)
        store.save_intent(connection, intent())
        store.save_snapshot(connection, "digits", b"\x00raw")
        store.note_sequence(connection, "w0", 12, at_ns=5)
    assert store.load_routes(connection) == {"digits": STATE}
    assert store.load_table(connection) == routing
    assert store.load_intent(connection) == intent()
    assert store.load_snapshot(connection, "digits") == b"\x00raw"
    assert store.last_sequence(connection, "w0") == 12


def test_unknown_things_read_as_nothing(connection):
    assert store.last_sequence(connection, "never seen") == 0
    assert store.load_snapshot(connection, "never seen") is None


def test_a_deleted_route_takes_its_evidence_with_it(connection):
    with transaction(connection):
        store.save_route(connection, STATE)
        store.save_snapshot(connection, "digits", b"raw")
        store.delete_route(connection, "digits")
    assert store.load_routes(connection) == {}
    assert store.load_snapshot(connection, "digits") is None


def test_old_sources_are_forgotten(connection):
    store.note_sequence(connection, "old", 3, at_ns=10)
    store.note_sequence(connection, "new", 4, at_ns=20)
    store.forget_sources(connection, before_ns=15)
    assert store.last_sequence(connection, "old") == 0
    assert store.last_sequence(connection, "new") == 4


def test_a_transaction_is_all_or_nothing(connection):
    with pytest.raises(KeyError), transaction(connection):
        store.put(connection, "a", b"1")
        raise KeyError("later")
    assert store.get(connection, "a") is None
    assert not connection.in_transaction


def test_state_survives_closing_and_opening(path):
    filled(path)
    opened = open_database(path)
    assert store.load_routes(opened) == {"digits": STATE}
    assert store.damage(opened) == ""
    opened.close()


def test_opening_a_sound_state_writes_nothing(path):
    filled(path)
    before = path.read_bytes()
    open_database(path).close()
    assert path.read_bytes() == before


def overwrite(path: Path, at: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(raw)


@pytest.mark.parametrize("at", [0, 4096 * 3, 4096 * 20], ids=["header", "page 4", "page 21"])
def test_a_damaged_file_is_moved_aside_and_remembered(path, at):
    filled(path)
    overwrite(path, at, os.urandom(2048))
    damaged = path.read_bytes()
    opened = open_database(path)
    assert store.load_routes(opened) == {}
    assert "understudy.db.damaged-1" in store.damage(opened)
    opened.close()
    assert path.with_name("understudy.db.damaged-1").read_bytes() == damaged
    again = open_database(path)
    assert "damaged" in store.damage(again)
    again.close()


def test_a_second_damage_does_not_overwrite_the_first(path):
    for _ in range(2):
        filled(path)
        overwrite(path, 0, b"\xff" * 100)
        open_database(path).close()
    names = {file.name for file in path.parent.iterdir()}
    assert {"understudy.db.damaged-1", "understudy.db.damaged-2"} <= names


def test_a_value_that_cannot_be_read_is_damage_too(path):
    opened = open_database(path)
    store.put(opened, "table", b"\xc1 not a table")
    opened.close()
    opened = open_database(path)
    assert "damaged" in store.damage(opened)
    opened.close()


def test_a_truncated_log_loses_its_tail_only(path):
    """A cut WAL is what a power loss leaves: the state before it, no damage."""
    opened = open_database(path)
    with transaction(opened):
        store.put(opened, "a", b"1")
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    wal = path.with_name(path.name + "-wal").read_bytes()
    copy.with_name("copy.db-wal").write_bytes(wal[: len(wal) // 2])
    opened.close()
    again = open_database(copy)
    assert store.damage(again) == ""
    again.close()


def test_a_newer_state_is_refused_and_left_alone(path):
    opened = open_database(path)
    opened.execute(f"PRAGMA user_version = {store.SCHEMA_VERSION + 1}")
    opened.close()
    with pytest.raises(StoreError, match="newer version"):
        open_database(path)
    assert not path.with_name("understudy.db.damaged-1").exists()


def test_a_path_that_cannot_be_a_file_is_an_error_and_not_damage(tmp_path):
    with pytest.raises(StoreError, match="cannot be"):
        open_database(tmp_path)


def test_a_busy_store_is_an_error_that_says_so(path, connection):
    connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"), transaction(connection):
        store.put(connection, "a", b"1")
    other.execute("ROLLBACK")
    other.close()
    with transaction(connection):
        store.put(connection, "a", b"1")
    assert store.get(connection, "a") == b"1"


def test_a_full_disk_is_an_error_and_the_store_recovers_by_itself(connection):
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"), transaction(connection):
        store.put(connection, "a", b"1" * 100_000)
    assert not connection.in_transaction
    connection.execute("PRAGMA max_page_count = 100000")
    with transaction(connection):
        store.put(connection, "a", b"1" * 100_000)


_KILLED = """
import os, sys
from pathlib import Path
from controller import store
opened = store.open_database(Path(sys.argv[1]))
for n in range(1, 4):
    with store.transaction(opened):
        store.note_sequence(opened, "w0", n, at_ns=n)
opened.execute("BEGIN IMMEDIATE")
store.note_sequence(opened, "w0", 4, at_ns=4)
os._exit(9)
"""


def test_a_killed_writer_leaves_what_it_committed(path):
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert ended.returncode == 9
    opened = open_database(path)
    assert store.last_sequence(opened, "w0") == 3
    opened.close()


def test_opening_leaks_no_file_descriptor_when_it_fails(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(StoreError):
            open_database(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def commits(path: Path, n: int) -> None:
    opened = open_database(path)
    for number in range(n):
        with transaction(opened):
            store.note_sequence(opened, "w0", number, at_ns=number)
    opened.close()


def test_a_state_that_is_behind_its_mark_has_lost_changes_and_is_moved_aside(path):
    commits(path, 2)
    old = path.read_bytes()
    commits(path, 3)
    path.write_bytes(old)  # an old copy is put back, or a log cut off: SQLite sees no fault
    opened = open_database(path)
    assert "its last 3 changes are missing" in store.damage(opened)
    assert store.last_sequence(opened, "w0") == 0
    opened.close()
    assert path.with_name("understudy.db.damaged-1").read_bytes() == old
    open_database(path).close()
    assert not path.with_name("understudy.db.damaged-2").exists()


@pytest.mark.parametrize("content", [None, b"", b"x" * 20, b"%020d" % 1])
def test_a_mark_that_is_lost_or_behind_proves_nothing(path, content):
    commits(path, 3)
    mark = path.with_name("understudy.db.mark")
    assert int(mark.read_bytes()) == 3
    mark.unlink()
    if content is not None:
        mark.write_bytes(content)
    opened = open_database(path)
    assert store.damage(opened) == ""
    opened.close()


def test_a_state_that_was_found_damaged_in_use_is_moved_aside_once(path):
    filled(path)
    store.condemn(path, "an observation cannot be read")
    opened = open_database(path)
    assert "an observation cannot be read" in store.damage(opened)
    assert store.load_routes(opened) == {}
    opened.close()
    open_database(path).close()
    assert not path.with_name("understudy.db.damaged-2").exists()


def test_damage_found_in_use_is_told_from_what_passes(path, connection):
    fault = sqlite3.DatabaseError("malformed")
    fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT | 2 << 8
    with pytest.raises(StoreDamaged), transaction(connection):
        raise fault
    with pytest.raises(StoreDamaged), store.reading():
        raise fault
    assert not connection.in_transaction
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError) as raised, transaction(connection):
        store.put(connection, "a", b"1")
    assert not isinstance(raised.value, StoreDamaged)


FIRST_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE route (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE batch (source TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at_ns INTEGER NOT NULL)
    STRICT;
CREATE TABLE snapshot (route TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
"""


def of_the_first_schema(path: Path, n: int) -> None:
    """Leave what schema 1 left after ``n`` observations, all of them labelled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = sqlite3.connect(path)
    opened.execute("PRAGMA journal_mode = WAL")
    opened.executescript(FIRST_SCHEMA + audit.SCHEMA + FIRST)
    raw = msgspec.msgpack.encode(Judgable("", 0, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("8")))
    opened.executemany(
        "INSERT INTO observation VALUES (?, 'digits', ?, ?, ?, '7', 1, 0)",
        ((number, f"q{number}", number, raw) for number in range(1, n + 1)),
    )
    store.save_route(opened, STATE)
    opened.execute("INSERT INTO batch VALUES ('w0', 9, 9)")
    opened.execute("PRAGMA user_version = 1")
    opened.commit()
    opened.close()


def test_a_state_of_the_first_schema_is_upgraded_and_keeps_every_acknowledged_label(path):
    of_the_first_schema(path, 25_000)
    opened = open_database(path)
    assert opened.execute("PRAGMA user_version").fetchone() == (store.SCHEMA_VERSION,)
    journal = Journal(opened)
    due = journal.matured("digits", now_ns=10**9, maturity_ns=0, limit=10**6)
    assert [one.judgable.request_id for one in due] == [f"q{n}" for n in range(1, 25_001)]
    assert {one.label for one in due} == {"7"}
    assert store.load_routes(opened) == {"digits": STATE}
    assert store.last_sequence(opened, "w0") == 9
    opened.close()
    again = open_database(path)
    assert Journal(again).waiting("digits") == 25_000
    again.close()


_UPGRADE = """
import sys
from pathlib import Path
from controller import store
store.from_first = (lambda real: lambda c: (real(c), __import__("os")._exit(9)))(store.from_first)
store.open_database(Path(sys.argv[1]))
"""


def test_an_upgrade_that_is_killed_before_its_end_is_made_again(path):
    of_the_first_schema(path, 100)
    ended = subprocess.run([sys.executable, "-c", _UPGRADE, str(path)], check=False)
    assert ended.returncode == 9
    opened = open_database(path)
    assert Journal(opened).waiting("digits") == 100
    opened.close()


def test_a_reader_beside_the_writer_never_checkpoints_nor_writes(path, connection):
    """Else two connections could write and checkpoint at once: the WAL-reset bug of SQLite."""
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    with transaction(connection):
        store.put(connection, "a", b"1" * 100_000)
    file, log = path.read_bytes(), path.with_name("understudy.db-wal").read_bytes()
    for _ in range(3):
        with store.reader(path) as reader:
            assert store.get(reader, "a") == b"1" * 100_000
            for statement in ("DELETE FROM meta", "PRAGMA wal_checkpoint(TRUNCATE)"):
                with contextlib.suppress(sqlite3.OperationalError):
                    reader.execute(statement).fetchall()
    assert path.read_bytes() == file
    assert path.with_name("understudy.db-wal").read_bytes() == log
    assert store.get(connection, "a") == b"1" * 100_000


def test_the_last_reader_leaves_the_log_of_a_writer_that_was_killed(path):
    subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    log = path.with_name("understudy.db-wal").read_bytes()
    with store.reader(path) as reader:
        assert store.last_sequence(reader, "w0") == 3
    assert path.with_name("understudy.db-wal").read_bytes() == log


@pytest.mark.parametrize(("version", "has_bug"), [((3, 51, 2), True), ((3, 51, 3), False)])
def test_the_version_of_sqlite_is_told_at_the_start(path, monkeypatch, version, has_bug):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with structlog.testing.capture_logs() as told:
        open_database(path).close()
    (line,) = [line for line in told if line["event"] == "SQLite"]
    assert line["has_wal_reset_bug"] is has_bug
    assert line["version"] == sqlite3.sqlite_version


def page_of(opened: sqlite3.Connection, table: str) -> int:
    """Return where the first page of ``table`` is in the file."""
    row = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return (row[0] - 1) * 4096


@pytest.mark.parametrize("table", ["meta", "route", "snapshot", "audit"])
def test_of_a_large_file_what_decides_is_checked_at_the_start(path, monkeypatch, table):
    monkeypatch.setattr(store, "WHOLE_CHECK_BYTES", 0)
    filled(path)
    opened = open_database(path)
    at = page_of(opened, table)
    opened.close()
    overwrite(path, at, b"\xff" * 2048)
    opened = open_database(path)
    assert "damaged" in store.damage(opened)
    opened.close()


def test_of_a_large_file_a_damaged_observation_is_found_when_it_is_read(path, monkeypatch):
    monkeypatch.setattr(store, "WHOLE_CHECK_BYTES", 0)
    opened = open_database(path)
    journal = Journal(opened)
    one = Judgable("a", 5, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("8"))
    with transaction(opened):
        journal.add("digits", [one])
    at = page_of(opened, "observation")
    opened.close()
    overwrite(path, at, b"\xff" * 2048)
    opened = open_database(path)
    assert store.damage(opened) == ""
    with pytest.raises(StoreDamaged), store.reading():
        Journal(opened).matured("digits", now_ns=10, maturity_ns=0)
    opened.close()
