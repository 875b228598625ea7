"""How often each route's traffic was moved, counted from the audit as it grows. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

PAGE = 1_000
"""Records to ask for at once."""


class Tally:
    """Counts audit records by route and action; each record once."""

    def __init__(self) -> None:
        self.after = 0
        """Sequence of the last record counted: ask for those behind it."""
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, records: Sequence[Mapping[str, Any]]) -> bool:
        """Count ``records``, in order; return whether there may be more."""
        for record in records:
            if record["sequence"] > self.after:
                self._counts[record["route"], record["action"]] += 1
                self.after = record["sequence"]
        return len(records) >= PAGE

    def of(self, route: str) -> dict[str, int]:
        """Return the counts of ``route`` by action."""
        return {action: n for (name, action), n in self._counts.items() if name == route}
