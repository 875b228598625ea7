"""What an estimator with a variance says about a metric."""

import math

import pytest

from evaluator.delta import NOTHING, Estimate, combined, finding_of
from evaluator.eprocess.effect import estimate_log_e
from evaluator.evidence import Role
from evaluator.metric import MetricSpec

SPEC = MetricSpec("f", "f1", Role.OBJECTIVE, detect=0.05, positive="1")


def test_independent_estimates_weigh_by_their_information() -> None:
    one, other = Estimate(0.5, 0.6, 0.001, 100), Estimate(0.5, 0.9, 0.003, 50)
    both = combined([one, other])
    assert both.effect == pytest.approx(0.75 * 0.1 + 0.25 * 0.4)
    assert both.variance == pytest.approx(0.00075) and both.n == 150
    assert combined([one, NOTHING]) == one and combined([NOTHING]) == NOTHING


def test_evidence_speaks_for_the_side_that_is_true() -> None:
    good, bad = Estimate(0.6, 0.7, 0.0004, 1000), Estimate(0.6, 0.5, 0.0004, 1000)
    for whole, sign in ((good, 1.0), (bad, -1.0)):
        finding = finding_of(SPEC, 0.05, whole, lambda whole=whole: [(0, whole)])  # type: ignore[misc]
        assert (finding.log_e > math.log(20.0)) is (sign > 0)
        assert (finding.log_e_harm > math.log(20.0)) is (sign < 0)
        assert (finding.log_e_futile > math.log(5.0)) is (sign < 0)
        assert finding.interval is not None
        assert finding.interval.low < sign * 0.1 < finding.interval.high


def test_late_harm_is_seen_through_a_healthy_past() -> None:
    whole, late = Estimate(0.6, 0.6, 0.0001, 9000), Estimate(0.6, 0.4, 0.001, 900)
    finding = finding_of(SPEC, 0.05, whole, lambda: [(0, whole), (4, late)])
    assert finding.log_e_harm > math.log(20.0)


@pytest.mark.parametrize("variance", [0.0, -1.0, math.inf, math.nan])
def test_without_a_variance_there_is_no_evidence(variance: float) -> None:
    assert estimate_log_e(0.5, variance, 0.1) == 0.0
