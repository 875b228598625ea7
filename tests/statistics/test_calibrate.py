"""The full measurement, as far as it can be tested quickly."""

import pytest

from tests.statistics import cases
from tests.statistics.calibrate import BEGIN, DOCUMENT, END, table, written


def test_every_case_has_its_row() -> None:
    lines = list(table(2, 400))
    names = [case.name for case in (*cases.NULLS, cases.NAIVE, *cases.GAINS, *cases.WAITS)]
    assert all(any(name in line for line in lines) for name in names)


def test_only_what_is_between_the_markers_is_replaced() -> None:
    assert written(f"a\n{BEGIN}\nold\n{END}\nb\n", ["new"]) == f"a\n{BEGIN}\nnew\n{END}\nb\n"


def test_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError):
        written("a", ["new"])


def test_document_has_the_markers_and_a_table() -> None:
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert "| ratio |" in text[text.index(BEGIN) : text.index(END)]
