"""From JSON values to numbers: losses, distances, and what is not a number. Pure.

What comes in is a parsed answer or label of a stranger: nothing but a finite number comes out, or
None, and the caller counts it.
"""

import json
import math
from collections.abc import Callable
from typing import Any

LEAST_PROBABILITY = 1e-15
"""Probabilities are held this far from 0 and 1 in a log loss: one sure mistake costs 34.5, not
infinity. scikit-learn used the same until 1.3."""


def as_number(value: Any) -> float | None:
    """Return a JSON number as a float; None for anything else, and for what a float cannot hold.

    true and "7" are not numbers: a model that changes its type has changed its answer.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def parsed_text(text: str | None) -> Any:
    """Return the value of a canonical JSON text, None for None."""
    return None if text is None else json.loads(text)


def as_vector(value: Any) -> list[float] | None:
    """Return a JSON list of numbers, or a mapping's numbers in the order of its keys; else None."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if not isinstance(value, list) or not value:
        return None
    numbers = [as_number(inner) for inner in value]
    return None if None in numbers else [n for n in numbers if n is not None]


def loss_of(measure: str, prediction: Any, label: Any, quantile: float = 0.5) -> float | None:
    """Return how wrong a prediction is, 0 or more; None when it has no number for that.

    absolute, squared, pinball: both are numbers. log: the prediction is P(label is 1 or true), or
    a mapping or list of class probabilities, in which the label is a key or an index. brier: the
    same, summed squared differences over the classes (two classes: one number in [0, 1], halved).
    """
    if measure in ("log", "brier"):
        return _probability_loss(measure, prediction, label)
    p, y = as_number(prediction), as_number(label)
    if p is None or y is None:
        return None
    return as_number(_POINT[measure](p, y, quantile))


def distance_of(measure: str, one: Any, other: Any) -> float | None:
    """Return how far two values are apart; None when they have no such distance.

    absolute: |a - b| of two numbers. total_variation: half the summed differences of two vectors
    of probabilities, in [0, 1]. cosine: 1 - cos of two vectors, in [0, 2].
    """
    if measure == "absolute":
        a, b = as_number(one), as_number(other)
        return None if a is None or b is None else as_number(abs(a - b))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() != other.keys():
        keys = one.keys() | other.keys()  # a class that only one of them names has probability 0
        one, other = ({key: side.get(key, 0) for key in keys} for side in (one, other))
    x, y = as_vector(one), as_vector(other)
    if x is None or y is None or len(x) != len(y):
        return None
    return _total_variation(x, y) if measure == "total_variation" else _cosine(x, y)


def _total_variation(x: list[float], y: list[float]) -> float | None:
    if min(x) < 0.0 or min(y) < 0.0:
        return None
    sum_x, sum_y = math.fsum(x), math.fsum(y)
    if not (0.0 < sum_x < math.inf and 0.0 < sum_y < math.inf):
        return None
    total = math.fsum(abs(a / sum_x - b / sum_y) for a, b in zip(x, y, strict=True))
    return min(1.0, 0.5 * total)


def _cosine(x: list[float], y: list[float]) -> float | None:
    top_x, top_y = max(map(abs, x)), max(map(abs, y))
    if not (top_x > 0.0 and top_y > 0.0):
        return None
    u, v = [a / top_x for a in x], [b / top_y for b in y]  # squares neither overflow nor vanish
    cos = math.fsum(a * b for a, b in zip(u, v, strict=True)) / (math.hypot(*u) * math.hypot(*v))
    return min(2.0, max(0.0, 1.0 - cos))


def _probability_loss(measure: str, prediction: Any, label: Any) -> float | None:
    number = as_number(prediction)
    if number is not None:
        if label not in (0, 1) or not 0.0 <= number <= 1.0:  # True == 1, False == 0
            return None
        right = number if label == 1 else 1.0 - number
        return -math.log(max(right, LEAST_PROBABILITY)) if measure == "log" else (1.0 - right) ** 2
    classes = _probabilities(prediction)
    key = label if isinstance(label, str) else json.dumps(label)
    if classes is None or key not in classes:
        return None
    if measure == "log":
        return -math.log(max(classes[key], LEAST_PROBABILITY))
    return math.fsum((p - (name == key)) ** 2 for name, p in classes.items()) / 2.0


def _probabilities(prediction: Any) -> dict[str, float] | None:
    if isinstance(prediction, list):
        prediction = {str(index): value for index, value in enumerate(prediction)}
    if not isinstance(prediction, dict):
        return None
    numbers = {str(key): as_number(value) for key, value in prediction.items()}
    classes = {key: p for key, p in numbers.items() if p is not None and 0.0 <= p <= 1.0}
    return classes if classes and len(classes) == len(numbers) else None


_POINT: dict[str, Callable[[float, float, float], float]] = {
    "absolute": lambda p, y, _: abs(p - y),
    "squared": lambda p, y, _: (p - y) * (p - y),
    # Koenker & Bassett (1978): the quantile's own loss, smallest in the mean at the quantile.
    "pinball": lambda p, y, q: max(q * (y - p), (q - 1.0) * (y - p)),
}
