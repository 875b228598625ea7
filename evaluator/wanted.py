"""Whose label would decide something, and whose would not. Pure."""

from evaluator.draw import draw
from evaluator.join import Answer, Judgable, Mode
from evaluator.metric import ExperimentPlan

DISAGREEMENTS = "disagreements"


def is_settled(champion: Answer, challenger: Answer) -> bool:
    """Whether a pair's difference in being right is 0, whatever the label: both give one answer,
    or neither gives any."""
    return _given(champion) == _given(challenger)


def is_drawn(experiment: str, request_id: str, rate: float | None) -> bool:
    """Whether a request is in the random sample that is labelled; None: all are."""
    return rate is None or draw(experiment, request_id) < rate


def is_needed(plan: ExperimentPlan, judgable: Judgable) -> bool:
    """Whether a label of ``judgable`` would be used; False for pairs that are settled without, and
    for requests outside of the sample."""
    answers = (judgable.champion, judgable.challenger)
    if any(answer is not None and answer.is_cut for answer in answers):
        return False
    if plan.labels_wanted == DISAGREEMENTS and judgable.mode is Mode.PAIR:
        champion, challenger = answers
        if champion is not None and challenger is not None and is_settled(champion, challenger):
            return False
    return is_drawn(plan.experiment, judgable.request_id, plan.label_rate)


def _given(answer: Answer) -> str | None:
    """Return the answer that can be right; None if none can."""
    return None if answer.is_failed else answer.prediction
