"""From answers and labels to a metric's number, so that higher is better. Pure."""

import json
from typing import Any

from evaluator.extract import Fields
from evaluator.join import Answer
from evaluator.kind import How
from evaluator.metric import MetricSpec, is_failed
from evaluator.number import as_number, loss_of, parsed_text
from router.observation import Outcome


class Reader:
    """Reads the number of one metric of kind mean or loss.

    With a range the result lies in [0, 1], what is out of it at its nearer end. None means that
    there is no number where one should be; ``refused`` counts these by variant.
    """

    def __init__(self, spec: MetricSpec, how: How, refused: list[int]) -> None:
        self._spec = spec
        self.path = (spec.value if spec.value is not None else how.prediction) or ""
        """Where the number is among the fields of an answer."""
        self._sign = 1.0 if spec.direction == "higher" and spec.kind == "mean" else -1.0
        self._low, self._high = spec.range or (0.0, 1.0)
        self.refused = refused
        self.unit = self._high - self._low if spec.range is not None else 1.0
        """How much of the number one unit of y is."""
        relative = spec.margin_relative or 0.0
        self.scale = 1.0 - relative if self._sign > 0.0 else 1.0 + relative
        """What the challenger's number is divided by, for a relative margin."""
        of_label = spec.kind == "mean" and spec.source != "answer" and spec.value is not None
        self._label = Fields([spec.value] if of_label and spec.value is not None else [])
        self._covariate = Fields([spec.covariate] if spec.covariate is not None else [])

    def y_of(self, value: Any, is_challenger: bool) -> float | None:
        """Return y for a JSON value; None if it is not a number."""
        number = as_number(value)
        if number is None:
            return None
        return self.y(number / self.scale if is_challenger else number)

    def y(self, number: float) -> float:
        """Return y for a number in the unit of the file."""
        if self._spec.range is None:
            return self._sign * number
        share = (min(self._high, max(self._low, number)) - self._low) / self.unit
        return share if self._sign > 0.0 else 1.0 - share

    def number(self, y: float) -> float:
        """Return the number in the unit of the file for y."""
        if self._spec.range is None:
            return self._sign * y
        return self._low + (y if self._sign > 0.0 else 1.0 - y) * self.unit

    def at_once(
        self, fields: dict[str, Any], outcome: Outcome, is_challenger: bool
    ) -> float | None:
        """Return y of an answer that needs no label; None if it failed or has no number."""
        if is_failed(outcome):
            return None
        y = self.y_of(fields.get(self.path), is_challenger)
        if y is None:
            self.refused[is_challenger] += 1
        return y

    def judged(self, answer: Answer, label: str, is_challenger: bool) -> float | None:
        """Return y of an answer with its label, likewise."""
        if answer.is_failed:
            return None
        y = self.y_of(self._raw(answer, label, is_challenger), is_challenger)
        if y is None:
            self.refused[is_challenger] += 1
        return y

    def covariate(self, fields: dict[str, Any], label: str | None) -> float | None:
        """Return the covariate, from the answer or else from the label; None if not there."""
        path = self._spec.covariate
        if path is None:
            return None
        x = as_number(fields.get(path))
        if x is None and label is not None:
            x = as_number(self._covariate.read_text(label).get(path))
        return x

    def _raw(self, answer: Answer, label: str, is_challenger: bool) -> Any:
        """Return the number as the file declares it, or None."""
        spec = self._spec
        if spec.kind == "mean":
            if spec.source == "scorer":
                label = _side(label, is_challenger)
            if spec.value is None:
                return parsed_text(label)
            return self._label.read_text(label).get(spec.value)
        if spec.value is None:
            prediction = parsed_text(answer.prediction)
        else:
            prediction = answer.fields.get(spec.value)
        measure = spec.measure or "absolute"
        return loss_of(measure, prediction, parsed_text(label), spec.quantile or 0.5)


def _side(label: str, is_challenger: bool) -> str:
    """Return what a scorer said of one variant, as JSON text; null if it said nothing."""
    scores = parsed_text(label)
    side = "challenger" if is_challenger else "champion"
    return json.dumps(scores.get(side) if isinstance(scores, dict) else None)
