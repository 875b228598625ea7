import doctest
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.report import markup
from sidecar.report.markup import Markup, escape, join, tag


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    reader = Reader()
    reader.feed(tag("p", text, title=text))
    assert reader.tags == ["p"]
    assert len(reader.values) == 1


def test_markup_is_kept_and_joined() -> None:
    assert join([tag("b", 1), " & "]) == "<b>1</b> &amp; "
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("p", title=None) == "<p></p>"
    assert isinstance(escape("x"), Markup)


def test_what_no_xml_may_hold_is_shown_as_such() -> None:
    assert escape("a\x00b\ud800") == "a\ufffdb\ufffd"


def test_name_that_would_end_the_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        tag("p", **{"a b": 1})


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(markup)
    assert result.attempted > 0 and result.failed == 0
