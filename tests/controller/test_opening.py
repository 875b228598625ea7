import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from controller import audit, opening, store
from controller.opening import open_database
from controller.store import StoreDamaged, StoreError, transaction
from evaluator.join import Answer, Judgable, Mode
from evaluator.journal import Journal
from router.table import RoutingTable
from tests.controller.builders import intent
from tests.controller.test_store import STATE
from tests.evaluator.test_upgrade import FIRST


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
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (opening.BUSY_TIMEOUT_MS,)


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
    opened.execute(f"PRAGMA user_version = {opening.SCHEMA_VERSION + 1}")
    opened.close()
    with pytest.raises(StoreError, match="newer version"):
        open_database(path)
    assert not path.with_name("understudy.db.damaged-1").exists()


def test_a_path_that_cannot_be_a_file_is_an_error_and_not_damage(tmp_path):
    with pytest.raises(StoreError, match="cannot be"):
        open_database(tmp_path)


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
    opening.condemn(path, "an observation cannot be read")
    opened = open_database(path)
    assert "an observation cannot be read" in store.damage(opened)
    assert store.load_routes(opened) == {}
    opened.close()
    open_database(path).close()
    assert not path.with_name("understudy.db.damaged-2").exists()


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
    assert opened.execute("PRAGMA user_version").fetchone() == (opening.SCHEMA_VERSION,)
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
from controller import opening
end = __import__("os")._exit
opening.from_first = (lambda real: lambda c: (real(c), end(9)))(opening.from_first)
opening.open_database(Path(sys.argv[1]))
"""


def test_an_upgrade_that_is_killed_before_its_end_is_made_again(path):
    of_the_first_schema(path, 100)
    ended = subprocess.run([sys.executable, "-c", _UPGRADE, str(path)], check=False)
    assert ended.returncode == 9
    opened = open_database(path)
    assert Journal(opened).waiting("digits") == 100
    opened.close()


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
    monkeypatch.setattr(opening, "WHOLE_CHECK_BYTES", 0)
    filled(path)
    opened = open_database(path)
    at = page_of(opened, table)
    opened.close()
    overwrite(path, at, b"\xff" * 2048)
    opened = open_database(path)
    assert "damaged" in store.damage(opened)
    opened.close()


def test_of_a_large_file_a_damaged_observation_is_found_when_it_is_read(path, monkeypatch):
    monkeypatch.setattr(opening, "WHOLE_CHECK_BYTES", 0)
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


def test_a_state_of_the_second_schema_gets_its_new_tables_and_keeps_what_it_has(path):
    connection = open_database(path)
    with store.transaction(connection):
        store.save_route(connection, STATE)
    for table in ("outbox", "decided"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    again = open_database(path)
    assert store.load_routes(again) == {"digits": STATE}
    for table in ("outbox", "decided"):
        assert again.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert again.execute("PRAGMA user_version").fetchone() == (opening.SCHEMA_VERSION,)
    again.close()
