"""The durable state: one SQLite file, one writer, every acknowledged change on the disk.

How the file is opened and checked is in controller/opening.py. Third-party errors end here: callers
see ``StoreError``.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from controller.mark import Mark
from controller.policy import Intent, RouteIntent
from controller.rollout import Rollout
from router import table
from router.table import RoutingTable

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The log is cut back to this after a checkpoint; a long reader may make it larger meanwhile."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS route (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS batch (
    source TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS snapshot (route TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS commits (one INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO commits VALUES (1, 0);
"""

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class StoreError(Exception):
    """The state could not be read or written; nothing of the attempt is in it. Try again later."""

    status_hint = 503


class StoreDamaged(StoreError):
    """The file is not sound. The process must end: opening it again moves it aside."""


class StateConnection(sqlite3.Connection):
    """The one connection that writes, and checkpoints. Its commits are counted."""

    mark: Mark | None = None

    def close(self) -> None:
        """Close the file, and its mark."""
        super().close()
        if self.mark is not None:
            self.mark.close()


@dataclass(frozen=True, slots=True)
class Finished:
    """A rollout that came to its end."""

    challenger: str
    phase: str
    at_s: float
    """Wall clock."""
    because: str
    claimed_log_e: float | None = None
    """As ``Rollout.claimed_log_e``; None: it was not proven."""


@dataclass(frozen=True, slots=True)
class RouteState:
    """What is true of a route now, whatever the file says."""

    name: str
    declared_champion: str
    """``champion:`` in the file when it was last adopted."""
    champion: str
    """Who answers users; a promotion changes it, the file does not."""
    is_proven: bool = True
    """Whether ``champion`` is one. False: the route began without, and no version has been proven;
    then ``champion`` is the first version, and answers only while its rollout says so."""
    previous_champion: str | None = None
    """Who was champion before the last promotion; None when there was none, or it was undone."""
    rollout: Rollout | None = None
    """The present one, or the last; None before the first."""
    policy: RouteIntent | None = None
    """The declaration that the rollout began under and is judged by; None before the first."""
    salt: bytes = b""
    tried: tuple[str, ...] = ()
    """Challengers of the file that had their journey."""
    history: tuple[Finished, ...] = ()
    """The latest last; bounded, the audit has all."""
    hold_reason: str = ""
    """Not empty after a loss of state: nothing starts until a person resumes the route."""
    cooling_s: float = 0.0
    """How long nothing is promoted by evidence, after a rollback from production; counted."""
    askers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By variant of the file: who brought it there, and who changed where or what it is since."""
    saved_at_s: float = 0.0
    """Wall clock of the last save, to know how much time a restart took."""


@contextmanager
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Read the state beside the connection that writes, and never checkpoint; StoreError."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            yield opened
    except sqlite3.Error as exc:
        raise _error("read", exc) from exc


def damage(connection: sqlite3.Connection) -> str:
    """Return what happened to an earlier state, as a sentence; empty if nothing did."""
    return (get(connection, "damage") or b"").decode()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what is written inside, all or nothing; StoreError when the store refuses."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            commits = _count_commit(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has rolled back by itself on a full disk
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as exc:
        raise _error("written", exc) from exc
    if isinstance(connection, StateConnection) and connection.mark is not None:
        connection.mark.note(commits)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what SQLite says of a read into a StoreError."""
    try:
        yield
    except sqlite3.Error as exc:
        raise _error("read", exc) from exc


def log_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of the log (``-wal``): above its limit somebody reads for long."""
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def put(connection: sqlite3.Connection, name: str, content: bytes) -> None:
    """Keep ``content`` under ``name``, within the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, content))


def get(connection: sqlite3.Connection, name: str) -> bytes | None:
    """Return what was kept under ``name``; None if nothing was."""
    row = connection.execute("SELECT content FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def save_route(connection: sqlite3.Connection, state: RouteState) -> None:
    """Write ``state``, within the caller's transaction."""
    content = msgspec.json.encode(state)
    connection.execute("INSERT OR REPLACE INTO route VALUES (?, ?)", (state.name, content))


def delete_route(connection: sqlite3.Connection, name: str) -> None:
    """Forget a route that the file no longer declares, within the caller's transaction."""
    connection.execute("DELETE FROM route WHERE name = ?", (name,))
    connection.execute("DELETE FROM snapshot WHERE route = ?", (name,))
    connection.execute(  # and what the routes that it fed made of it
        "DELETE FROM snapshot WHERE substr(route, 1, length(?1) + 1) = ?1 || '>'", (name,)
    )


def load_routes(connection: sqlite3.Connection) -> dict[str, RouteState]:
    """Return the state of every route."""
    rows = connection.execute("SELECT content FROM route ORDER BY rowid")
    states = [msgspec.json.decode(content, type=RouteState) for (content,) in rows]
    return {state.name: state for state in states}


def save_table(connection: sqlite3.Connection, routing: RoutingTable) -> None:
    """Write the table in force, within the caller's transaction."""
    put(connection, "table", table.to_bytes(routing))


def load_table(connection: sqlite3.Connection) -> RoutingTable | None:
    """Return the table in force when the state was last written; None in a new state."""
    raw = get(connection, "table")
    return None if raw is None else table.from_bytes(raw)


def save_intent(connection: sqlite3.Connection, intent: Intent) -> None:
    """Write the routing file that was adopted, within the caller's transaction."""
    put(connection, "intent", msgspec.json.encode(intent))


def load_intent(connection: sqlite3.Connection) -> Intent | None:
    """Return the routing file that was adopted last; None in a new state."""
    raw = get(connection, "intent")
    return None if raw is None else msgspec.json.decode(raw, type=Intent)


def last_sequence(connection: sqlite3.Connection, source: str) -> int:
    """Return the highest batch of ``source`` that was taken in; 0 if none was."""
    row = connection.execute("SELECT sequence FROM batch WHERE source = ?", (source,)).fetchone()
    return row[0] if row else 0


def note_sequence(
    connection: sqlite3.Connection, source: str, sequence: int, *, at_ns: int
) -> None:
    """Remember that all batches of ``source`` up to ``sequence`` were taken in."""
    connection.execute("INSERT OR REPLACE INTO batch VALUES (?, ?, ?)", (source, sequence, at_ns))


def forget_sources(connection: sqlite3.Connection, *, before_ns: int) -> None:
    """Drop sources that sent nothing since ``before_ns``: each router start makes a new one."""
    connection.execute("DELETE FROM batch WHERE at_ns < ?", (before_ns,))


def save_snapshot(connection: sqlite3.Connection, route: str, content: bytes) -> None:
    """Write the evaluator's state of a route, within the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", (route, content))


def load_snapshot(connection: sqlite3.Connection, route: str) -> bytes | None:
    """Return the evaluator's state of a route; None if it has none."""
    row = connection.execute("SELECT content FROM snapshot WHERE route = ?", (route,)).fetchone()
    return row[0] if row else None


def is_broken(exc: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not sound."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _error(done: str, exc: sqlite3.Error) -> StoreError:
    of = StoreDamaged if is_broken(exc) else StoreError
    name = getattr(exc, "sqlite_errorname", "")
    return of(f"the state could not be {done}: {exc}" + (f" ({name})" if name else ""))


def _count_commit(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("UPDATE commits SET count = count + 1 RETURNING count").fetchone()
    return int(count)
