import pytest

from evaluator.evidence import CheckState, Reading, Role
from evaluator.silence import told

WAITING = Reading(
    "accuracy", "correct", Role.OBJECTIVE, CheckState.UNDECIDED, "nothing yet", needs_labels=True
)
ERRORS = Reading("errors", "error", Role.GUARDRAIL, CheckState.UNDECIDED, "3 errors", n=900)


def counts(judged: int, unlabelled: int, needless: int = 0) -> dict[str, int]:
    return {"judged": judged, "unlabelled": unlabelled, "needless": needless, "foreign": 0}


def test_a_source_of_labels_that_is_dead_is_told_as_unknown() -> None:
    accuracy, errors = told((WAITING, ERRORS), counts(1000, 1000), None)
    assert accuracy.state is CheckState.UNKNOWN
    assert accuracy.because == "none of the 1000 answers that are old enough has a label"
    assert errors is ERRORS


@pytest.mark.parametrize(
    ("seen", "rate"),
    [
        (counts(999, 999), None),  # perhaps labels are rare
        (counts(1001, 1000), None),  # one came
        (counts(1000, 1000), 0.01),  # as rare as declared
    ],
)
def test_a_few_missing_labels_are_only_thin_evidence(
    seen: dict[str, int], rate: float | None
) -> None:
    assert told((WAITING,), seen, rate) == (WAITING,)


def test_answers_that_need_no_label_are_no_sign_of_one() -> None:
    assert told((WAITING,), counts(1600, 1000, 600), None)[0].state is CheckState.UNKNOWN


def test_a_declared_rate_tells_sooner() -> None:
    assert told((WAITING,), counts(100, 100), 0.5)[0].state is CheckState.UNKNOWN
