"""What the metrics of a plan read in an answer: its prediction, and fields besides. Pure."""

from typing import Any

from evaluator.extract import Extracted, Extractor, Fields, is_cut
from evaluator.join import Answer
from evaluator.metric import (
    ExperimentPlan,
    is_failed,
    is_readable_in_principle,
    needs_label,
    reads_prediction,
)
from router.observation import Outcome

NOTHING = Extracted(None, "not asked")
"""Found where nobody looks for a prediction."""


class Sight:
    """Reads in answers what the metrics of one plan ask for. Remembers nothing."""

    def __init__(self, plan: ExperimentPlan) -> None:
        self._extractor = Extractor(plan.prediction)
        self._fields = Fields(
            path for spec in plan.metrics for path in spec.paths_at_once(plan.prediction)
        )
        self._late_fields = Fields(
            path for spec in plan.metrics for path in spec.paths_for_labels()
        )
        self.has_labels = any(needs_label(spec, plan.prediction) for spec in plan.metrics)
        """Whether a metric waits for labels."""
        self.has_late_fields = bool(self._late_fields)
        """Whether one reads more than the prediction when the label comes."""
        self.has_prediction = any(reads_prediction(spec, plan.prediction) for spec in plan.metrics)
        """Whether one reads the prediction."""

    def prediction(self, outcome: Outcome) -> Extracted:
        """Return the prediction in an answer, or NOTHING where none is to be expected."""
        if not self.has_prediction or not is_readable_in_principle(outcome):
            return NOTHING
        return self._extractor.read(outcome)

    def fields(self, outcome: Outcome) -> dict[str, Any]:
        """Return what metrics read at once, by JMESPath."""
        return self._fields.read(outcome)

    def answer(self, outcome: Outcome, found: Extracted) -> Answer:
        """Return what is kept of an answer until its label comes; ``found`` is its prediction."""
        return Answer(
            found.text,
            is_failed=is_failed(outcome),
            is_cut=is_cut(outcome, found),
            fields=self._late_fields.read(outcome),
        )


def is_agreed(champion: Outcome, a: Extracted, b: Extracted, challenger: Outcome) -> bool | None:
    """Return whether a pair agrees; None when the champion gave nothing to agree with."""
    if a.text is None or is_cut(challenger, b) or is_failed(champion):
        return None
    return a.text == b.text
