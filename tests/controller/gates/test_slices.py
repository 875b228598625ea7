import numpy as np
import pytest

from controller.gates.goldenspec import Allowed, SliceSpec
from controller.gates.measured import Answered
from controller.gates.pairedrate import PairedRate
from controller.gates.slices import MAX_SLICES, TooManySlices, grouped, judge_slices
from controller.gates.verdict import Verdict, holm
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from tests.controller.gates.test_measured import reply

ACCURACY = MetricSpec(name="accuracy", kind="correct", role=Role.OBJECTIVE)
SPEC = SliceSpec(allowed=Allowed(relative=0.1), at_least=30)


def rows(n: int, champion: float, challenger: float, seed: int = 0) -> list[Answered]:
    """Rows on which both are right independently of each other."""
    random = np.random.default_rng(seed)
    return [
        Answered(
            "1", reply(int(random.random() < challenger)), reply(int(random.random() < champion))
        )
        for _ in range(n)
    ]


def test_rows_are_in_every_slice_that_they_name():
    row = Answered("1", reply(1), reply(1))
    found = grouped([((("a", "x"), ("b", "y")), row), ((("a", "x"),), row), ((), row)])
    assert {name: len(one) for name, one in found.items()} == {("a", "x"): 2, ("b", "y"): 1}


def test_a_number_that_was_taken_for_a_group_is_refused():
    row = Answered("1", reply(1), reply(1))
    with pytest.raises(TooManySlices, match=f"more than {MAX_SLICES}"):
        grouped([((("id", str(n)),), row) for n in range(MAX_SLICES + 1)])


def test_a_group_that_is_worse_off_is_seen_whatever_the_average():
    groups = {
        ("country", "BE"): rows(300, 0.8, 0.5),
        ("country", "NL"): rows(3000, 0.7, 0.95),
        ("country", "LU"): rows(10, 0.7, 0.7),
    }
    found = {one.name: one.verdict for one in judge_slices(groups, [ACCURACY], SPEC, 0.05)}
    assert found == {
        "accuracy for country=BE": Verdict.FAILED,
        "accuracy for country=NL": Verdict.PASSED,
        "accuracy for country=LU": Verdict.UNKNOWN,
    }


def test_rows_that_count_must_be_enough_and_not_rows_alone():
    recall = MetricSpec(name="recall", kind="recall", role=Role.GUARDRAIL, positive="2")
    [found] = judge_slices({("a", "x"): rows(50, 1.0, 1.0)}, [recall], SPEC, 0.05)
    assert found.verdict is Verdict.UNKNOWN and "no row of class 2" in found.because


def test_among_groups_that_are_no_worse_hardly_ever_one_is_called_worse():
    """Twenty groups at the edge of what is allowed: without Holm six runs in ten would."""
    drawn = np.random.default_rng(4).multinomial(150, [0.1, 0.1, 0.8], size=(300, 20))
    p_values = [
        [PairedRate(int(w), int(lo), 150).below(0.0) for w, lo, _ in groups] for groups in drawn
    ]
    assert np.mean([min(one) <= 0.05 for one in p_values]) > 0.5
    assert np.mean([min(holm(one)) <= 0.05 for one in p_values]) <= 0.05 + 3 * 0.0126
