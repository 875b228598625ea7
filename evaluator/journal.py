"""What must survive until it is judged: observations that wait, and their labels (SQLite).

The connection is given and never committed here: the caller owns the transaction.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluator.exposed import Exposed
from evaluator.join import (
    Found,
    Judgable,
    Label,
    LabelOutcome,
    LabelResult,
    checked,
    is_told,
    joined,
    on_route,
)
from evaluator.parking import MAX_PARKED, PARKED_NS, Parked, Parking
from evaluator.parking import SCHEMA as PARKING_SCHEMA
from evaluator.requestkey import Key, key_of
from evaluator.retire import clear, retire
from evaluator.schema import SCHEMA, TEMPORARY, statements
from evaluator.waiting import Due, Waiting, encoded

MAX_BYTES = 8 * 1024**3
"""Of the whole file, from which on no observation is taken in; about 40 million that wait, at the
200 bytes of docs/labels/store.md. Chosen."""
LABEL_ROOM = 1.25
"""Labels are taken in up to this multiple of the bound: those for what waits already must fit."""

_FOUND = (
    "SELECT i.key, q.route, q.is_open, i.sequence, o.at_ns, l.content FROM {source}"
    " JOIN queue q ON q.id = i.queue"
    " LEFT JOIN observation o ON o.sequence = i.sequence"
    " LEFT JOIN label l ON l.sequence = i.sequence"
)
_FIND_ONE = _FOUND.format(source="ident i") + " WHERE i.key = ?"
# CROSS JOIN fixes the order: ids are walked in the order of the table that is searched for them.
_FIND_MANY = _FOUND.format(source="wanted w CROSS JOIN ident i ON i.key = w.key")
_LABEL = (
    "INSERT INTO label (sequence, content, at_ns) VALUES (?, ?, ?)"
    " ON CONFLICT (sequence) DO UPDATE SET content = excluded.content, at_ns = excluded.at_ns"
)
_WRITTEN = (LabelOutcome.ACCEPTED, LabelOutcome.CORRECTED)
_UNKNOWN = LabelResult(LabelOutcome.UNKNOWN, "no observation has this id")
_PARKED = LabelResult(
    LabelOutcome.UNKNOWN,
    f"no observation has this id yet; kept for {PARKED_NS // 10**9} s in case one comes",
)
_PARKED_OTHER = LabelResult(
    LabelOutcome.CONFLICT, "another label came first and waits for an observation with this id"
)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of observations handed to the journal."""

    added: int = 0
    repeated: int = 0
    """Their request id was there already: not joined, the first one stays."""
    refused: tuple[Judgable, ...] = ()
    """The journal is full: lost evidence."""
    labelled: int = 0
    """Their label had come before them; it was answered ``unknown`` then and is accepted now."""


class JournalFull(Exception):
    """There is no room for labels either; nothing of the attempt was kept."""


class Journal(Waiting):
    """Waiting observations of all routes. Owned by the engine's thread; never commits.

    An observation waits -> is judged -> is gone after the window. Only a waiting one takes a label.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        max_bytes: int = MAX_BYTES,
        max_parked: int = MAX_PARKED,
    ) -> None:
        super().__init__(connection)
        self.max_bytes = max_bytes
        """Of the whole file, from which on observations are refused."""
        self.outside_bytes = 0
        """What else counts against the bound; the owner knows of it."""
        for statement in statements(SCHEMA + PARKING_SCHEMA + TEMPORARY):
            connection.execute(statement)
        self._parking = Parking(connection, max_parked=max_parked)

    def add(self, route: str, judgables: Sequence[Judgable]) -> Added:
        """Keep observations until they are judged; a label that came earlier joins at once.

        A full journal refuses the newest: whether it is full depends on what came before, never on
        an observation's variant, answer or label, so what is left is as random as it was.
        """
        if self.used_bytes() + self.outside_bytes >= self.max_bytes:
            return Added(refused=tuple(judgables))
        keys = {key_of(one.request_id): one for one in reversed(judgables)}  # the first one stays
        n_told = 0
        for key, known in self._find(keys).items():
            mine = [one for one in known if one.route == route]
            if mine:
                n_told += is_told(mine[0], keys.pop(key))
        queue = self._open(route, len(keys))
        first = self._last_sequence() + 1
        rows = [
            (first + index, queue, one.at_ns, key, encoded(one))
            for index, (key, one) in enumerate(reversed(keys.items()))
        ]
        self._connection.executemany("INSERT INTO observation VALUES (?, ?, ?, ?, ?)", rows)
        self._connection.executemany(
            "INSERT INTO ident (sequence, queue, key) VALUES (?, ?, ?)",
            [(row[0], queue, row[3]) for row in rows],
        )
        labelled = self._unpark(route, {one.request_id: key for key, one in keys.items()})
        return Added(len(rows), len(judgables) - len(rows) - n_told, (), labelled)

    def label(self, label: Label, *, now_ns: int, window_ns: int | None = None) -> LabelResult:
        """Join one label. ``window_ns`` refuses observations older than that; None refuses none."""
        clean = checked(label)
        if isinstance(clean, LabelResult):
            return clean
        if clean.exposure is not None:
            refused = self._admit([clean.exposure]).get(clean.request_id)
            if refused is not None:
                return refused
        rows = self._connection.execute(_FIND_ONE, (key_of(clean.request_id),)).fetchall()
        known = [found for _, found in map(_read, rows)]
        found = on_route(known, clean.route)
        if found is None:
            return self._park(clean, now_ns)
        if isinstance(found, LabelResult):
            return found
        result = joined(found, clean, now_ns, window_ns)
        if result.outcome in _WRITTEN:
            self._connection.execute(_LABEL, (found.sequence, clean.label, now_ns))
        return result

    def label_many(self, labels: Sequence[Label], *, now_ns: int) -> list[LabelResult]:
        """Join labels; what becomes of each is what ``label`` would say, one after the other.

        JournalFull when there is no room: none of them may be kept then.
        """
        if self.used_bytes() >= self.max_bytes * LABEL_ROOM:
            raise JournalFull(f"the state has {self.used_bytes()} bytes: no room for labels")
        clean = [checked(label) for label in labels]
        exposures = [
            one.exposure for one in clean if isinstance(one, Label) and one.exposure is not None
        ]
        if exposures and len({label.request_id for label in labels}) < len(labels):
            # What a token brings changes what is said of another label of its request.
            return [self.label(label, now_ns=now_ns) for label in labels]
        refused = self._admit(exposures) if exposures else {}
        keys = [None if isinstance(one, LabelResult) else key_of(one.request_id) for one in clean]
        known = self._find(key for key in keys if key is not None)
        written: dict[int, str] = {}
        results = []
        for key, one in zip(keys, clean, strict=True):
            if key is None or isinstance(one, LabelResult):
                assert isinstance(one, LabelResult)
                results.append(one)
                continue
            if one.exposure is not None and one.request_id in refused:
                results.append(refused[one.request_id])
                continue
            found = on_route(known.get(key, ()), one.route)
            if found is None:
                result = self._park(one, now_ns)
            elif isinstance(found, LabelResult):
                result = found
            else:
                result = joined(found, one, now_ns, None)
                if result.outcome in _WRITTEN:
                    written[found.sequence] = found.label = one.label
            results.append(result)
        rows = ((sequence, written[sequence], now_ns) for sequence in sorted(written))
        self._connection.executemany(_LABEL, rows)
        return results

    def mark_judged(self, due: Sequence[Due]) -> None:
        """Record that they were judged: they take no label any more and keep no prediction."""
        retire(self._connection, ((one.sequence,) for one in due))

    def purge(self, route: str, *, now_ns: int, window_ns: int, limit: int = 10_000) -> int:
        """Forget judged observations past the window; labels for them are unknown from then on.

        At most ``limit``; return how many, of which there may be more.
        """
        self._parking.expire(now_ns)
        done = 0
        for queue, is_open in self._queues(route):
            done += clear(
                self._connection,
                queue,
                is_open=is_open,
                before_ns=now_ns - window_ns,
                limit=limit - done,
            )
        return done

    def forget(self, route: str) -> int:
        """Drop all that waits on a route: its experiment has ended. Labelled ids stay known.

        Takes the same time whatever waits; ``purge`` clears up. Return how many waited.
        """
        waited = self.waiting(route)
        self._connection.execute(
            "UPDATE queue SET is_open = 0, waiting = 0 WHERE route = ? AND is_open", (route,)
        )
        return waited

    def parked(self) -> int:
        """Return how many labels wait for an observation to arrive."""
        return self._parking.count()

    def _admit(self, exposures: Sequence[Exposed]) -> dict[str, LabelResult]:
        """Keep what tokens tell, so that their labels have something to join.

        Each is of another request. Return why not, by request id, for those that cannot.
        """
        by_key = {key_of(one.request_id): one for one in exposures}
        known = self._find(by_key)
        refused: dict[str, LabelResult] = {}
        new: dict[str, list[Judgable]] = {}
        for key, one in by_key.items():
            found = next((it for it in known.get(key, ()) if it.route == one.route), None)
            if found is not None:
                if found.at_ns not in (None, one.at_ns):
                    because = "another request had this id before, and stays"
                    refused[one.request_id] = LabelResult(LabelOutcome.CONFLICT, because, one.route)
            elif one.judgable is not None:
                new.setdefault(one.route, []).append(one.judgable)
            elif one.refusal is not None:
                refused[one.request_id] = one.refusal
        for route, judgables in new.items():
            full = LabelResult(LabelOutcome.UNKNOWN, "the store is full", route)
            for judgable in self.add(route, judgables).refused:
                refused[judgable.request_id] = full
        return refused

    def used_bytes(self) -> int:
        """Return the size of the file less what is free in it; its log is not in it."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _find(self, keys: Iterable[Key]) -> dict[Key, list[Found]]:
        """Return what is known under each of ``keys``; without those that nobody knows."""
        self._connection.execute("DELETE FROM wanted")
        self._connection.executemany(
            "INSERT OR IGNORE INTO wanted VALUES (?)", ((key,) for key in keys)
        )
        known: dict[Key, list[Found]] = {}
        for key, found in map(_read, self._connection.execute(_FIND_MANY)):
            known.setdefault(key, []).append(found)
        return known

    def _open(self, route: str, more: int) -> int:
        """Return the open queue of ``route``, made if there is none, with ``more`` that wait."""
        row = self._connection.execute(
            "UPDATE queue SET waiting = waiting + ? WHERE route = ? AND is_open RETURNING id",
            (more, route),
        ).fetchone()
        if row is None:
            row = self._connection.execute(
                "INSERT INTO queue (route, is_open, waiting) VALUES (?, 1, ?) RETURNING id",
                (route, more),
            ).fetchone()
        return int(row[0])

    def _last_sequence(self) -> int:
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'observation'"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _park(self, label: Label, now_ns: int) -> LabelResult:
        """Keep a label for an observation that may still be on its way from the router."""
        match self._parking.put(label, now_ns):
            case Parked.KEPT:
                return _PARKED
            case Parked.DIFFERS:
                return _PARKED_OTHER
        return _UNKNOWN

    def _unpark(self, route: str, keys: dict[str, Key]) -> int:
        """Join labels that came before these observations; return how many."""
        taken = self._parking.take(route, list(keys))
        self._connection.executemany(
            "INSERT INTO label SELECT sequence, ?, ? FROM ident WHERE key = ?"
            " AND queue = (SELECT id FROM queue WHERE route = ? AND is_open)",
            [(text, at_ns, keys[request_id], route) for request_id, text, at_ns in taken],
        )
        return len(taken)


def _read(row: tuple[Key, str, int, int, int | None, str | None]) -> tuple[Key, Found]:
    key, route, is_open, sequence, at_ns, label = row
    return key, Found(route, sequence, at_ns if is_open else None, label)
