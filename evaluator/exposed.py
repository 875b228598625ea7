"""What a signed exposure token brings back, and the observation that is made of it. Pure."""

from dataclasses import dataclass

from msgspec import structs

from evaluator.join import Answer, Judgable, LabelResult, Mode
from evaluator.metric import ExperimentPlan, needs_label
from router.token import Served, digest_of

_DIGEST = "sha256:"
BY_EQUALITY = frozenset(("correct", "precision", "recall", "f1"))
"""Kinds that ask of a prediction only whether it equals something: a digest can tell that."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """The content of a token whose signature is ours, as its label needs it."""

    route: str
    request_id: str
    at_ns: int
    judgable: Judgable | None
    """What is kept, if nothing of this request is kept already; None keeps nothing."""
    refusal: LabelResult | None = None
    """What the label is told if nothing is kept. None: what a label by id is told."""


def judgable_of(served: Served, label: str, plan: ExperimentPlan, epoch: int) -> Judgable:
    """Return the observation that ``served`` tells of, for its label (canonical JSON text)."""
    answer = _answer(served, label, plan)
    is_challenger = served.variant == plan.challenger
    return Judgable(
        served.request_id,
        served.at_ns,
        Mode.SPLIT,
        served.propensity,
        served.unit,
        epoch,
        None if is_challenger else answer,
        answer if is_challenger else None,
    )


def recognised(judgable: Judgable, label: str) -> Judgable:
    """Return ``judgable`` with the answers whose digest is that of ``label`` as that label.

    A token's answer was compared with the label that came with it; a correction is another one.
    """
    answers = (judgable.champion, judgable.challenger)
    if not any(answer is not None and _is_digest(answer) for answer in answers):
        return judgable
    digest = f'"{_DIGEST}{digest_of(label)}"'
    champion, challenger = (
        structs.replace(answer, prediction=label)
        if answer is not None and answer.prediction == digest
        else answer
        for answer in answers
    )
    return structs.replace(judgable, champion=champion, challenger=challenger)


def _is_digest(answer: Answer) -> bool:
    return answer.prediction is not None and answer.prediction.startswith(f'"{_DIGEST}')


def _answer(served: Served, label: str, plan: ExperimentPlan) -> Answer:
    match served.kind:
        case "value":
            return Answer(served.text)
        case "digest":
            return _of_digest(served.text, label, plan)
        case "failed":
            return Answer(None, is_failed=True)
        case "cut":
            return Answer(None, is_cut=True)
        case "none":
            return Answer(None)


def _of_digest(text: str, label: str, plan: ExperimentPlan) -> Answer:
    """Return an answer of which the digest is known: it can be compared, and not read.

    A metric that has to read it leaves it out, whether it equals the label or not: to use the
    equal ones alone would count the right answers and forget the wrong ones.
    """
    asked = {spec.kind for spec in plan.metrics if needs_label(spec, plan.prediction)}
    if not asked <= BY_EQUALITY:
        return Answer(None, is_cut=True)
    digest = text.strip('"')
    return Answer(label if digest_of(label) == digest else f'"{_DIGEST}{digest}"')
