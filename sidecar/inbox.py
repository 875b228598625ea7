"""A bounded queue whose taker gets everything that waits at once: the unit of a group commit.

What was taken still fills the queue until it is freed, so the bound holds for what is under way
too. Used from the event loop only.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One thing in the queue, with what it weighs."""

    item: T
    count: int
    size_bytes: int


class Inbox(Generic[T]):
    """Bounded in count and bytes. One taker; any number of givers, who wait or are refused."""

    def __init__(self, arrived: asyncio.Event, *, max_count: int, max_bytes: int) -> None:
        self._arrived = arrived
        """Set when there is something to take; shared with whatever else the taker waits for."""
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._waiting: list[Entry[T]] = []
        self._room = asyncio.Event()
        self.count = 0
        self.size_bytes = 0

    def offer(self, item: T, *, count: int, size_bytes: int) -> bool:
        """Put ``item`` in; return False if it would pass a bound. An empty queue takes anything."""
        fits = (
            self.count + count <= self._max_count
            and self.size_bytes + size_bytes <= self._max_bytes
        )
        if self.count and not fits:
            return False
        self._waiting.append(Entry(item, count, size_bytes))
        self.count += count
        self.size_bytes += size_bytes
        self._arrived.set()
        return True

    async def put(self, item: T, *, count: int, size_bytes: int) -> None:
        """Put ``item`` in as soon as there is room."""
        while not self.offer(item, count=count, size_bytes=size_bytes):
            self._room.clear()
            await self._room.wait()

    def take(self, most: int | None = None) -> list[Entry[T]]:
        """Return what waits, in order; give it to ``free`` once it is dealt with.

        All of it, or the first entries that together count ``most``; one, if that alone is more.
        """
        n = len(self._waiting)
        if most is not None:
            sums = list(accumulate(entry.count for entry in self._waiting))
            n = max(1, bisect_right(sums, most))
        taken, self._waiting = self._waiting[:n], self._waiting[n:]
        if self._waiting:
            self._arrived.set()
        return taken

    def put_back(self, entries: Sequence[Entry[T]]) -> None:
        """Return what was taken and could not be dealt with to the front of the queue."""
        self._waiting[:0] = entries

    def free(self, entries: Sequence[Entry[T]]) -> None:
        """Give back the room of ``entries``."""
        for entry in entries:
            self.count -= entry.count
            self.size_bytes -= entry.size_bytes
        self._room.set()
