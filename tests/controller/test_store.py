import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller import store
from controller.opening import open_database
from controller.rollout import Phase, Rollout
from controller.store import Finished, RouteState, StoreDamaged, StoreError, transaction
from router.table import RoutingTable
from tests.controller.builders import intent, route_intent

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
from controller.opening import open_database
opened = open_database(Path(sys.argv[1]))
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
