"""How many labels became what, by route, since this process began. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence

from evaluator.join import Label, LabelOutcome, LabelResult

UNROUTED = ""
"""Stands for the route of labels that belong to none."""
EARLY = "early"
"""Counted beside what labels were answered: those that were ``unknown`` and joined an observation
that came after them."""


class LabelCounts:
    """Owner: the Intake. Holds as many routes as there are experiments, and one for the others."""

    def __init__(self) -> None:
        self._counted: dict[str, Counter[str]] = {}

    def count(
        self, labels: Sequence[Label], results: Sequence[LabelResult], routes: Collection[str]
    ) -> None:
        """Count what became of ``labels``; ``routes``: those with an experiment under way."""
        for label, result in zip(labels, results, strict=True):
            # The route that a label names is its sender's word: they could name any number.
            said = label.route if label.route in routes else None
            route = result.route or said or UNROUTED
            self._counted.setdefault(route, Counter())[result.outcome.value] += 1

    def count_early(self, route: str, n: int) -> None:
        """Count ``n`` labels that had come before their observations and joined them now."""
        self._counted.setdefault(route, Counter())[EARLY] += n

    def of(self, route: str = UNROUTED) -> dict[str, int]:
        """Return what became of a route's labels; by default of those that belong to none."""
        counted = self._counted.get(route, Counter())
        counts = {outcome.value: counted[outcome.value] for outcome in LabelOutcome}
        return counts | {EARLY: counted[EARLY]}
