"""What waits to be judged, read in the order of requests (SQLite)."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from evaluator.join import Judgable
from evaluator.requestkey import Key, id_of

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Judgable)


@dataclass(frozen=True, slots=True)
class Due:
    """An observation to be judged, with its label or None."""

    sequence: int
    judgable: Judgable
    label: str | None
    """Canonical JSON text."""


class Waiting:
    """Reads the observations that wait, and writes nothing; the journal is what fills it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def matured(
        self, route: str, *, now_ns: int, maturity_ns: int, limit: int = 10_000
    ) -> list[Due]:
        """Return waiting observations that are ``maturity_ns`` old, in the order of requests."""
        rows = self._connection.execute(
            "SELECT o.sequence, o.at_ns, o.key, o.judgable, l.content"
            " FROM observation o LEFT JOIN label l ON l.sequence = o.sequence"
            " WHERE o.queue = ? AND o.at_ns <= ? ORDER BY o.at_ns, o.sequence LIMIT ?",
            (self._queue(route), now_ns - maturity_ns, limit),
        )
        return [Due(row[0], _decoded(*row[1:4]), row[4]) for row in rows]

    def all_waiting(self, route: str) -> Iterator[Due]:
        """Yield everything that waits on a route, in the order of requests; for one reading."""
        rows = self._connection.execute(
            "SELECT o.sequence, o.at_ns, o.key, o.judgable, l.content"
            " FROM observation o LEFT JOIN label l ON l.sequence = o.sequence"
            " WHERE o.queue = ? ORDER BY o.at_ns, o.sequence",
            (self._queue(route),),
        )
        return (Due(row[0], _decoded(*row[1:4]), row[4]) for row in rows)

    def unscored(self, route: str, *, after: int, limit: int) -> list[Due]:
        """Return waiting observations without a label behind sequence ``after``, in their order."""
        rows = self._connection.execute(
            "SELECT sequence, at_ns, key, judgable FROM observation"
            " WHERE sequence > ? AND +queue = ?"  # the +: by sequence, not by an index and a sort
            " AND NOT EXISTS (SELECT 1 FROM label WHERE label.sequence = observation.sequence)"
            " ORDER BY sequence LIMIT ?",
            (after, self._queue(route), limit),
        )
        return [Due(row[0], _decoded(*row[1:]), None) for row in rows]

    def waiting(self, route: str) -> int:
        """Return how many observations of a route wait to be judged."""
        row = self._connection.execute(
            "SELECT waiting FROM queue WHERE route = ? AND is_open", (route,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def oldest(self, route: str, *, limit: int) -> tuple[int | None, int, int]:
        """Return when the oldest observation that waits was made (wall clock, None: none waits);
        how many of the oldest were looked at, at most ``limit``; and how many have a label."""
        at_ns, n, labelled = self._connection.execute(
            "SELECT min(o.at_ns), count(*), count(l.sequence) FROM (SELECT sequence, at_ns"
            " FROM observation WHERE queue = ? ORDER BY at_ns, sequence LIMIT ?) o"
            " LEFT JOIN label l ON l.sequence = o.sequence",
            (self._queue(route), limit),
        ).fetchone()
        return at_ns, n, labelled

    def routes(self) -> list[str]:
        """Return the routes of which anything is kept."""
        return [route for (route,) in self._connection.execute("SELECT DISTINCT route FROM queue")]

    def _queue(self, route: str) -> int | None:
        return next((queue for queue, is_open in self._queues(route) if is_open), None)

    def _queues(self, route: str) -> list[tuple[int, bool]]:
        rows = self._connection.execute("SELECT id, is_open FROM queue WHERE route = ?", (route,))
        return [(queue, bool(is_open)) for queue, is_open in rows]


def encoded(judgable: Judgable) -> bytes:
    """Return ``judgable`` without what stands beside it in its row."""
    return _encoder.encode(msgspec.structs.replace(judgable, request_id="", at_ns=0))


def _decoded(at_ns: int, key: Key, raw: bytes) -> Judgable:
    """Return an observation as it was added; sqlite3.DatabaseError if its row is damaged."""
    try:
        kept = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        damage = sqlite3.DatabaseError(f"an observation cannot be read: {error}")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage from error
    return msgspec.structs.replace(kept, request_id=id_of(key), at_ns=at_ns)
