import json
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller import audit
from controller.audit import Entry
from controller.chain import GENESIS, Head, Noted, canonical, hash_of
from tests.pace import cpu_slowness

ENTRY = Entry(
    at_ns=1_800_000_000_123_456_789,
    who="controller",
    route="digits",
    action="advance",
    because="50 of 50 pairs",
    config_digest="d1",
    evidence={"counts": {"pairs": 50}, "readings": [{"check": "errors", "log_e": 3.1}]},
)
KEYS = {
    *("sequence", "at", "who", "route", "action", "challenger", "phase_from", "phase_to"),
    *("share_from", "share_to", "table_from", "table_to", "because", "evidence", "artifact"),
    *("config_digest", "previous", "hash"),
}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.executescript(audit.SCHEMA)
    yield opened
    opened.close()


def fill(connection: sqlite3.Connection, n: int) -> None:
    for k in range(n):
        audit.append(connection, replace(ENTRY, because=f"reason {k}"))


def note(connection: sqlite3.Connection) -> Noted:
    """Note the head, as a log or a webhook did."""
    head = audit.head(connection)
    return Noted(head.hash, head.sequence)


def unlock(connection: sqlite3.Connection) -> None:
    """Do what somebody with the file in his hands can do."""
    connection.executescript("DROP TRIGGER audit_is_not_edited; DROP TRIGGER audit_is_not_deleted;")


def test_a_record_has_every_key_of_the_contract(connection):
    audit.append(connection, ENTRY)
    (record,) = audit.records(connection, after=0, limit=10)
    assert set(record) == KEYS
    assert record["at"] == "2027-01-15T08:00:00.123456Z"
    assert (record["sequence"], record["previous"]) == (1, GENESIS)


def test_hash_is_over_the_record_without_it_as_anyone_can_recompute(connection):
    fill(connection, 3)
    for line in audit.export(connection):
        record = json.loads(line)
        digest = record.pop("hash")
        assert hash_of(canonical(record)) == digest


def test_an_empty_chain_holds(connection):
    assert audit.verify(connection).verified
    assert audit.head(connection) == Head(0, GENESIS)


def test_an_untouched_chain_holds_and_gives_its_head(connection):
    fill(connection, 20)
    found = audit.verify(connection)
    assert (found.verified, found.records, found.head) == (True, 20, audit.head(connection))


@pytest.mark.parametrize("sequence", [1, 7, 20])
def test_an_edited_record_is_found(connection, sequence):
    fill(connection, 20)
    unlock(connection)
    connection.execute(
        "UPDATE audit SET body = replace(body, 'reason', 'excuse') WHERE sequence = ?", (sequence,)
    )
    found = audit.verify(connection)
    assert (found.verified, found.records) == (False, sequence - 1)
    assert f"record {sequence}" in found.because


@pytest.mark.parametrize("sequence", [1, 7, 20])
def test_an_edited_record_with_a_fresh_hash_breaks_the_next_link(connection, sequence):
    fill(connection, 21)
    unlock(connection)
    (body,) = connection.execute(
        "SELECT body FROM audit WHERE sequence = ?", (sequence,)
    ).fetchone()
    forged = body.replace("reason", "excuse")
    connection.execute(
        "UPDATE audit SET body = ?, hash = ? WHERE sequence = ?",
        (forged, hash_of(forged), sequence),
    )
    found = audit.verify(connection)
    assert (found.verified, found.records) == (False, sequence)


@pytest.mark.parametrize("sequence", [1, 7, 19])
def test_a_record_deleted_before_the_end_is_found(connection, sequence):
    fill(connection, 20)
    unlock(connection)
    connection.execute("DELETE FROM audit WHERE sequence = ?", (sequence,))
    found = audit.verify(connection)
    assert (found.verified, found.records) == (False, sequence - 1)
    assert "is missing" in found.because


def test_two_swapped_records_are_found(connection):
    fill(connection, 20)
    unlock(connection)
    for old, new in ((7, -1), (8, 7), (-1, 8)):
        connection.execute("UPDATE audit SET sequence = ? WHERE sequence = ?", (new, old))
    assert not audit.verify(connection).verified


def test_a_body_that_is_no_record_is_found(connection):
    fill(connection, 2)
    unlock(connection)
    body = "[]"
    connection.execute(
        "UPDATE audit SET body = ?, hash = ? WHERE sequence = 2", (body, hash_of(body))
    )
    assert audit.verify(connection).because == "record 2 is not a record"


def test_a_cut_tail_is_found_only_against_a_noted_head(connection):
    fill(connection, 20)
    noted = note(connection)
    unlock(connection)
    connection.execute("DELETE FROM audit WHERE sequence > 15")
    assert audit.verify(connection).verified
    assert not audit.verify(connection, noted).verified


def test_a_rewritten_chain_is_found_only_against_a_noted_head(connection):
    fill(connection, 5)
    noted = note(connection)
    unlock(connection)
    connection.execute("DELETE FROM audit")
    for _ in range(8):
        audit.append(connection, replace(ENTRY, because="another story"))
    assert audit.verify(connection).verified
    assert not audit.verify(connection, noted).verified


def test_a_noted_head_stays_part_of_a_growing_chain(connection):
    fill(connection, 5)
    noted = note(connection)
    fill(connection, 5)
    assert audit.verify(connection, noted).verified


def test_the_table_refuses_updates_and_deletions(connection):
    fill(connection, 1)
    for statement in ("UPDATE audit SET body = ''", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)


def test_a_record_of_an_undone_transaction_leaves_no_gap(connection):
    fill(connection, 1)
    connection.execute("BEGIN")
    audit.append(connection, ENTRY)
    connection.execute("ROLLBACK")
    fill(connection, 1)
    assert audit.verify(connection).verified


def test_numbers_that_json_cannot_write_are_refused(connection):
    with pytest.raises(ValueError, match="JSON compliant"):
        audit.append(connection, replace(ENTRY, evidence={"log_e": float("nan")}))


def test_records_are_paged_oldest_first_and_decisions_newest_first(connection):
    fill(connection, 5)
    audit.append(connection, replace(ENTRY, action="promote", route="other"))
    page = audit.records(connection, after=2, limit=2)
    assert [record["sequence"] for record in page] == [3, 4]
    both = ("advance", "promote")
    newest = audit.latest(connection, route=None, actions=both, limit=2)
    assert [record["sequence"] for record in newest] == [6, 5]
    other = audit.latest(connection, route="other", actions=both, limit=9)
    assert [record["action"] for record in other] == ["promote"]


def test_a_million_records_verify_within_a_minute_and_in_constant_memory(tmp_path: Path):
    """Twenty thousand must take less than a fiftieth of it; measured in CPU time."""
    connection = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    connection.executescript(audit.SCHEMA)
    connection.execute("BEGIN")
    fill(connection, 20_000)
    connection.execute("COMMIT")
    began = time.process_time()
    assert audit.verify(connection).records == 20_000
    assert time.process_time() - began < 60 / 50 * cpu_slowness()
    tracemalloc.start()
    audit.verify(connection)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    connection.close()
    assert peak_bytes < 1_000_000
