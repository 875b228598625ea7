"""How the state's file is opened: made, checked, upgraded, or moved aside when it is damaged.

WAL with synchronous=FULL: what is committed survives a power cut.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

import structlog

from controller import audit, decided, outbox, registry
from controller.mark import SUFFIX, Mark, read_mark
from controller.store import (
    SCHEMA,
    WAL_LIMIT_BYTES,
    StateConnection,
    StoreError,
    is_broken,
    load_intent,
    load_routes,
    load_table,
    put,
    transaction,
)
from evaluator.schema import statements
from evaluator.upgrade import from_first

SCHEMA_VERSION = 3
CACHE_KIB = 64 * 1024
"""Of pages that the one connection keeps in memory: a bound, reached with some 100,000
observations."""
CHECKPOINT_PAGES = 4_000
"""Pages of 4 KiB in the log after which it is written into the file: a page that many labels touch
is written there once. Measured with ``make bench-labels``."""
BUSY_TIMEOUT_MS = 1000
"""How long a write waits for another process that holds the file (a backup, a shell). Short: the
one thread that waits is also the one that rolls back."""
WHOLE_CHECK_BYTES = 512 * 1024 * 1024
"""Of a file up to this size every page is checked at the start, below a second; ten million
observations would take ten. Chosen."""
LARGE = ("observation", "ident", "label", "judged")
"""Tables of which there is a row for each observation."""
SOUND_SINCE = (3, 51, 3)
"""Versions of SQLite before this may damage a file when one connection writes while another one
checkpoints (the WAL-reset bug): docs/adr/0019."""

log = structlog.get_logger(__name__)


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
        if is_broken(exc):
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
        if is_broken(exc):
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
        parts = (SCHEMA, audit.SCHEMA, outbox.SCHEMA, decided.SCHEMA, registry.SCHEMA)
        for statement in statements("".join(parts)):
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
