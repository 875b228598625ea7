"""What is kept of decisions: the newest, until there is no room."""

import sqlite3

import pytest

from controller import decided


def test_the_newest_are_kept_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided, "MAX_DECISIONS", 3)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(decided.SCHEMA)
    for sequence in (2, 5, 6, 9):
        decided.keep(connection, sequence, bytes([sequence]))
    kept = [decided.load(connection, sequence) for sequence in (2, 5, 6, 9, 10)]
    assert kept == [None, b"\x05", b"\x06", b"\x09", None]
    connection.close()
