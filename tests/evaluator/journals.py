"""What the tests of the journal put into it, and ask of it."""

from evaluator.join import Answer, Judgable, Label, LabelOutcome, Mode
from evaluator.journal import Journal

S = 1_000_000_000


def judgable(number: int, at_ns: int = 0) -> Judgable:
    return Judgable(f"q{number}", at_ns, Mode.PAIR, 0.5, number, 0, Answer("7"), Answer("8"))


def outcome(journal: Journal, request_id: str, label: str, **how: int) -> LabelOutcome:
    return journal.label(Label(request_id, label), now_ns=how.pop("now_ns", S), **how).outcome
