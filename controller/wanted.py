"""Which requests are worth the price of a label, in an order that stays a random sample. Pure."""

from collections.abc import Sequence
from typing import Any

from controller.audit import iso
from evaluator.draw import draw
from evaluator.join import Mode
from evaluator.metric import ExperimentPlan
from evaluator.waiting import Due
from evaluator.wanted import is_needed

COHORT = 10_000
"""Observations looked through for one answer, the oldest first: tens of milliseconds of the
controller's thread. Chosen."""


def wanted_json(plan: ExperimentPlan, due: Sequence[Due], limit: int) -> dict[str, Any]:
    """Return what of one cohort is to be labelled, JSON-ready.

    ``due``: observations that wait without a label, by sequence; a full COHORT may not be the last.
    They come in the order of their draws, which depends on nothing but the names of experiment and
    request: whoever labels the first n of a cohort has a random sample of it. Neither answer is
    told: who labels should not know them.
    """
    needed = [one.judgable for one in due if is_needed(plan, one.judgable)]
    # Answers that were not drawn by lot teach the champion's rate and decide nothing.
    needed = [one for one in needed if one.mode is not Mode.HISTORY]
    draws = ((draw(plan.experiment, one.request_id), one.request_id, one) for one in needed)
    drawn = sorted(draws, key=lambda entry: entry[:2])
    return {
        "route": plan.route,
        "experiment": plan.experiment,
        "wanted": plan.labels_wanted,
        "rate": 1.0 if plan.label_rate is None else plan.label_rate,
        "items": [
            {"request_id": request_id, "at": iso(one.at_ns), "mode": one.mode.value, "draw": at}
            for at, request_id, one in drawn[:limit]
        ],
        "cohort": {
            "unlabelled": len(due),
            "wanted": len(drawn),
            "from": iso(min(one.judgable.at_ns for one in due)) if due else None,
            "to": iso(max(one.judgable.at_ns for one in due)) if due else None,
        },
        "next": due[-1].sequence if len(due) >= COHORT else None,
    }
