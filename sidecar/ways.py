"""What came in by each way that labels have, and what became of it. Counts only."""

from collections import Counter
from collections.abc import Sequence

from evaluator.join import LabelResult
from sidecar.labels import Parsed

WAYS = ("http", "cloudevents", "nats")
REASONS = ("unauthorized", "rate", "full", "store", "unreadable")
"""Why a whole body, or message, was not taken."""


class Ways:
    """Counts since the process began. Used from the event loop only."""

    def __init__(self) -> None:
        self.labels: Counter[tuple[str, str]] = Counter()
        """By way and result."""
        self.refused: Counter[tuple[str, str]] = Counter()
        """Bodies of which no label was taken, by way and reason."""

    def count(self, way: str, parsed: Parsed, results: Sequence[LabelResult]) -> None:
        """Count the labels of one body that was taken."""
        for result in results:
            self.labels[way, result.outcome.value] += 1
        if parsed.faults:
            self.labels[way, "invalid"] += len(parsed.faults)

    def refuse(self, way: str, reason: str) -> None:
        """Count a body that was not taken."""
        self.refused[way, reason] += 1
