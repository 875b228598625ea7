import markdown as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.report.case import build
from sidecar.report.markdown import render, table, text
from tests.sidecar.report.cases import RECORDS, STATUS, VERIFIED, poisoned

HOSTILE = "\n\n# x\n<script>alert(1)</script> | [a](javascript:alert(1)) ![b](http://x) `c` **d**"


def shown(document: str) -> str:
    """What a common Markdown library makes of it."""
    return library.markdown(document, extensions=["tables"])


def test_document_holds_the_case_and_its_pictures() -> None:
    page = shown(render(build("digits", STATUS, RECORDS, VERIFIED)))
    assert page.count("<svg") == 3 and page.count("<table>") >= 3
    assert "<h1>digits-2 on digits</h1>" in page
    assert page.count("<h3>") == len(RECORDS)


def test_texts_from_outside_stay_texts() -> None:
    plain = shown(render(build("digits", STATUS, RECORDS, VERIFIED)))
    status, records = poisoned(STATUS, HOSTILE), poisoned(RECORDS, HOSTILE)
    page = shown(render(build("digits", status, records, poisoned(VERIFIED, HOSTILE))))
    for tag in ("<script", "<a ", "<img", "<h1>", "<h2>", "<td>", "<tr>", "<svg", "<strong>"):
        assert page.count(tag) == plain.count(tag), tag


@given(st.text())
def test_any_text_is_one_line(words: str) -> None:
    assert "\n" not in text(words) and "<" not in text(words)


@pytest.mark.parametrize("cell", ["a|b", "a\nb", "`|`"])
def test_no_cell_ends_early(cell: str) -> None:
    assert shown(table(("x", "y"), [(cell, "z")])).count("<td>") == 2
