"""Second labels that differ from the first, on their way into the audit: corrections, conflicts.

The first of a route is recorded with the labels it came with; what follows within a minute is added
up, in the same transaction as the labels, and recorded together: a flood cannot fill the audit, and
no crash forgets one.
"""

import sqlite3
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from controller import store
from evaluator.join import Label, LabelOutcome, LabelResult

EVERY_S = 60.0
"""Between two records of one route, at least, once there was one. Chosen."""
MAX_IDS = 5
"""Request ids named in one record, of each kind: enough to find who sent them. Chosen."""
_KEY = "disputes"
_KINDS = (LabelOutcome.CORRECTED, LabelOutcome.CONFLICT)


class Dispute(Struct):
    """What was not recorded yet of one route."""

    counts: dict[str, int]
    """By what became of them: corrected, conflict."""
    ids: dict[str, list[str]]
    """The first request ids of each."""

    @property
    def told(self) -> str:
        """One sentence for people."""
        parts = [
            f"{n} {word}: {', '.join(self.ids[word])}{' …' if n > len(self.ids[word]) else ''}"
            for word, n in self.counts.items()
        ]
        return "second labels that differ from the first; " + "; ".join(parts)


Record = Callable[[sqlite3.Connection, str, Dispute], None]
"""Appends an audit record about a route (empty: none is known) within the caller's transaction."""


def unrecorded(connection: sqlite3.Connection, route: str, dispute: Dispute) -> None:
    """Tell nobody."""


class Disputes:
    """Owner: the Intake. One thread. What it keeps is in the store's ``meta`` table too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        raw = store.get(connection, _KEY)
        self._kept: dict[str, Dispute] = (
            {} if raw is None else msgspec.json.decode(raw, type=dict[str, Dispute])
        )
        self._wanted = self._kept
        self._recorded_at_s: dict[str, float] = {}
        self._recorded: list[str] = []
        """Routes recorded in the transaction under way."""

    def note(
        self,
        connection: sqlite3.Connection,
        labels: Sequence[Label],
        results: Sequence[LabelResult],
        record: Record,
        *,
        now_s: float,
    ) -> None:
        """Take in what became of labels, within their transaction; see ``settled``.

        ``now_s``: a monotonic clock.
        """
        found = [
            (result.route or "", result.outcome.value, label.request_id)
            for label, result in zip(labels, results, strict=True)
            if result.outcome in _KINDS
        ]
        if found:
            self._wanted = _added(self._kept, found)
            self._flush(connection, record, now_s)

    def flush(self, connection: sqlite3.Connection, record: Record, *, now_s: float) -> None:
        """Record what has waited for its minute, within the caller's transaction."""
        if self._kept:
            self._flush(connection, record, now_s)

    def settled(self, *, now_s: float) -> None:
        """Note that the transaction is committed."""
        self._kept = self._wanted
        self._recorded_at_s.update(dict.fromkeys(self._recorded, now_s))
        self._recorded.clear()

    def revert(self) -> None:
        """Forget what a transaction that failed had taken in."""
        self._wanted = self._kept
        self._recorded.clear()

    def _flush(self, connection: sqlite3.Connection, record: Record, now_s: float) -> None:
        left = {}
        for route, dispute in self._wanted.items():
            last_s = self._recorded_at_s.get(route)
            if last_s is not None and now_s - last_s < EVERY_S:
                left[route] = dispute
            else:
                record(connection, route, dispute)
                self._recorded.append(route)
        self._wanted = left
        store.put(connection, _KEY, msgspec.json.encode(left))


def _added(kept: dict[str, Dispute], found: Sequence[tuple[str, str, str]]) -> dict[str, Dispute]:
    """Return ``kept`` with more (route, outcome, request id); changes nothing that is there."""
    added = {
        route: Dispute(dict(one.counts), {word: list(ids) for word, ids in one.ids.items()})
        for route, one in kept.items()
    }
    for route, word, request_id in found:
        dispute = added.setdefault(route, Dispute({}, {}))
        dispute.counts[word] = dispute.counts.get(word, 0) + 1
        ids = dispute.ids.setdefault(word, [])
        if len(ids) < MAX_IDS and request_id not in ids:
            ids.append(request_id)
    return added
