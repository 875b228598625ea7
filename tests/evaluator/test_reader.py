"""From answers and labels to a metric's number."""

import pytest

from evaluator.evidence import Role
from evaluator.join import Answer
from evaluator.kind import How
from evaluator.metric import MetricSpec
from evaluator.reader import Reader
from tests.evaluator.builders import answer, failure

LOWER = MetricSpec(
    "cost", "mean", Role.GUARDRAIL, value="cost", direction="lower", range=(0.0, 4.0)
)


def reader(spec: MetricSpec = LOWER, prediction: str | None = None) -> Reader:
    return Reader(spec, How(0.05, prediction=prediction), [0, 0])


@pytest.mark.parametrize(("number", "y"), [(0, 1.0), (1, 0.75), (4, 0.0), (9, 0.0), (-1, 1.0)])
def test_lower_is_better_is_turned_round_and_held_to_the_range(number: float, y: float) -> None:
    assert reader().y(number) == y


def test_number_and_y_are_inverse() -> None:
    one = reader()
    assert one.number(one.y(1.25)) == 1.25


def test_challenger_is_divided_by_what_a_relative_margin_allows() -> None:
    spec = MetricSpec("c", "mean", Role.GUARDRAIL, margin_relative=0.25, direction="lower")
    assert reader(spec).y_of(5.0, True) == -4.0
    assert reader(spec).y_of(5.0, False) == -5.0


def test_failed_answer_has_no_number_and_is_not_refused() -> None:
    one = reader()
    assert one.at_once({"cost": 1}, failure(), True) is None
    assert one.at_once({"cost": 1}, answer(), True) == 0.75
    assert one.at_once({"cost": "1"}, answer(), True) is None
    assert one.at_once({}, answer(), False) is None
    assert one.refused == [1, 1]


def test_metric_without_a_path_looks_at_the_prediction() -> None:
    spec = MetricSpec("score", "mean", Role.GUARDRAIL)
    assert reader(spec, "p").at_once({"p": 3}, answer(), False) == 3.0


def test_label_itself_may_be_the_number() -> None:
    spec = MetricSpec("reward", "mean", Role.OBJECTIVE, source="label")
    assert reader(spec).judged(Answer("7"), "2.5", False) == 2.5
    assert reader(spec).judged(Answer(None, is_failed=True), "2.5", False) is None


def test_covariate_is_looked_for_in_the_answer_and_then_in_the_label() -> None:
    spec = MetricSpec("reward", "mean", Role.OBJECTIVE, source="label", covariate="past")
    assert reader(spec).covariate({"past": 3}, '{"past":4}') == 3.0
    assert reader(spec).covariate({}, '{"past":4}') == 4.0
    assert reader(spec).covariate({}, None) is None
    assert reader().covariate({"past": 3}, None) is None


def test_scorer_says_a_number_of_each_variants_answer() -> None:
    spec = MetricSpec("quality", "mean", Role.OBJECTIVE, source="scorer", range=(0.0, 1.0))
    one, label = reader(spec), '{"challenger":0.75,"champion":0.5}'
    assert one.judged(Answer('"yes"'), label, False) == 0.5
    assert one.judged(Answer('"no"'), label, True) == 0.75
    assert one.judged(Answer('"no"'), '{"champion":0.5}', True) is None
    assert one.judged(Answer('"no"'), "0.5", True) is None
    assert one.refused == [0, 2]
