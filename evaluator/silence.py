"""Labels that do not come at all are missing evidence, and not merely thin evidence. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from evaluator.evidence import CheckState, Reading

LEAST = 1_000
"""Answers old enough, none of them with a label, after which the source of labels is taken for
dead. Chosen: where one label in a hundred comes, so many without one have a chance of 1:23,000. A
declared rate is believed instead (``20 / rate``: 1:500,000,000)."""


def told(
    readings: tuple[Reading, ...], counts: Mapping[str, int], label_rate: float | None
) -> tuple[Reading, ...]:
    """Return ``readings``, with UNKNOWN for those that wait for labels of which none ever came.

    Only while nothing at all was labelled: how often labels come otherwise is the concern of the
    check ``delivery``.
    """
    n = counts["unlabelled"]
    n_labelled = counts["judged"] - n - counts["needless"] - counts["foreign"]
    least = LEAST if label_rate is None else max(100, round(20.0 / label_rate))
    if n < least or n_labelled > 0:
        return readings
    because = f"none of the {n} answers that are old enough has a label"
    return tuple(
        replace(reading, state=CheckState.UNKNOWN, because=because)
        if reading.needs_labels and reading.n == 0 and reading.state is CheckState.UNDECIDED
        else reading
        for reading in readings
    )
