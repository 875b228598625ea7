"""The pairs that disagree most, for people who look: bounded, in memory, gone with the process.

Of a route whose file does not say ``show: predictions`` nothing is kept. Requests and whole
answers are never kept.
"""

import heapq
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from controller.audit import iso
from controller.policy import RouteIntent
from router.observation import MirroredPair

KEPT = 20
"""Pairs of one route: what a person reads. Chosen."""
MAX_CHARS = 200
"""Of each prediction."""
MAX_PARSED_CHARS = 4_096
"""Longer predictions are not measured; two that differ are as far apart as two words."""
PREDICTIONS = "predictions"


@dataclass(slots=True)
class _Farthest:
    """The pairs of one experiment that are farthest apart; of equal ones the latest."""

    experiment: str
    n_compared: int = 0
    n_differ: int = 0
    heap: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def note(self, pair: MirroredPair, champion: str, challenger: str) -> None:
        self.n_compared += 1
        if champion == challenger:
            return
        self.n_differ += 1
        apart = distance(champion, challenger)
        if len(self.heap) == KEPT and apart < self.heap[0][0]:
            return
        entry = (apart, self.n_differ, _told(pair, champion, challenger, apart))
        if len(self.heap) < KEPT:
            heapq.heappush(self.heap, entry)
        else:
            heapq.heapreplace(self.heap, entry)


class Disagreements:
    """What is kept, by route. One thread; made and used by the Intake."""

    def __init__(self) -> None:
        self._shown: frozenset[str] = frozenset()
        self._routes: dict[str, _Farthest] = {}

    def use(self, routes: Iterable[RouteIntent]) -> None:
        """Keep pairs of those routes that show them from now on, and forget those of others."""
        self._shown = frozenset(route.name for route in routes if route.shown == PREDICTIONS)
        self._routes = {name: kept for name, kept in self._routes.items() if name in self._shown}

    def note(self, pair: MirroredPair, compared: tuple[str | None, str | None] | None) -> None:
        """Take in what both variants predicted; a pair of which one has none is no disagreement."""
        if pair.route not in self._shown or compared is None:
            return
        champion, challenger = compared
        if champion is None or challenger is None:
            return
        kept = self._routes.get(pair.route)
        if kept is None or kept.experiment != pair.experiment:
            kept = self._routes[pair.route] = _Farthest(pair.experiment)
        kept.note(pair, champion, challenger)

    def told(self, route: str) -> dict[str, Any]:
        """Return what is kept of ``route``, the farthest apart first, JSON-ready."""
        is_shown, kept = route in self._shown, self._routes.get(route)
        return {
            "show": PREDICTIONS if is_shown else "nothing",
            "experiment": kept.experiment if kept else None,
            "compared": kept.n_compared if kept else 0,
            "differ": kept.n_differ if kept else 0,
            "pairs": [pair for *_, pair in sorted(kept.heap, key=_order)] if kept else [],
        }


def _order(entry: tuple[float, int, dict[str, Any]]) -> tuple[float, int]:
    return -entry[0], -entry[1]


def distance(one: str, other: str) -> float:
    """Return how far two predictions (JSON texts) are apart; 1 where that has no measure. Pure.

    Numbers: their difference. Lists of as many numbers: the largest difference of two.

    >>> distance("0.25", "1"), distance("[1, 2]", "[1, 5]"), distance('"cat"', '"dog"')
    (0.75, 3.0, 1.0)
    """
    if max(len(one), len(other)) > MAX_PARSED_CHARS:
        return 1.0
    a, b = _numbers(one), _numbers(other)
    if not a or not b or len(a) != len(b):
        return 1.0
    apart = max(abs(x - y) for x, y in zip(a, b, strict=True))
    return apart if math.isfinite(apart) else 1.0


def _numbers(text: str) -> list[float]:
    """Return the number in ``text``, or the numbers of a list; nothing if it is anything else."""
    try:
        value = json.loads(text)
        found = value if isinstance(value, list) else [value]
        is_number = all(isinstance(x, int | float) and not isinstance(x, bool) for x in found)
        return [float(x) for x in found] if is_number else []
    except (ValueError, OverflowError, RecursionError):
        return []


def _told(pair: MirroredPair, champion: str, challenger: str, apart: float) -> dict[str, Any]:
    return {
        "request_id": pair.request_id[:MAX_CHARS],
        "at": iso(pair.at_ns),
        "apart": round(apart, 6),
        "champion": _cut(champion),
        "challenger": _cut(challenger),
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1] + "…"
