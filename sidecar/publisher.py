"""Hands a new routing table to the routers, then to the disk.

In this order: a full disk must never keep a bad challenger in traffic. What could not be written
is tried again until it is, or until a newer table takes its place.
"""

from collections.abc import Callable
from pathlib import Path

import structlog

from router.table import RoutingTable
from sidecar import tablefile

log = structlog.get_logger()


class Publisher:
    """Called in the engine's thread only."""

    def __init__(self, send: Callable[[RoutingTable], None], path: Path) -> None:
        self._send = send
        """Must be callable from any thread, and not wait."""
        self._path = path
        self._unwritten: RoutingTable | None = None
        self._is_told = False
        """Whether the log has it that the disk refuses: it is tried ten times a second."""

    def last(self) -> RoutingTable | None:
        """Return the table on the disk; None if there is none that can be read."""
        return tablefile.read(self._path)

    def publish(self, routing: RoutingTable) -> None:
        """Send ``routing`` to the routers and write it; never raises for a disk's faults."""
        self._send(routing)
        self._unwritten = routing
        log.info("table published", table_version=routing.version)
        self.write()

    def write(self) -> None:
        """Write what is not on the disk yet, if anything."""
        if self._unwritten is None:
            return
        try:
            tablefile.write(self._path, self._unwritten)
        except OSError as error:
            if not self._is_told:
                log.error("table not written; will try again", error=str(error))
            self._is_told = True
            return
        self._unwritten = None
        if self._is_told:
            log.info("table written at last")
        self._is_told = False
