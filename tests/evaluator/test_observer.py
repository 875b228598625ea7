"""What one observation is worth: a pair, a lot, or nothing."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.evaluator import Evaluator
from evaluator.evidence import CheckState, Role
from evaluator.join import Mode
from evaluator.metric import MetricSpec
from router.observation import MirroredPair, Outcome
from tests.evaluator.builders import (
    ACCURACY,
    AGREES,
    ERRORS,
    answer,
    exposure,
    failure,
    live,
    pair,
    plan,
    read,
)


def test_fallback_counts_as_failure_of_the_challenger() -> None:
    """Intention to treat: the user was well served, by the champion; that is not to its credit."""
    evaluator = Evaluator(plan(ACCURACY, ERRORS))
    seen = exposure(1, is_challenger=True, outcome=failure("timeout"), fallback=answer())
    judgable = evaluator.observe(seen)
    assert judgable is not None and judgable.challenger is not None
    assert judgable.challenger.is_failed and judgable.is_challenger
    evaluator.judge(judgable, "7")
    counts = evaluator.evidence(1.0).counts
    assert (counts["fallbacks"], counts["errors_challenger"]) == (1, 1)
    assert "challenger 1 of 1" in read(evaluator, "errors").because
    assert "challenger 0.0 % of 1" in read(evaluator, "accuracy").because


def test_resting_challenger_counts_as_failed_too() -> None:
    evaluator = Evaluator(plan(ACCURACY, ERRORS))
    live(evaluator, exposure(1, is_challenger=True, outcome=answer(), loss="circuit_open"))
    assert "challenger 1 of 1" in read(evaluator, "errors").because
    assert "challenger 0.0 % of 1" in read(evaluator, "accuracy").because
    assert evaluator.evidence(1.0).counts["lost"] == 1


@pytest.mark.parametrize("is_challenger", [False, True])
def test_request_outside_the_experiment_is_lost_for_both_variants_alike(
    is_challenger: bool,
) -> None:
    evaluator = Evaluator(plan())
    seen = exposure(1, is_challenger=is_challenger, loss="body_too_large")
    assert evaluator.observe(seen) is None
    assert read(evaluator, "errors").n == 0
    assert read(evaluator, "srm").n == 1  # but it was assigned
    assert evaluator.evidence(1.0).counts["lost"] == 1


def test_aborted_request_is_neither_good_nor_bad() -> None:
    evaluator = Evaluator(plan())
    gone = failure("aborted")
    assert evaluator.observe(exposure(1, is_challenger=True, outcome=gone)) is None
    assert evaluator.observe(pair(2, challenger=gone)) is None
    assert evaluator.observe(pair(3, champion=gone)) is None
    counts = evaluator.evidence(1.0).counts
    assert (counts["aborted"], counts["pairs"], counts["errors_challenger"]) == (3, 0, 0)
    assert read(evaluator, "errors").n == 0


def test_lost_pair_is_counted_and_teaches_only_the_champion() -> None:
    evaluator = Evaluator(plan())
    lost = MirroredPair("digits", "x1", "q2", 1, 1, 5, answer(), None, "queue_full")
    judgable = evaluator.observe(lost)
    assert judgable is not None and judgable.mode is Mode.HISTORY
    assert evaluator.evidence(1.0).counts["lost"] == 1


@pytest.mark.parametrize("propensity", [0.0, 1.0])
def test_certain_assignment_proves_nothing(propensity: float) -> None:
    evaluator = Evaluator(plan())
    for i in range(300):
        live(evaluator, exposure(i, is_challenger=propensity == 1.0, propensity=propensity))
    readings = [read(evaluator, name) for name in ("accuracy", "errors", "latency", "srm")]
    assert all((r.n, r.log_e, r.log_e_harm) == (0, 0.0, 0.0) for r in readings)


def test_champions_history_sets_the_first_bets_of_the_experiment() -> None:
    evaluator = Evaluator(plan())
    for i in range(300):
        live(evaluator, exposure(i, propensity=0.0))
    evaluator.roll_epoch("canary begins")
    live(evaluator, exposure(301, propensity=0.25))
    assert read(evaluator, "latency").n == 1  # thresholds were there


def test_plan_without_prediction_waits_for_no_labels_but_compares_bodies() -> None:
    evaluator = Evaluator(plan(AGREES, ERRORS, prediction=None))
    assert evaluator.observe(pair(1)) is None
    assert evaluator.observe(pair(2, challenger=answer(8))) is None
    assert read(evaluator, "agrees").n == 2


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 999),
            st.sampled_from([0.0, 1e-9, 0.5, 1e9]),
            st.binary(max_size=12),
            st.sampled_from(["", "gzip", "br"]),
            st.sampled_from(["", "timeout", "aborted"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=30, deadline=None)
def test_no_outcome_makes_it_raise_or_read_anything_but_numbers(events) -> None:  # type: ignore[no-untyped-def]  # drawn above
    evaluator = Evaluator(plan(), first_epoch=8)
    for i, (is_pair, status, latency_s, body, encoding, fault) in enumerate(events):
        outcome = Outcome("v", status, latency_s, fault, body, len(body), encoding)
        if is_pair:
            live(evaluator, pair(i, challenger=outcome))
        else:
            live(evaluator, exposure(i, is_challenger=True, outcome=outcome))
    for reading in evaluator.evidence(1.0).readings:
        assert math.isfinite(reading.log_e) and math.isfinite(reading.log_e_harm)
        assert reading.because


def test_first_version_is_the_challenger_in_every_answer_and_nothing_was_drawn() -> None:
    alone = replace(
        plan(
            MetricSpec("accuracy", "correct", Role.GUARDRAIL, at_least=0.8),
            MetricSpec("errors", "error", Role.GUARDRAIL, at_most=0.1),
        ),
        is_alone=True,
    )
    evaluator = Evaluator(alone)
    for n in range(300):
        outcome = failure() if n % 100 == 0 else answer(7)
        seen = exposure(n, is_challenger=False, outcome=outcome, propensity=0.0)
        judgable = evaluator.observe(seen)
        assert judgable is not None and judgable.champion is None
        evaluator.judge(judgable, "7")
    shown = evaluator.evidence(1.0)
    counts = shown.counts
    assert (counts["exposures_challenger"], counts["exposures_champion"]) == (300, 0)
    assert counts["errors_challenger"] == 3
    assert read(evaluator, "errors").state is CheckState.PASSED
    assert read(evaluator, "accuracy").state is CheckState.PASSED
    assert read(evaluator, "readable").state is CheckState.PASSED
    assert read(evaluator, "srm").state is CheckState.UNDECIDED  # there was no lot
    assert Evaluator.restore(alone, evaluator.snapshot()).evidence(1.0) == shown
