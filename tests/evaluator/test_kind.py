"""What every kind of check is shown, and what it must answer."""

import pytest

from evaluator.join import Answer, Judgable, Mode
from evaluator.kind import Assigned, Check, How, Paired
from tests.evaluator.builders import ACCURACY, answer


def test_base_looks_at_nothing_and_answers_nothing() -> None:
    check = Check(ACCURACY, How(0.05))
    check.learn(answer(), {})
    check.split(Assigned(0, 0.5, 1, True, answer()))
    check.pair(Paired(0, 1, answer(), answer(), True))
    check.roll()
    waiting = Judgable("q", 1, Mode.PAIR, 0.5, 1, 0, Answer("7"), Answer("7"))
    assert not check.judge(waiting, "7", 0)
    with pytest.raises(NotImplementedError):
        check.finding()
    with pytest.raises(NotImplementedError):
        check.save()
    with pytest.raises(NotImplementedError):
        check.merge(check)
