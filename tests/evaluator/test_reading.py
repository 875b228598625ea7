"""What passes, what trips, and why."""

import math

import pytest

from evaluator.confseq import Interval
from evaluator.evidence import CheckState, Reading
from evaluator.finding import Finding
from evaluator.reading import harm_reading, harm_weights, metric_reading
from tests.evaluator.builders import ACCURACY, AGREES, ALL, ERRORS, LATENCY, plan

BAR = math.log(20.0)


def read(log_e: float = 0.0, log_e_harm: float = 0.0, weight: float = 0.5) -> Reading:
    finding = Finding(log_e, log_e_harm, "told", 100, Interval(0.1, 0.05, 0.2), 0.01)
    return metric_reading(ACCURACY, finding, plan(), weight)


def test_weights_sum_to_one_and_errors_weigh_twice() -> None:
    weights = harm_weights(ALL)
    assert math.fsum(weights.values()) == pytest.approx(1.0)
    assert weights["errors"] == pytest.approx(2 * weights["accuracy"])


@pytest.mark.parametrize(
    ("log_e", "log_e_harm", "state"),
    [
        (0.0, 0.0, CheckState.UNDECIDED),
        (BAR - 1e-9, 0.0, CheckState.UNDECIDED),
        (BAR, 0.0, CheckState.PASSED),
        (0.0, BAR + math.log(2.0) + 1e-9, CheckState.TRIPPED),
        (0.0, BAR + math.log(2.0) - 1e-9, CheckState.UNDECIDED),
        (99.0, 99.0, CheckState.TRIPPED),
        (math.nan, 0.0, CheckState.UNKNOWN),
        (0.0, math.inf, CheckState.UNKNOWN),
    ],
)
def test_state_follows_the_evidence_and_the_worse_news_wins(
    log_e: float, log_e_harm: float, state: CheckState
) -> None:
    assert read(log_e, log_e_harm).state is state


def test_reading_carries_the_interval_and_the_projection() -> None:
    reading = read(log_e=1.0)
    assert (reading.effect, reading.low, reading.high) == (0.1, 0.05, 0.2)
    assert reading.n_expected is not None and reading.n_expected > 100


def test_sentence_names_odds_and_what_is_wanted() -> None:
    assert read(math.log(4.0)).because == "told; odds 4:1 that it is better, 20:1 wanted"
    guardrail = metric_reading(ERRORS, Finding(0.0, 0.0, "told", 1), plan(), 0.5)
    assert guardrail.because == "told; odds 1:1 that it is good enough, 20:1 wanted"
    assert "worse than allowed" in read(0.0, 9.0).because


def harm(**log_es: float) -> Reading:
    metrics = {spec.name: spec for spec in (ACCURACY, ERRORS, LATENCY, AGREES)}
    findings = {name: Finding(0.0, log_e, "told", 10) for name, log_e in log_es.items()}
    return harm_reading(findings, harm_weights([metrics[name] for name in log_es]), plan())


def test_harm_is_the_weighted_mean_of_e_values() -> None:
    reading = harm(errors=math.log(25.0), accuracy=math.log(7.0))
    assert reading.log_e_harm == pytest.approx(math.log((2 * 25.0 + 7.0) / 3.0))
    assert reading.state is CheckState.PASSED


def test_harm_trips_by_many_small_signs_together() -> None:
    reading = harm(errors=math.log(21.0), accuracy=math.log(21.0), latency=math.log(21.0))
    assert reading.state is CheckState.TRIPPED


def test_tripped_check_always_means_tripped_harm() -> None:
    """So the probability of a false rollback by any check is at most alpha_rollback."""
    weights = harm_weights((ACCURACY, ERRORS))
    finding = Finding(0.0, BAR - math.log(weights["accuracy"]) + 1e-9, "told", 10)
    assert (
        metric_reading(ACCURACY, finding, plan(), weights["accuracy"]).state is CheckState.TRIPPED
    )
    assert harm(accuracy=finding.log_e_harm, errors=-50.0).state is CheckState.TRIPPED


def test_harm_without_anything_to_compare_is_undecided() -> None:
    empty = harm_reading({}, {}, plan())
    nothing = harm_reading({"errors": Finding(0.0, 0.0, "told", 0)}, {"errors": 1.0}, plan())
    assert empty.state is nothing.state is CheckState.UNDECIDED
