"""The share of pairs that agree."""

import math
import random

import pytest

from evaluator.agreement import AgreementCheck, AgreesCheck
from evaluator.evidence import Role
from evaluator.kind import How, Paired
from evaluator.metric import MetricSpec
from tests.evaluator.builders import AGREES, answer


def fresh(spec: MetricSpec = AGREES, *, is_clustered: bool = False) -> AgreementCheck:
    return AgreementCheck.fresh(spec, 0.05, is_clustered=is_clustered)


def run(check: AgreementCheck, agreed: int, n: int) -> AgreementCheck:
    for i in range(n):
        check.observe(i < agreed, i * 0x9E3779B97F4A7C15 % 2**63)
    return check


@pytest.mark.parametrize("is_clustered", [False, True])
def test_enough_agreement_passes_and_too_little_is_harm(is_clustered: bool) -> None:
    good = run(fresh(is_clustered=is_clustered), 930, 1000).finding()
    bad = run(fresh(is_clustered=is_clustered), 650, 1000).finding()
    assert good.log_e > math.log(20) > good.log_e_harm
    assert bad.log_e_harm > math.log(20) > bad.log_e


def test_interval_holds_what_was_seen_and_excludes_what_was_rejected() -> None:
    interval = run(fresh(), 930, 1000).finding().interval
    assert interval is not None
    assert interval.effect == pytest.approx(0.13)
    assert 0.0 < interval.low < interval.effect < interval.high < 0.2


def test_interval_of_perfect_agreement_ends_at_one() -> None:
    interval = run(fresh(), 50, 50).finding().interval
    assert interval is not None
    assert interval.high == pytest.approx(0.2, abs=1e-5)
    assert interval.low < interval.effect


def test_nothing_seen_has_no_interval() -> None:
    finding = fresh().finding()
    assert (finding.n, finding.interval, finding.log_e) == (0, None, 0.0)


def test_target_of_one_stays_a_number() -> None:
    spec = MetricSpec("agrees", "agreement", Role.GUARDRAIL, at_least=1.0)
    finding = run(fresh(spec), 195, 200).finding()
    assert finding.log_e_harm > math.log(20)
    assert math.isfinite(finding.log_e)


def test_merged_parts_equal_the_whole() -> None:
    rng, whole, one, other = random.Random(1), fresh(), fresh(), fresh()
    for i in range(300):
        is_agreed = rng.random() < 0.8
        whole.observe(is_agreed, i)
        (one if i % 3 else other).observe(is_agreed, i)
    one.merge(other)
    assert one.finding() == whole.finding()


def test_pair_that_cannot_be_compared_is_left_out() -> None:
    check = AgreesCheck(AGREES, How(0.05), None)
    for is_agreed in (True, False, None):
        check.pair(Paired(0, 1, answer(), answer(), is_agreed))
    assert check.finding().n == 2
