"""The durable state: one SQLite file, one writer, every acknowledged change on the disk.

WAL with synchronous=FULL: what is committed survives a power cut. Third-party errors end here:
callers see ``StoreError``.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from controller import audit
from controller.mark import SUFFIX, Mark, read_mark
from controller.policy import Intent, RouteIntent
from controller.rollout import Rollout
from evaluator.schema import statements
from evaluator.upgrade import from_first
from router import table
from router.table import RoutingTable

SCHEMA_VERSION = 2
CACHE_KIB = 64 * 1024
"""Of pages that the one connection keeps in memory: a bound, reached with some 100,000
observations."""
CHECKPOINT_PAGES = 4_000
"""Pages of 4 KiB in the log after which it is written into the file: a page that many labels touch
is written there once. Measured with ``make bench-labels``."""
BUSY_TIMEOUT_MS = 1000
"""How long a write waits for another process that holds the file (a backup, a shell). Short: the
one thread that waits is also the one that rolls back."""
WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The log is cut back to this after a checkpoint; a long reader may make it larger meanwhile."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS route (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS batch (
    source TEXT PRIMARY KEY, sequence INTEGER NOT NULL, at_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS snapshot (route TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS commits (one INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO commits VALUES (1, 0);
"""

log = structlog.get_logger(__name__)

WHOLE_CHECK_BYTES = 512 * 1024 * 1024
"""Of a file up to this size every page is checked at the start, below a second; ten million
observations would take ten. Chosen."""
LARGE = ("observation", "ident", "label", "judged")
"""Tables of which there is a row for each observation."""
SOUND_SINCE = (3, 51, 3)
"""Versions of SQLite before this may damage a file when one connection writes while another one
checkpoints (the WAL-reset bug): docs/adr/0016."""

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


@dataclass(frozen=True, slots=True)
class RouteState:
    """What is true of a route now, whatever the file says."""

    name: str
    declared_champion: str
    """``champion:`` in the file when it was last adopted."""
    champion: str
    """Who answers users; a promotion changes it, the file does not."""
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
    saved_at_s: float = 0.0
    """Wall clock of the last save, to know how much time a restart took."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the state at ``path``, making it if it is not there; StoreError if it cannot be used.

    A damaged file is moved aside (``NAME.damaged-N``), never deleted, and a new state is begun that
    remembers it: see ``damage``. The connection may be handed to one other thread.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _tell_version()
    if not path.exists():
        _suspicion(path).unlink(missing_ok=True)  # of one that was just moved aside
    opened = _open_checked(path)
    if isinstance(opened, sqlite3.Connection):
        return opened
    moved = _move_aside(path)
    log.error("the state is damaged and was moved aside", to=str(moved), because=opened)
    again = _open_checked(path)
    if isinstance(again, str):
        raise StoreError(f"{path} is damaged again right after it was moved to {moved}: {again}")
    with transaction(again):
        because = f"the state was damaged and moved to {moved.name} ({opened})"
        put(again, "damage", because.encode())
    return again


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


def condemn(path: Path, because: str) -> None:
    """Have the state at ``path`` moved aside when it is opened next: what is wrong shows in use.

    Never raises: what could not be noted is found again.
    """
    try:
        _suspicion(path).write_text(because)
    except OSError as error:
        log.error("the damage could not be noted", error=str(error))


def _suspicion(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def _error(done: str, exc: sqlite3.Error) -> StoreError:
    of = StoreDamaged if _is_broken(exc) else StoreError
    name = getattr(exc, "sqlite_errorname", "")
    return of(f"the state could not be {done}: {exc}" + (f" ({name})" if name else ""))


def _is_broken(exc: sqlite3.Error) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _count_commit(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("UPDATE commits SET count = count + 1 RETURNING count").fetchone()
    return int(count)


def _tell_version() -> None:
    is_sound = sqlite3.sqlite_version_info >= SOUND_SINCE
    log.info("SQLite", version=sqlite3.sqlite_version, has_wal_reset_bug=not is_sound)


def _open_checked(path: Path) -> sqlite3.Connection | str:
    """Return a connection to a sound file; if the file is damaged, what is wrong with it."""
    if _suspicion(path).exists():
        return _suspicion(path).read_text() or "found in use"
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, factory=StateConnection
        )
    except sqlite3.Error as exc:
        raise StoreError(f"{path} cannot be opened: {exc}") from exc
    try:
        _prepare(connection, path)
    except sqlite3.Error as exc:
        connection.close()
        if _is_broken(exc):
            return str(exc)
        raise StoreError(f"{path} cannot be used: {exc}") from exc
    except BaseException:
        connection.close()
        raise
    connection.mark = Mark(path)
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    _check_pages(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path} was written by a newer version (schema {version})")
    if version < SCHEMA_VERSION:  # a sound state is opened without a write: the disk may be full
        _upgrade(connection, version)
    _read_all(connection)
    _check_mark(connection, path)
    _settle_log(connection)


def _settle_log(connection: sqlite3.Connection) -> None:
    """Write what the log holds into the file, if there is room for it.

    After an fsync that failed the kernel takes the pages for clean, and a process that is killed
    then leaves commits in the log that are in the page cache alone: writing them into the file,
    with an fsync of that, makes them durable before anything is built on them.
    """
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as exc:
        if _is_broken(exc):
            raise
        log.warning("the log was not written into the state's file", error=str(exc))


def _check_mark(connection: sqlite3.Connection, path: Path) -> None:
    (count,) = connection.execute("SELECT count FROM commits").fetchone()
    lost = read_mark(path) - count
    if lost > 0:
        raise _broken(
            f"its last {lost} changes are missing: its log was cut off, or it is an old copy"
        )


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Check the whole file; of a large one the tables that decide who gets traffic, and why.

    What is wrong with the others is found when it is read, and then treated alike.
    """
    checks = ["1"]
    if path.stat().st_size > WHOLE_CHECK_BYTES:
        small = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN (?, ?, ?, ?)"
        checks = [f"'{name}'" for (name,) in connection.execute(small, LARGE)]
    for what in checks:
        (found,) = connection.execute(f"PRAGMA quick_check({what})").fetchone()
        if found != "ok":
            raise _broken(f"quick_check: {found}")


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring the schema from ``version`` (0: a new file) to ours, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements(_SCHEMA + audit.SCHEMA):
            connection.execute(statement)
        if version == 1:
            log.info("the state is upgraded", schema=SCHEMA_VERSION, of=from_first(connection))
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _read_all(connection: sqlite3.Connection) -> None:
    """Read what a start needs: SQLite has no checksums, so quick_check misses a flipped value."""
    try:
        load_routes(connection)
        load_table(connection)
        load_intent(connection)
    except ValueError as exc:  # msgspec's errors are ValueErrors
        raise _broken(f"a value cannot be read: {exc}") from exc


def _broken(because: str) -> sqlite3.DatabaseError:
    fault = sqlite3.DatabaseError(because)
    fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return fault


def _move_aside(path: Path) -> Path:
    """Rename the file and its log; both are needed to look into it later."""
    number = 1
    while (moved := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(moved)
    for suffix in ("-wal", "-shm", SUFFIX, ".suspect"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(moved.with_name(moved.name + suffix))
    return moved
