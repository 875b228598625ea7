"""The routing table on disk: what a router serves before, and without, the controller process.

Written whole or not at all: a reader sees the old table or the new one, also after a power loss.
"""

import os
from pathlib import Path

from controller.plan import lay_out
from controller.policy import Intent, RouteIntent
from router import table
from router.table import Route, RoutingTable


def champion_only(intent: Intent) -> RoutingTable:
    """Return version 0: every route answered by its champion, no experiment anywhere. Pure."""
    return RoutingTable(version=0, routes=tuple(_champion_route(route) for route in intent.routes))


def _champion_route(route: RouteIntent) -> Route:
    champion = route.champion.name
    is_proven = route.cold_start is None
    return lay_out(
        route, policy=route, champion=champion, rollout=None, salt=b"", is_proven=is_proven
    )


def write(path: Path, routing: RoutingTable) -> None:
    """Replace the table at ``path``; OSError (a full disk) leaves the old one in place."""
    replace(path, table.to_bytes(routing))


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole; OSError leaves the old one in place.

    Only our user may read it: a table holds the key that seals sets of versions.
    """
    temporary = path.with_name(f".{path.name}.new")  # one name: a crash leaves one file at most
    try:
        with open(temporary, "wb", opener=_private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself must survive a power loss
    finally:
        os.close(directory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def seed(path: Path, intent: Intent) -> bool:
    """Write the champion-only table unless a readable one is there; return whether it wrote.

    An unreadable file is replaced: champion-only is always safe, a router without a table is not.
    """
    if read(path) is not None:
        return False
    write(path, champion_only(intent))
    return True


def read(path: Path) -> RoutingTable | None:
    """Return the table at ``path``; None if there is none, or none that can be read."""
    try:
        return table.from_bytes(path.read_bytes())
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
