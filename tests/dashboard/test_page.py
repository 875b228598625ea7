"""The page as a person uses it, on a week of the real controller."""

import itertools
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from controller.rollout import Phase
from tests.dashboard.company import Company
from tests.dashboard.conftest import WAIT_MS, OpenPage
from tests.dashboard.stand import Stand
from tests.sidecar.admin_bench import TOKEN

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]
expect.set_options(timeout=WAIT_MS)
Shots = Callable[[Page, str], None]


def at(stand: Stand, route: str) -> str:
    return f"{stand.url}#/routes/{route}"


def is_live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("live")


def section(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_route_shows_where_it_stands_and_why(
    stand: Stand, open_page: OpenPage, shots: Shots, theme: str
) -> None:
    page = open_page(at(stand, "fraud"), color_scheme=theme)
    is_live(page)
    status = _route(stand, "fraud")
    page.get_by_role("button", name="last 7 days").click()

    expect(page.locator(".says")).to_contain_text("fraud-7 challenges fraud-6")
    ladder = section(page, "Ladder").get_by_role("list").first
    expect(ladder.locator("li.done")).to_have_count(2 + status["step"])
    expect(ladder.locator("[aria-current=step]")).to_have_count(1)
    for line in status["missing"]:
        expect(section(page, "Ladder")).to_contain_text(line.split(":")[0].split("_")[0])

    versus = section(page, "Variants").locator(".versus")
    expect(versus.locator("thead")).to_contain_text("fraud-6")
    expect(versus.locator("thead")).to_contain_text("fraud-7")
    expect(versus).to_contain_text("Latency, 99th percentile")

    for name in ("accuracy", "errors", "latency", "agrees"):
        card = page.get_by_role("article", name=f"check {name}")
        reading = next(one for one in status["checks"] if one["check"] == name)
        expect(card.locator(".badge")).to_contain_text(reading["state"])
        expect(card.locator("canvas")).to_have_count(2)
        expect(card.locator("[role=img][aria-label^='Effect of']")).to_have_count(1)
    expect(section(page, "Is the evidence sound")).to_contain_text("Split is as asked (SRM)")
    expect(section(page, "Labels")).to_contain_text("Waiting to be old enough")
    expect(section(page, "Pairs that disagree most").locator("tbody tr").first).to_be_visible()
    expect(section(page, "Timeline").locator("li")).not_to_have_count(0)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (theme == "dark")
    shots(page, f"dashboard-{theme}")
    page.get_by_role("article", name="check accuracy").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.check').closest('section').scrollIntoView()")
    shots(page, f"dashboard-checks-{theme}")


def _route(stand: Stand, name: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{stand.url}v1/routes/{name}", timeout=20) as answer:
        found = json.load(answer)
    assert isinstance(found, dict)
    return found


def test_plots_have_a_table_that_says_the_same(stand: Stand, open_page: OpenPage) -> None:
    page = open_page(at(stand, "fraud"))
    page.get_by_role("button", name="last 7 days").click()
    card = page.get_by_role("article", name="check accuracy")
    expect(card.locator("canvas").first).to_be_visible()
    card.locator("summary").first.click()
    rows = card.locator(".numbers table tbody tr")
    expect(rows).not_to_have_count(0)
    assert 10 < rows.count() <= 26
    newest = _route(stand, "fraud")["checks"][0]["effect"] * 100
    shown = rows.first.locator("td").first.inner_text().replace("\u2212", "-")
    assert float(shown.split("\u00a0")[0]) == pytest.approx(newest, abs=0.5)


def test_an_audit_record_is_one_click_away(stand: Stand, open_page: OpenPage, shots: Shots) -> None:
    page = open_page(at(stand, "fraud"))
    entry = section(page, "Timeline").locator("li[data-action=advance]").first
    entry.locator("summary").click()
    expect(entry.locator("table")).to_contain_text("accuracy")
    entry.scroll_into_view_if_needed()
    shots(page, "dashboard-timeline")
    entry.get_by_role("button", name=re.compile(r"Record \d+")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Hash before")
    dialog.locator("summary").click()
    record = json.loads(dialog.locator("pre").inner_text())
    assert record["action"] == "advance" and record["evidence"]["readings"]
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_what_has_no_challenger_says_what_will_appear(stand: Stand, open_page: OpenPage) -> None:
    page = open_page(at(stand, "ranking"))
    expect(page.locator(".says")).to_contain_text("Nobody challenges ranking-2")
    for title, words in (
        ("Ladder", "names no challenger"),
        ("Checks", "while a challenger is under way"),
        ("Labels", "while a challenger is under way"),
        ("Pairs that disagree most", "shadow stage"),
    ):
        expect(section(page, title)).to_contain_text(words)
    assert page.locator(".acts button").count() == 0


def test_a_rolled_back_challenger_keeps_its_reason(stand: Stand, open_page: OpenPage) -> None:
    page = open_page(at(stand, "intent"))
    expect(page.locator(".phase-badge")).to_have_text("rolled back")
    expect(page.locator(".says")).to_contain_text(_route(stand, "intent")["because"][:20])


def test_theme_is_chosen_and_kept(stand: Stand, open_page: OpenPage) -> None:
    page = open_page(at(stand, "fraud"), color_scheme="light")
    card = page.get_by_role("article", name="check accuracy")
    expect(card.locator("canvas").first).to_be_visible()
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    expect(card.locator("canvas").first).to_be_visible()
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_label("Theme").select_option("")
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


def test_a_narrow_screen_needs_no_sideways_scrolling(
    stand: Stand, open_page: OpenPage, shots: Shots
) -> None:
    page = open_page(stand.url, width=360, height=740, is_mobile=True, has_touch=True)
    page.get_by_role("link", name=re.compile("fraud")).tap()
    card = page.get_by_role("article", name="check accuracy")
    expect(card.locator("canvas").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Routes")).to_be_hidden()
    sizes = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert sizes[0] <= sizes[1]
    small = page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent)"
        ".filter(b => b.offsetHeight < 24).map(b => b.textContent)"
    )
    assert small == []
    shots(page, "dashboard-phone")
    page.get_by_role("link", name="All routes").tap()
    expect(page.get_by_role("navigation", name="Routes")).to_be_visible()


def test_the_keyboard_reaches_everything(stand: Stand, open_page: OpenPage) -> None:
    page = open_page(stand.url)
    expect(page.locator("#routes a")).to_have_count(4)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("fr")
    expect(page.locator("#routes a")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name=re.compile("fraud"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h2.route-name")).to_have_text("fraud")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Hold")).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Your name")).to_be_focused()
    for _ in range(12):  # the focus goes round inside the dialog
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || document.querySelector('dialog').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Hold")).to_be_focused()


def test_the_outline_is_one_that_a_screen_reader_can_walk(
    stand: Stand, open_page: OpenPage
) -> None:
    page = open_page(at(stand, "fraud"))
    expect(page.get_by_role("article", name="check accuracy")).to_be_visible()
    for role in ("banner", "navigation", "main"):
        expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].filter(h => h.offsetParent)"
        ".map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    nameless = page.evaluate(
        "[...document.querySelectorAll('input,select,textarea,button')]"
        ".filter(e => e.offsetParent && !e.labels?.length && !e.textContent.trim())"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption)")


def test_text_has_contrast_enough_in_both_themes(stand: Stand, open_page: OpenPage) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text."""
    for theme in ("light", "dark"):
        page = open_page(at(stand, "fraud"), color_scheme=theme)
        expect(page.get_by_role("article", name="check accuracy")).to_be_visible()
        colours = page.evaluate(
            "Object.fromEntries(['ground','panel','ink','muted','champion','challenger','evidence',"
            "'good','good-ground','bad','bad-ground','wait','wait-ground','warn','warn-ground',"
            "'link'].map(n => [n, getComputedStyle(document.documentElement)"
            ".getPropertyValue('--' + n).trim()]))"
        )
        pairs = [(ink, "panel") for ink in ("ink", "muted", "champion", "evidence", "link", "bad")]
        pairs += [("challenger", "panel"), ("muted", "ground"), ("muted", "wait-ground")]
        pairs += [(name, f"{name}-ground") for name in ("good", "bad", "wait", "warn")]
        low = {pair: _contrast(*(colours[name] for name in pair)) for pair in pairs}
        assert {pair: c for pair, c in low.items() if c < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# What changes something has a company of its own: a day, not a week.


@pytest.fixture
def acting(tmp_path: Path, browser: object) -> Iterator[tuple[Company, Stand]]:
    company = Company(tmp_path / "understudy.db", days=0.2)
    company.live_through(0.01, coarse_s=600.0, fine_s=600.0)
    stand = Stand(tmp_path, company.controller, company.recorder)
    yield company, stand
    stand.close()
    company.stop()


def fill(page: Page, reason: str, token: str = TOKEN) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your name").fill("Ada Example")
    dialog.get_by_label("Reason, for the record").fill(reason)
    if token:
        dialog.get_by_role("textbox", name="Token", exact=True).fill(token)


def press(page: Page, act: str, send: str) -> None:
    page.locator(".acts").get_by_role("button", name=act).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    if send:
        page.get_by_role("dialog").get_by_role("button", name=send, exact=True).click()


def test_every_act_is_done_with_a_reason_and_a_token_that_is_in_no_address(
    acting: tuple[Company, Stand], open_page: OpenPage, shots: Shots
) -> None:
    company, stand = acting
    page = open_page(at(stand, "fraud"))
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    is_live(page)

    press(page, "Hold", "")
    fill(page, "the label feed looks odd")
    shots(page, "dashboard-act")
    page.get_by_role("dialog").get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".held-note")).to_contain_text("Held by Ada Example. the label feed")
    expect(page.locator("#said")).to_have_text("fraud: held")
    expect(page.locator("#routes .flag.held")).to_have_count(1)

    press(page, "Resume", "")
    fill(page, "it was the feed's clock", token="")  # the page remembers it
    page.get_by_role("dialog").get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator(".held-note p")).to_have_count(0)

    press(page, "Promote", "")
    fill(page, "the old one is withdrawn today", token="")
    page.get_by_role("dialog").get_by_role("button", name="Promote around the gates").click()
    expect(page.get_by_role("dialog")).to_be_visible()  # not without the tick
    page.get_by_label("I go around the gates").check()
    page.get_by_label("For how long").select_option("4h")
    page.get_by_role("dialog").get_by_role("button", name="Promote around the gates").click()
    expect(page.locator(".phase-badge")).to_have_text("watch")
    expect(section(page, "Timeline").locator("li").first).to_contain_text("break-glass")
    expect(page.locator(".held-note")).to_contain_text("around the gates by Ada Example, for 4")

    press(page, "Roll back", "")
    fill(page, "customers complain", token="")
    page.get_by_role("dialog").get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator(".phase-badge")).to_have_text("rolled back")

    records = stand.engine(lambda _: company.audit())
    done = [(one["action"], one["who"], one["because"]) for one in records if "Ada" in one["who"]]
    assert done == [
        ("hold", "Ada Example", "the label feed looks odd"),
        ("resume", "Ada Example", "it was the feed's clock"),
        ("promote", "Ada Example", "break-glass for 14400 s: the old one is withdrawn today"),
        ("rollback", "Ada Example", "customers complain"),
    ]
    assert addresses and not any(TOKEN in address for address in addresses)
    kept = (
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert TOKEN not in page.evaluate(kept)


def test_a_wrong_token_says_what_to_do_and_changes_nothing(
    acting: tuple[Company, Stand], open_page: OpenPage
) -> None:
    _, stand = acting
    page = open_page(at(stand, "fraud"))
    is_live(page)
    press(page, "Roll back", "")
    fill(page, "because", token="guessed")
    page.get_by_role("dialog").get_by_role("button", name="Roll back", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("token")
    assert _route(stand, "fraud")["phase"] == Phase.SHADOW.value
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_token_is_kept_for_the_tab_only_if_that_is_ticked_and_can_be_forgotten(
    acting: tuple[Company, Stand], open_page: OpenPage
) -> None:
    _, stand = acting
    page = open_page(stand.url)
    page.get_by_role("button", name="Token").click()
    page.get_by_role("textbox", name="Token", exact=True).fill(TOKEN)
    page.get_by_label("keep it for this tab").check()
    page.get_by_role("button", name="Use it").click()
    assert page.evaluate("sessionStorage.getItem('understudy.token')") == TOKEN
    page.reload()
    page.get_by_role("button", name="Token").click()
    page.get_by_role("button", name="Forget it").click()
    assert page.evaluate("sessionStorage.length") == 0


def test_what_happens_is_seen_without_asking(
    acting: tuple[Company, Stand], open_page: OpenPage
) -> None:
    company, stand = acting
    page = open_page(at(stand, "fraud"))
    is_live(page)
    card = page.get_by_role("article", name="check errors")
    before = card.locator(".figures").inner_text()
    stand.engine(lambda _: company.live(600.0, 0.05))
    expect(card.locator(".figures")).not_to_have_text(before)
    expect(page.locator("#connection")).to_have_text("live")
