"""Says where the audit ends, outside the store: a line of the log, and whoever else is told.

A chain that was cut off, or written anew, is whole in itself; a head that was noted elsewhere shows
it (``understudy audit verify --head``). Log collectors, metrics and webhooks keep such heads.
"""

import sqlite3
from collections.abc import Callable

import structlog

from controller import audit, store
from controller.chain import Head
from controller.store import StoreError

log = structlog.get_logger()


class HeadLog:
    """Made by the controller process, called in the engine's thread after each step."""

    def __init__(self, tell: Callable[[Head], None]) -> None:
        self._tell = tell
        """Called in the engine's thread with each new head."""
        self._last: Head | None = None

    def look(self, connection: sqlite3.Connection) -> None:
        """Tell of the head if it is a new one; what cannot be read is looked at again later."""
        try:
            with store.reading():
                head = audit.head(connection)
        except StoreError:
            return  # the step itself says what is wrong with the store
        if head == self._last:
            return
        self._last = head
        log.info("audit head", sequence=head.sequence, hash=head.hash)
        self._tell(head)
