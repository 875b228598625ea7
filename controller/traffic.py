"""The table in force, and the two orders in which it may change.

Forward: write, then publish; a crash between leaves a table that the next start publishes.
Back: publish, then write; a disk that refuses the record does not keep a bad challenger in
traffic, and the record is tried again until it is written. Either way a router sees the old table
or the new one, and the audit has one record.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec
import structlog

from controller import audit, decided, store
from controller.audit import Entry
from controller.failpoint import pass_by
from controller.policy import Intent
from controller.store import RouteState, StoreError
from router.table import RoutingTable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What is published and what is written, together or not at all."""

    table: RoutingTable
    entries: tuple[Entry, ...]
    states: tuple[RouteState, ...] = ()
    removed: tuple[str, ...] = ()
    """Routes that the file no longer declares."""
    intent: Intent | None = None
    """The file, when it is what changed."""
    snapshot: bytes | None = None
    """The evaluator's state that the one entry rests on, to be kept with it; None keeps nothing."""


def nothing_more(connection: sqlite3.Connection) -> None:
    """Write nothing beside the change itself."""


class Traffic:
    """Owns the table in force. One thread; made and used by the Controller.

    ``publish`` hands a table to the routers; it must neither wait for them nor raise.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        publish: Callable[[RoutingTable], None],
        *,
        table: RoutingTable,
    ) -> None:
        self._connection = connection
        self._publish = publish
        self._table = table
        self._unrecorded: list[Change] = []
        self._n_told = 0
        """Unrecorded rollbacks that the log has: they are tried ten times a second."""

    @property
    def table(self) -> RoutingTable:
        """The table in force."""
        return self._table

    @property
    def n_unrecorded(self) -> int:
        """Rollbacks that are in force and not yet written."""
        return len(self._unrecorded)

    def publish(self) -> None:
        """Hand the table in force to the routers once more."""
        self._publish(self._table)

    def renumber(self, above: int) -> None:
        """Give the table in force a version above ``above``, which routers know already."""
        self._table = msgspec.structs.replace(self._table, version=above + 1)
        with suppress(
            StoreError
        ):  # the next change writes it; until then a restart does this again
            with store.transaction(self._connection):
                store.save_table(self._connection, self._table)

    def advance(
        self,
        change: Change,
        *,
        action: str,
        also: Callable[[sqlite3.Connection], None] = nothing_more,
    ) -> None:
        """Write ``change`` (and ``also``, in the same transaction), then publish its table.

        StoreError when it could not be written: then nothing has changed.
        """
        self.require_settled()
        pass_by(f"{action}.before_commit")
        self._commit(change, also, place=f"{action}.in_transaction")
        pass_by(f"{action}.after_commit")
        self._swap(change.table)
        pass_by(f"{action}.after_publish")

    def withdraw(self, change: Change) -> None:
        """Publish ``change``'s table, then write it, now or as soon as the store lets us."""
        pass_by("rollback.before_publish")
        self._swap(change.table)
        pass_by("rollback.after_publish")
        self._unrecorded.append(change)
        if self.settle():
            pass_by("rollback.after_commit")

    def settle(self) -> bool:
        """Write what is in force and unwritten; return whether everything is written now."""
        while self._unrecorded:
            change = replace(self._unrecorded[0], table=self._table)
            try:
                self._commit(change, nothing_more, place="rollback.in_transaction")
            except StoreError as exc:
                if self._n_told != self.n_unrecorded:
                    log.error("rollback_not_recorded", error=str(exc), waiting=self.n_unrecorded)
                self._n_told = self.n_unrecorded
                return False
            del self._unrecorded[0]
        if self._n_told:
            log.info("rollbacks_recorded_at_last")
        self._n_told = 0
        return True

    def require_settled(self) -> None:
        """Raise StoreError while a rollback waits to be written: its record comes first."""
        if not self.settle():
            raise StoreError(f"{self.n_unrecorded} rollbacks in force are not written yet")

    def _commit(
        self, change: Change, also: Callable[[sqlite3.Connection], None], *, place: str
    ) -> None:
        with store.transaction(self._connection):
            for state in change.states:
                store.save_route(self._connection, state)
            for name in change.removed:
                store.delete_route(self._connection, name)
            for entry in change.entries:
                head = audit.append(self._connection, entry)
                if change.snapshot is not None:
                    decided.keep(self._connection, head.sequence, change.snapshot)
            if change.intent is not None:
                store.save_intent(self._connection, change.intent)
            store.save_table(self._connection, change.table)
            also(self._connection)
            pass_by(place)

    def _swap(self, table: RoutingTable) -> None:
        if table == self._table:
            return
        self._table = table
        self._publish(table)
