"""What must survive until it is judged: observations that wait, and their labels (SQLite).

The connection is given and never committed here: the caller owns the transaction.

Observations stand in the order in which they came, and what is asked of many of them (maturing,
judging, a label sent in the order of requests) touches neighbours. Only ``ident``, which finds an
observation by its request id, is in the order of ids: near the order of time for ids that a router
made, at random for those of clients. docs/adr/0015 has the reasons and the figures.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from evaluator.exposed import Exposed
from evaluator.join import Judgable, Label, LabelOutcome, LabelResult, Mode, checked
from evaluator.parking import MAX_PARKED, PARKED_NS, Parked, Parking
from evaluator.parking import SCHEMA as PARKING_SCHEMA
from evaluator.requestkey import Key, id_of, key_of

MAX_BYTES = 8 * 1024**3
"""Of the whole file, from which on no observation is taken in; about 40 million that wait, at the
200 bytes of docs/labels/store.md. Chosen."""
LABEL_ROOM = 1.25
"""Labels are taken in up to this multiple of the bound: those for what waits already must fit."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    route TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    waiting INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS observation (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    key BLOB NOT NULL,
    judgable BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS observation_due ON observation (queue, at_ns);
CREATE TABLE IF NOT EXISTS ident (
    key BLOB NOT NULL,
    queue INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (key, queue)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS label (
    sequence INTEGER PRIMARY KEY,
    content TEXT NOT NULL,
    at_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS judged (
    queue INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (queue, at_ns, sequence)
) WITHOUT ROWID;
"""
"""``queue``: what waits for one experiment of a route; closed when that ends. ``observation``: what
waits. ``judged``: what does not any more, until its window is over. ``ident`` and ``label`` belong
to a row of either, by its ``sequence``. A ``key`` is text or bytes: evaluator/requestkey.py."""

_TEMPORARY = """
CREATE TEMP TABLE IF NOT EXISTS wanted (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS chosen (sequence INTEGER PRIMARY KEY);
"""

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

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Judgable)


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


@dataclass(frozen=True, slots=True)
class Due:
    """An observation to be judged, with its label or None."""

    sequence: int
    judgable: Judgable
    label: str | None
    """Canonical JSON text."""


class JournalFull(Exception):
    """There is no room for labels either; nothing of the attempt was kept."""


class _Found(msgspec.Struct, gc=False):
    """What the journal knows under one request id on one route."""

    route: str
    sequence: int
    at_ns: int | None
    """None when it waits no more."""
    label: str | None


class Journal:
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
        self._connection = connection
        self.max_bytes = max_bytes
        """Of the whole file, from which on observations are refused."""
        self.outside_bytes = 0
        """What else counts against the bound; the owner knows of it."""
        for statement in statements(SCHEMA + PARKING_SCHEMA + _TEMPORARY):
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
                n_told += _is_told(mine[0], keys.pop(key))
        queue = self._open(route, len(keys))
        first = self._last_sequence() + 1
        rows = [
            (first + index, queue, one.at_ns, key, _encoded(one))
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
        found = _on_route(known, clean.route)
        if found is None:
            return self._park(clean, now_ns)
        if isinstance(found, LabelResult):
            return found
        result = _joined(found, clean, now_ns, window_ns)
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
        joined: dict[int, str] = {}
        results = []
        for key, one in zip(keys, clean, strict=True):
            if key is None or isinstance(one, LabelResult):
                assert isinstance(one, LabelResult)
                results.append(one)
                continue
            if one.exposure is not None and one.request_id in refused:
                results.append(refused[one.request_id])
                continue
            found = _on_route(known.get(key, ()), one.route)
            if found is None:
                result = self._park(one, now_ns)
            elif isinstance(found, LabelResult):
                result = found
            else:
                result = _joined(found, one, now_ns, None)
                if result.outcome in _WRITTEN:
                    joined[found.sequence] = found.label = one.label
            results.append(result)
        rows = ((sequence, joined[sequence], now_ns) for sequence in sorted(joined))
        self._connection.executemany(_LABEL, rows)
        return results

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

    def mark_judged(self, due: Sequence[Due]) -> None:
        """Record that they were judged: they take no label any more and keep no prediction."""
        self._retire((one.sequence,) for one in due)

    def purge(self, route: str, *, now_ns: int, window_ns: int, limit: int = 10_000) -> int:
        """Forget judged observations past the window; labels for them are unknown from then on.

        At most ``limit``; return how many, of which there may be more.
        """
        self._parking.expire(now_ns)
        done = 0
        for queue, is_open in self._queues(route):
            if not is_open:
                done += self._retire_some(queue, limit - done)
            done += self._purge(queue, now_ns - window_ns, limit - done)
            if not is_open and self._is_gone(queue):
                self._connection.execute("DELETE FROM queue WHERE id = ?", (queue,))
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

    def routes(self) -> list[str]:
        """Return the routes of which anything is kept."""
        return [route for (route,) in self._connection.execute("SELECT DISTINCT route FROM queue")]

    def used_bytes(self) -> int:
        """Return the size of the file less what is free in it; its log is not in it."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _find(self, keys: Iterable[Key]) -> dict[Key, list[_Found]]:
        """Return what is known under each of ``keys``; without those that nobody knows."""
        self._connection.execute("DELETE FROM wanted")
        self._connection.executemany(
            "INSERT OR IGNORE INTO wanted VALUES (?)", ((key,) for key in keys)
        )
        known: dict[Key, list[_Found]] = {}
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

    def _queue(self, route: str) -> int | None:
        return next((queue for queue, is_open in self._queues(route) if is_open), None)

    def _queues(self, route: str) -> list[tuple[int, bool]]:
        rows = self._connection.execute("SELECT id, is_open FROM queue WHERE route = ?", (route,))
        return [(queue, bool(is_open)) for queue, is_open in rows]

    def _last_sequence(self) -> int:
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'observation'"
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _retire(self, sequences: Iterable[tuple[int]]) -> None:
        """Move observations from those that wait to those that do not."""
        self._connection.execute("DELETE FROM chosen")
        self._connection.executemany("INSERT INTO chosen VALUES (?)", sequences)
        chosen = "observation WHERE sequence IN (SELECT sequence FROM chosen)"
        counted = self._connection.execute(
            f"SELECT count(*), queue FROM {chosen} GROUP BY queue"
        ).fetchall()
        self._connection.executemany(
            "UPDATE queue SET waiting = waiting - ? WHERE id = ? AND is_open", counted
        )
        self._connection.execute(
            f"INSERT INTO judged SELECT queue, at_ns, sequence, key FROM {chosen}"
        )
        self._connection.execute(f"DELETE FROM {chosen}")

    def _retire_some(self, queue: int, limit: int) -> int:
        rows = self._connection.execute(
            "SELECT sequence FROM observation WHERE queue = ? LIMIT ?", (queue, limit)
        ).fetchall()
        self._retire(rows)
        return len(rows)

    def _purge(self, queue: int, before_ns: int, limit: int) -> int:
        rows = self._connection.execute(
            "SELECT at_ns, sequence, key FROM judged WHERE queue = ? AND at_ns < ? LIMIT ?",
            (queue, before_ns, limit),
        ).fetchall()
        for table, where, values in (
            ("ident", "key = ? AND queue = ?", [(key, queue) for _, _, key in rows]),
            ("label", "sequence = ?", [(sequence,) for _, sequence, _ in rows]),
            (
                "judged",
                "queue = ? AND at_ns = ? AND sequence = ?",
                [(queue, at_ns, sequence) for at_ns, sequence, _ in rows],
            ),
        ):
            self._connection.executemany(f"DELETE FROM {table} WHERE {where}", values)
        return len(rows)

    def _is_gone(self, queue: int) -> bool:
        row = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM observation WHERE queue = ?1)"
            " OR EXISTS (SELECT 1 FROM judged WHERE queue = ?1)",
            (queue,),
        ).fetchone()
        return not row[0]

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


@lru_cache(maxsize=64)
def _accepted(route: str) -> LabelResult:
    """Return the usual answer; one for each label would take a tenth of the time of a join."""
    return LabelResult(LabelOutcome.ACCEPTED, "joined", route)


_UNKNOWN = LabelResult(LabelOutcome.UNKNOWN, "no observation has this id")
_PARKED = LabelResult(
    LabelOutcome.UNKNOWN,
    f"no observation has this id yet; kept for {PARKED_NS // 10**9} s in case one comes",
)
_PARKED_OTHER = LabelResult(
    LabelOutcome.CONFLICT, "another label came first and waits for an observation with this id"
)


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: ``executescript`` would commit first."""
    return (one for one in script.split(";\n") if one.strip())


def _read(row: tuple[Key, str, int, int, int | None, str | None]) -> tuple[Key, _Found]:
    key, route, is_open, sequence, at_ns, label = row
    return key, _Found(route, sequence, at_ns if is_open else None, label)


def _on_route(known: Sequence[_Found], route: str | None) -> _Found | LabelResult | None:
    """Return what a label for ``route`` (None: any) means; None if nothing, INVALID if several."""
    if route is not None:
        known = [found for found in known if found.route == route]
    if not known:
        return None
    if len(known) > 1:
        return LabelResult(
            LabelOutcome.INVALID,
            f"routes {known[0].route!r} and {known[1].route!r} both have this id",
        )
    return known[0]


def _joined(found: _Found, label: Label, now_ns: int, window_ns: int | None) -> LabelResult:
    """Return what becomes of ``label`` at what was found for it."""
    present, route = found.label, found.route
    if present is not None and (present == label.label or not label.is_correction):
        return _again(present, label.label, route)
    if found.at_ns is None:
        with_what = "without it" if present is None else "with the label that it corrects"
        return LabelResult(LabelOutcome.LATE, f"its observation was judged {with_what}", route)
    if window_ns is not None and now_ns - found.at_ns > window_ns:
        return LabelResult(LabelOutcome.LATE, "its observation is past the window", route)
    if present is not None:
        return LabelResult(LabelOutcome.CORRECTED, "in place of another label", route)
    return _accepted(route)


def _is_told(found: _Found, judgable: Judgable) -> bool:
    """Whether a token brought an exposure before it came itself: it is no other request's."""
    return judgable.mode is Mode.SPLIT and judgable.at_ns == found.at_ns


def _again(present: str, label: str, route: str) -> LabelResult:
    if present == label:
        return LabelResult(LabelOutcome.DUPLICATE, "the same label is there already", route)
    return LabelResult(LabelOutcome.CONFLICT, "another label came first and stays", route)


def _encoded(judgable: Judgable) -> bytes:
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
