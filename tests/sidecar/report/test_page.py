from html.parser import HTMLParser

from sidecar.report.case import build
from sidecar.report.page import CSP, render
from tests.sidecar.report.cases import RECORDS, STATUS, VERIFIED, poisoned

HOSTILE = '"><img src=x onerror="alert(1)"><script>alert(1)</script></style>&'
ATTRIBUTES_THAT_ASK = {"src", "href", "action", "data", "srcset"}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_page_holds_what_a_change_ticket_needs() -> None:
    page = read(render(build("digits", STATUS, RECORDS, VERIFIED)))
    for words in ("digits-2 on digits", "promoted, and watched", "ab" * 32, "h4", "sha256:ef"):
        assert words in page.text
    assert page.tags.count("svg") == 3
    assert page.tags.count("section") == len(RECORDS)


def test_page_asks_for_nothing_from_outside_and_runs_nothing() -> None:
    text = render(build("digits", STATUS, RECORDS, VERIFIED))
    page = read(text)
    assert CSP in text.replace("&#x27;", "'")
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not ATTRIBUTES_THAT_ASK & page.attributes
    assert "url(" not in text and "@import" not in text


def test_texts_from_outside_stay_texts() -> None:
    plain = read(render(build("digits", STATUS, RECORDS, VERIFIED)))
    status, records = poisoned(STATUS, HOSTILE), poisoned(RECORDS, HOSTILE)
    page = render(build("digits", status, records, poisoned(VERIFIED, HOSTILE)))
    assert read(page).tags == plain.tags
    assert not any(name.startswith("on") for name in read(page).attributes)


def test_a_challenger_without_evidence_has_a_page() -> None:
    status = STATUS | {"routes": [STATUS["routes"][0] | {"checks": []}]}
    assert "No check has reported" in render(build("digits", status, [], VERIFIED))
