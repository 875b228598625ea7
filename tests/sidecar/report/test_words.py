import doctest

from sidecar.report import words
from sidecar.report.words import CHECK_HEADS, READING_HEADS, check_row, reading_row
from tests.sidecar.report.cases import PROXY, READING


def test_a_row_has_a_cell_for_each_head() -> None:
    assert dict(zip(CHECK_HEADS, check_row(READING), strict=True)) == {
        "check": "accuracy",
        "role": "objective",
        "state": "passed",
        "effect": "0.021",
        "interval": "0.004 .. 0.038",
        "odds": "31:1",
        "needs": "20:1",
        "observations": "2,400",
    }
    assert len(reading_row(READING)) == len(READING_HEADS)


def test_what_is_no_statistic_needs_no_odds() -> None:
    assert reading_row(PROXY)[3:] == ("-", "-", "-", "-")


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(words)
    assert result.attempted > 0 and result.failed == 0
