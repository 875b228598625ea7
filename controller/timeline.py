"""What happened on one route, newest first, read from the audit.

Reads on a connection of its own: the audit has no order by route, so a route of which little is
recorded makes it look through all of it.
"""

import json
import sqlite3
from typing import Any

LATEST = 2**63 - 1


def page(
    connection: sqlite3.Connection, route: str, *, before: int = LATEST, limit: int
) -> list[dict[str, Any]]:
    """Return up to ``limit`` records of ``route`` with a sequence below ``before``, newest first.

    Each is whole, with its hash: the readings and counts that an act rests on are in its
    ``evidence``.
    """
    rows = connection.execute(
        "SELECT body, hash FROM audit WHERE sequence < ? AND json_extract(body, '$.route') = ?"
        " ORDER BY sequence DESC LIMIT ?",
        (before, route, limit),
    )
    return [json.loads(body) | {"hash": digest} for body, digest in rows]
