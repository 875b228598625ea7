"""fairlearn is the oracle of the number; the interval is tried against what it promises."""

import random

import pytest
from fairlearn import metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from controller.gates.groupgap import WHATS, Rate, gap, interval, rates


def computed(metric: str, rows: list[tuple[str, str, str]]) -> list[Rate]:
    labels, told, groups = zip(*rows, strict=True)
    return rates(metric, labels, told, groups, positive="1")


def oracle(metric: str, rows: list[tuple[str, str, str]]) -> float:
    labels, told, groups = (list(column) for column in zip(*rows, strict=True))
    if metric != "accuracy_score_difference":
        labels, told = [int(x == "1") for x in labels], [int(x == "1") for x in told]
    return float(getattr(metrics, metric)(labels, told, sensitive_features=groups))


EACH = [(label, told, group) for label in "01" for told in "01" for group in "abc"]
"""One row of each kind at least, so that every rate has rows."""


@pytest.mark.parametrize("metric", WHATS)
@settings(max_examples=15, deadline=None)
@given(more=st.lists(st.sampled_from(EACH), max_size=60))
def test_the_number_is_fairlearns(metric: str, more: list[tuple[str, str, str]]) -> None:
    rows = EACH + more
    found = gap(computed(metric, rows), 0.05)
    assert found.estimate == pytest.approx(oracle(metric, rows), abs=1e-12)
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0


def test_accuracy_is_of_all_classes() -> None:
    rows = [("a", "a", "x"), ("b", "c", "x"), ("c", "c", "y"), ("b", "b", "y")]
    assert gap(computed("accuracy_score_difference", rows), 0.05).estimate == 0.5


@given(hits=st.integers(0, 60), more=st.integers(0, 60), alpha=st.floats(0.001, 0.4))
def test_the_interval_of_a_share_is_clopper_and_pearsons(
    hits: int, more: int, alpha: float
) -> None:
    rows = hits + more
    if rows:
        found = binomtest(hits, rows).proportion_ci(1 - alpha, method="exact")
        assert interval(hits, rows, alpha) == pytest.approx((found.low, found.high), abs=1e-9)


@pytest.mark.parametrize(
    ("shares", "rows"), [((0.5, 0.5), 60), ((0.05, 0.3, 0.3), 40), ((0.9, 0.2), 200)]
)
def test_the_interval_misses_the_true_gap_no_more_often_than_alpha(
    shares: tuple[float, ...], rows: int
) -> None:
    """Null of the calibration: rows are independent. 400 runs; the bound is conservative, so the
    count is far below its expectation of 80."""
    dice = random.Random(20)
    truth = max(shares) - min(shares)
    misses = 0
    for _ in range(400):
        seen = [
            Rate(str(n), "selected", sum(dice.random() < share for _ in range(rows)), rows)
            for n, share in enumerate(shares)
        ]
        found = gap(seen, 0.2)
        misses += not found.low <= truth <= found.high
    assert misses <= 80


def test_more_rows_make_the_interval_narrower() -> None:
    def width(rows: int) -> float:
        seen = [Rate("a", "selected", rows // 2, rows), Rate("b", "selected", rows // 4, rows)]
        found = gap(seen, 0.05)
        return found.high - found.low

    assert width(100) > width(1000) > width(10_000)


def test_a_rate_counts_the_rows_that_it_is_about() -> None:
    rows = [("1", "1", "a"), ("0", "1", "a"), ("0", "0", "a"), ("1", "0", "b")]
    assert computed("equalized_odds_difference", rows) == [
        Rate("a", "true_positive", 1, 1),
        Rate("a", "false_positive", 1, 2),
        Rate("b", "true_positive", 0, 1),
        Rate("b", "false_positive", 0, 0),
    ]


@pytest.mark.parametrize(("hits", "rows"), [(-1, 1), (2, 1)])
def test_a_rate_is_a_share(hits: int, rows: int) -> None:
    with pytest.raises(ValueError):
        Rate("a", "selected", hits, rows)
