"""A journal in memory."""

import sqlite3

import pytest

from evaluator.journal import Journal


@pytest.fixture
def connection() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


@pytest.fixture
def journal(connection: sqlite3.Connection) -> Journal:
    return Journal(connection)
