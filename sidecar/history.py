"""Seven days of what the checks and the traffic said, in a small file of its own.

It is for looking back only: no decision reads it, it is never waited for, and a file that is
damaged or full is begun anew or left as it is. Each route has three rings of samples, so the file
is bounded by construction: a new sample takes the place of the one that is a ring older.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ring:
    """Samples of one resolution."""

    span: str
    """As the admin port is asked for it."""
    step_s: int
    slots: int

    @property
    def span_s(self) -> int:
        """How far back it goes."""
        return self.step_s * self.slots


RINGS = (Ring("1h", 10, 360), Ring("24h", 60, 1_440), Ring("7d", 600, 1_008))
FULL_ROUTES = 50
"""So many routes are kept at full resolution; of twice as many every second sample is, and so on.
140,000 samples in all then, whatever the number of routes. Chosen."""
MAX_BYTES = 256 * 1024 * 1024
PAGE_BYTES = 4096
TIDY_S = 3_600.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS route (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS sample (
    route INTEGER NOT NULL, ring INTEGER NOT NULL, slot INTEGER NOT NULL, at_s REAL NOT NULL,
    content BLOB NOT NULL, PRIMARY KEY (route, ring, slot)
) STRICT, WITHOUT ROWID;
"""
VERSION = 1


class HistoryError(Exception):
    """The file could not be read or written; what was asked for is not there."""


def stride(n_routes: int) -> int:
    """Return how many steps of a ring pass between two samples of it, with so many routes.

    >>> stride(1), stride(50), stride(1000)
    (1, 1, 20)
    """
    return max(1, -(-n_routes // FULL_ROUTES))


class History:
    """The file. Any thread may call; one call at a time goes through."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before it is needed."""
        self._path = path
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._ids: dict[str, int] = {}
        self._tidied_at_s = 0.0

    def add(self, at_s: float, samples: Mapping[str, bytes], n_routes: int = 1) -> None:
        """Keep one sample of each route, taken at the wall clock ``at_s``; HistoryError."""
        step = stride(n_routes)
        with self._lock, self._writing() as connection:
            rows = []
            for name, content in samples.items():
                route = self._id_of(connection, name)
                for number, ring in enumerate(RINGS):
                    slot = int(at_s // (ring.step_s * step)) % max(1, ring.slots // step)
                    rows.append((route, number, slot, at_s, content))
            connection.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", rows)
            if not 0 <= at_s - self._tidied_at_s < TIDY_S:
                self._tidied_at_s = at_s
                _tidy(connection, at_s)
                self._ids.clear()

    def rows(self, route: str, span: str, now_s: float) -> list[tuple[float, bytes]]:
        """Return the samples of ``route`` within ``span`` before ``now_s``, oldest first.

        KeyError if there is no ring of that span; HistoryError.
        """
        number = {ring.span: number for number, ring in enumerate(RINGS)}[span]
        with self._lock, self._reading() as connection:
            return connection.execute(
                "SELECT at_s, content FROM sample JOIN route ON route.id = sample.route"
                " WHERE name = ? AND ring = ? AND at_s > ? AND at_s <= ? ORDER BY at_s",
                (route, number, now_s - RINGS[number].span_s, now_s),
            ).fetchall()

    def close(self) -> None:
        """Close the file; idempotent. A later call opens it again."""
        with self._lock:
            self._drop()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._ids.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            yield self._connection
        except sqlite3.Error as exc:
            self._drop()  # the next call opens it again, and begins it anew if it is damaged
            raise HistoryError(f"{self._path.name}: {exc}") from exc

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._ids.clear()
        if connection is not None:
            connection.close()

    def _id_of(self, connection: sqlite3.Connection, name: str) -> int:
        if name not in self._ids:
            connection.execute("INSERT OR IGNORE INTO route (name) VALUES (?)", (name,))
            query = "SELECT id FROM route WHERE name = ?"
            (self._ids[name],) = connection.execute(query, (name,)).fetchone()
        return self._ids[name]


def _tidy(connection: sqlite3.Connection, at_s: float) -> None:
    """Drop what is older than its ring: of routes that are gone, and of another stride."""
    for number, ring in enumerate(RINGS):
        before_s = at_s - ring.span_s
        connection.execute("DELETE FROM sample WHERE ring = ? AND at_s <= ?", (number, before_s))
    connection.execute("DELETE FROM route WHERE id NOT IN (SELECT DISTINCT route FROM sample)")


def _open(path: Path) -> sqlite3.Connection:
    """Open the file; one that is damaged, or another version's, is begun anew."""
    try:
        return _prepared(path)
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        log.warning("the history is damaged and begins anew", file=str(path), because=str(exc))
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # What a power cut takes from the end of a history, nobody misses.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA max_page_count = {MAX_BYTES // PAGE_BYTES}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            connection.executescript("DROP TABLE IF EXISTS sample; DROP TABLE IF EXISTS route;")
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
