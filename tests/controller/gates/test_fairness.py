from typing import Any

import pytest

from controller.gates.fairness import GoldenRows, check
from controller.gates.finding import Finding
from controller.gates.securityspec import FairnessSpec
from evaluator.evidence import CheckState

PARITY = "demographic_parity_difference"


def spec(**keys: Any) -> FairnessSpec:
    return FairnessSpec(**({"by": ("sex",), "metric": PARITY, "at_most": 0.1} | keys))


def selected(*shares: tuple[str, int, int]) -> tuple[list[str], list[str]]:
    """Return groups and predictions: for each group, so many selected of so many rows."""
    groups, told = [], []
    for group, hits, rows in shares:
        groups += [group] * rows
        told += ["1"] * hits + ["0"] * (rows - hits)
    return groups, told


def rows_of(*shares: tuple[str, int, int], **parts: Any) -> GoldenRows:
    groups, told = selected(*shares)
    whole = {
        "labels": tuple(told),
        "challenger": tuple(told),
        "champion": None,
        "groups": {"sex": tuple(groups)},
    }
    return GoldenRows(**(whole | parts))


def only(spec: FairnessSpec, rows: GoldenRows) -> Finding:
    [finding] = check(spec, rows)
    return finding


@pytest.mark.parametrize(
    ("shares", "state"),
    [
        ((("f", 5000, 10_000), ("m", 5200, 10_000)), CheckState.PASSED),
        ((("f", 5000, 10_000), ("m", 7000, 10_000)), CheckState.TRIPPED),
        ((("f", 50, 100), ("m", 52, 100)), CheckState.UNDECIDED),
    ],
)
def test_the_whole_interval_must_be_inside_the_limit(
    shares: tuple[tuple[str, int, int], ...], state: CheckState
) -> None:
    found = only(spec(), rows_of(*shares))
    assert found.state is state, found
    assert found.name == "fairness by sex" and "limit 10.00%" in found.because


@pytest.mark.parametrize(("hits", "state"), [(59, CheckState.PASSED), (61, CheckState.TRIPPED)])
def test_the_number_alone_decides_where_that_is_declared(hits: int, state: CheckState) -> None:
    rows = rows_of(("f", 50, 100), ("m", hits, 100))
    assert only(spec(judge_by="estimate"), rows).state is state


def test_too_few_rows_of_a_group_are_not_known() -> None:
    found = only(spec(judge_by="estimate"), rows_of(("f", 50, 100), ("x", 5, 10)))
    assert found.state is CheckState.UNKNOWN and "x has 10 (selected)" in found.because
    assert {(g["group"], g["rows"]) for g in found.numbers["groups"]} == {("f", 100), ("x", 10)}


def test_too_few_rows_of_a_label_are_not_known() -> None:
    """100 rows of a group with 5 positives say little about its true positive rate."""
    groups, told = selected(("f", 50, 100), ("m", 5, 100))
    rows = rows_of(("f", 50, 100), ("m", 5, 100))
    found = only(spec(metric="equal_opportunity_difference", judge_by="estimate"), rows)
    assert len(groups) == len(told) == 200
    assert found.state is CheckState.UNKNOWN and "m has 5 (true_positive)" in found.because


@pytest.mark.parametrize(
    ("rows", "because"),
    [
        (rows_of(("f", 50, 100)), "nothing to compare"),
        (rows_of(), "nothing to compare"),
        (rows_of(("f", 50, 100), ("m", 50, 100), unanswered=3), "3 rows have no answer"),
        (rows_of(("f", 50, 100), groups={}), "no column"),
        (rows_of(*[(f"user {n}", 20, 40) for n in range(200)]), "more than 100"),
    ],
)
def test_what_cannot_be_compared_is_not_known(rows: GoldenRows, because: str) -> None:
    found = only(spec(), rows)
    assert found.state is CheckState.UNKNOWN and because in found.because


def test_the_champions_difference_is_the_measure_where_that_is_declared() -> None:
    groups, told = selected(("f", 300, 1000), ("m", 500, 1000))
    _, before = selected(("f", 310, 1000), ("m", 500, 1000))
    rows = GoldenRows(tuple(told), tuple(told), tuple(before), {"sex": tuple(groups)})
    keys = {"at_most": None, "worse_by": 0.05, "judge_by": "estimate"}
    found = only(spec(**keys), rows)
    assert found.state is CheckState.PASSED
    assert found.numbers["worse_by"]["estimate"] == pytest.approx(0.01)
    assert only(spec(**keys | {"worse_by": 0.005}), rows).state is CheckState.TRIPPED
    assert only(spec(**keys | {"judge_by": "interval"}), rows).state is CheckState.UNDECIDED
    without = GoldenRows(tuple(told), tuple(told), None, {"sex": tuple(groups)})
    assert only(spec(**keys), without).state is CheckState.UNKNOWN


def test_each_column_is_judged_by_itself() -> None:
    groups, told = selected(("f", 5000, 10_000), ("m", 5100, 10_000))
    age = tuple("old" if one == "1" else "young" for one in told)
    rows = GoldenRows(tuple(told), tuple(told), None, {"sex": tuple(groups), "age": age})
    states = {found.name: found.state for found in check(spec(by=("sex", "age")), rows)}
    assert states == {"fairness by sex": CheckState.PASSED, "fairness by age": CheckState.TRIPPED}


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        GoldenRows(("1",), ("1", "0"), None, {})
