"""The head of the audit, told outside the store."""

import sqlite3
from pathlib import Path

import structlog

from controller import audit
from controller.chain import GENESIS, Head, Noted, read_head
from controller.opening import open_database
from sidecar.headlog import HeadLog
from tests.controller.test_audit import fill


def test_each_new_head_is_told_once_and_logged(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "understudy.db")
    told: list[Head] = []
    watch = HeadLog(told.append)
    with structlog.testing.capture_logs() as lines:
        for n in (0, 0, 2, 0, 1):
            fill(connection, n)
            watch.look(connection)
    assert [head.sequence for head in told] == [0, 2, 3]
    assert told[0].hash == GENESIS and told[-1] == audit.head(connection)
    said = [line for line in lines if line["event"] == "audit head"]
    assert [line["hash"] for line in said] == [head.hash for head in told]
    connection.close()


def test_a_line_of_the_log_can_be_verified_against() -> None:
    line = structlog.processors.JSONRenderer()(
        None, "", {"event": "audit head", "sequence": 7, "hash": "ab" * 32}
    )
    assert read_head(str(line)) == Noted("ab" * 32, 7)


def test_a_store_that_cannot_be_read_is_told_of_later(tmp_path: Path) -> None:
    told: list[Head] = []
    watch = HeadLog(told.append)
    watch.look(sqlite3.connect(":memory:"))
    assert told == []
    connection = open_database(tmp_path / "understudy.db")
    watch.look(connection)
    assert len(told) == 1
    connection.close()
