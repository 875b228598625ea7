"""What an effect must exceed, as the plots draw it."""

import pytest

from controller.bar import bars
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from tests.controller.builders import route_intent


@pytest.mark.parametrize(
    ("metric", "bar"),
    [
        (MetricSpec(name="m", kind="correct", role=Role.OBJECTIVE, detect=0.01), 0.0),
        (MetricSpec(name="m", kind="error", role=Role.GUARDRAIL, margin=0.005), -0.005),
        (MetricSpec(name="m", kind="agreement", role=Role.PROXY, at_least=0.9), 0.0),
        (MetricSpec(name="m", kind="error", role=Role.GUARDRAIL, at_most=0.02), 0.0),
        (MetricSpec(name="m", kind="error", role=Role.GUARDRAIL, margin_relative=0.1), None),
        (MetricSpec(name="m", kind="error", role=Role.GUARDRAIL, within=0.01), None),
        (
            MetricSpec(
                name="m", kind="latency", role=Role.GUARDRAIL, quantile=0.99, margin=0.1
            ),
            None,
        ),
    ],
)  # fmt: skip
def test_bar_is_given_where_it_has_the_effects_unit(metric: MetricSpec, bar: float | None) -> None:
    assert bars(route_intent(metrics=(metric,))).get("m") == bar
