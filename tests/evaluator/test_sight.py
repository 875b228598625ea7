"""What metrics read in an answer, and what it means that they cannot."""

import pytest

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.join import Answer
from evaluator.metric import MetricSpec
from evaluator.sight import NOTHING, Sight, is_agreed
from router.observation import Outcome
from tests.evaluator.builders import ACCURACY, AGREES, ERRORS, answer, failure, pair, plan, read

LOSS = MetricSpec("loss", "loss", Role.OBJECTIVE, detect=0.1, measure="absolute", value="score")


def test_nothing_is_read_that_no_metric_asks_for() -> None:
    sight = Sight(plan(ERRORS))
    assert (sight.has_labels, sight.has_late_fields, sight.has_prediction) == (False, False, False)
    assert sight.prediction(answer()) is NOTHING
    assert sight.fields(answer()) == {}


def test_metrics_with_labels_keep_the_prediction_and_their_fields_until_then() -> None:
    accuracy, loss = Sight(plan(ACCURACY)), Sight(plan(LOSS))
    assert (accuracy.has_labels, accuracy.has_late_fields) == (True, False)
    assert (loss.has_labels, loss.has_late_fields) == (True, True)
    seen = Outcome("v", 200, 0.01, "", b'{"prediction": 7, "score": 0.5}', 31)
    assert accuracy.answer(seen, accuracy.prediction(seen)) == Answer("7")
    assert loss.answer(seen, loss.prediction(seen)).fields == {"score": 0.5}


@pytest.mark.parametrize("outcome", [failure(), answer(status=404)])
def test_no_prediction_is_expected_of_what_is_no_answer(outcome: Outcome) -> None:
    assert Sight(plan()).prediction(outcome) is NOTHING


def test_failed_answer_is_kept_as_one() -> None:
    sight = Sight(plan())
    assert sight.answer(failure(), sight.prediction(failure())) == Answer(None, is_failed=True)


def test_pair_agrees_where_the_champion_gave_something_to_agree_with() -> None:
    sight = Sight(plan())
    told = [
        is_agreed(one, sight.prediction(one), sight.prediction(other), other)
        for one, other in ((answer(), answer()), (answer(), answer(8)), (failure(), answer()))
    ]
    assert told == [True, False, None]


def test_failing_challenger_does_not_agree_and_failing_champion_asks_nothing() -> None:
    evaluator = Evaluator(plan(AGREES))
    evaluator.observe(pair(1, challenger=failure()))
    evaluator.observe(pair(2, champion=failure()))
    evaluator.observe(pair(3))
    assert read(evaluator, "agrees").because.startswith("50.0 % of 2 pairs agree")


def test_unreadable_answers_freeze_the_promotion() -> None:
    evaluator = Evaluator(plan())
    for i in range(40):
        evaluator.observe(pair(i, challenger=Outcome("v", 200, 0.01, "", b"<html>", 6)))
    assert read(evaluator, "readable").state is CheckState.UNKNOWN
    assert evaluator.evidence(1.0).counts["unreadable"] == 40


def test_client_errors_do_not_count_as_unreadable() -> None:
    evaluator = Evaluator(plan())
    for i in range(40):
        evaluator.observe(pair(i, champion=answer(status=400), challenger=answer(status=400)))
    assert evaluator.evidence(1.0).counts["unreadable"] == 0
