import doctest

import numpy as np
import pytest

from controller.gates import verdict
from controller.gates.measured import Measured
from controller.gates.pairedmean import Mean
from controller.gates.pairedrate import PairedRate, Share
from controller.gates.verdict import Verdict, holm, judge, judge_together, unknown, worse_p
from evaluator.evidence import Role
from evaluator.metric import MetricSpec

ACCURACY = MetricSpec(name="accuracy", kind="correct", role=Role.OBJECTIVE)


def measured(wins, losses, rows, bound=-0.02, ceiling=None):
    return Measured(PairedRate(wins, losses, rows), bound, ceiling, 0.9, 0.9, 0)


def judged(*counts, **parts):
    return judge("accuracy", ACCURACY, measured(*counts, **parts), 0.05)


def test_examples():
    assert doctest.testmod(verdict).failed == 0


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ((20, 10, 1000), Verdict.PASSED),
        ((10, 60, 1000), Verdict.FAILED),
        ((5, 5, 100), Verdict.UNDECIDED),
    ],
)
def test_a_claim_is_shown_or_its_contrary_or_neither(counts, wanted):
    found = judged(*counts)
    assert found.verdict is wanted
    assert found.check().passed is (wanted is Verdict.PASSED)
    assert found.check().numbers["verdict"] == wanted.value


def test_too_few_rows_say_how_many_are_needed():
    found = judged(5, 5, 100)
    assert "the golden set is too small, about " in found.because
    assert found.numbers["rows_needed"] > 100


def test_what_looks_worse_but_is_not_shown_to_be_has_no_number():
    found = judged(2, 6, 100)
    assert found.numbers["rows_needed"] is None and "it looks worse than that" in found.because


def test_a_sentence_has_the_interval_in_the_metrics_unit():
    assert judged(20, 10, 1000).because.startswith("accuracy +1.00 points [+")
    loss = MetricSpec(name="loss", kind="loss", role=Role.OBJECTIVE)
    mean = Measured(Mean(np.array([0.1, 0.2, 0.3])), -0.5, None, 1.0, 1.2, 0)
    assert judge("loss", loss, mean, 0.05).because.startswith("loss +0.2 [")
    alone = Measured(Share(9, 10), 0.8, None, 0.9, None, 0)
    assert "90.00 % [" in judge("accuracy", ACCURACY, alone, 0.05).because


def test_within_needs_both_sides_and_fails_on_either():
    assert judged(10, 10, 2000, bound=-0.02, ceiling=0.02).verdict is Verdict.PASSED
    assert judged(200, 10, 2000, bound=-0.02, ceiling=0.02).verdict is Verdict.FAILED


def test_undecided_passes_only_where_that_is_declared():
    found = judged(5, 5, 100)
    assert found.check(undecided_passes=True).passed
    assert not unknown("a", "b").check(undecided_passes=True).passed


def test_holms_p_values_are_those_of_the_definition():
    """By hand: the k-th smallest of 6 times 7 - k, never less than the one before, 1 at most."""
    p = [0.01, 0.2, 0.03, 0.03, 0.9, 0.004]
    assert holm(p) == pytest.approx([0.05, 0.4, 0.12, 0.12, 0.9, 0.024])
    assert holm([0.5, 0.6, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([]) == []


def test_one_bad_claim_among_many_needs_more_to_be_told():
    """Holm: alone it fails at 5 %; among twenty that are well it is no longer shown."""
    bad, well = measured(2, 12, 200), measured(10, 10, 2000)
    assert 0.05 / 20 < worse_p(bad) < 0.05
    claims = [("bad", ACCURACY, bad), *(("well", ACCURACY, well) for _ in range(19))]
    assert judge_together(claims[:1], 0.05)[0].verdict is Verdict.FAILED
    assert judge_together(claims, 0.05)[0].verdict is Verdict.UNDECIDED


def test_a_claim_that_could_not_be_measured_is_unknown():
    [found] = judge_together([("a", ACCURACY, "no rows")], 0.05)
    assert (found.verdict, found.because, found.lower) == (Verdict.UNKNOWN, "no rows", None)
