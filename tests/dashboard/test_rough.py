"""The page when things are not as they should be: hostile texts, many routes, lost connections."""

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from controller import audit, store
from controller.audit import Entry
from controller.opening import open_database
from sidecar.dashboard import feed
from sidecar.dashboard.sample import encode
from sidecar.tokenfile import READ
from tests.dashboard.conftest import WAIT_MS, OpenPage
from tests.dashboard.line import Line
from tests.dashboard.stand import Stand
from tests.sidecar.admin_bench import TOKEN
from tests.sidecar.double import ROUTE, STATUS

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]
expect.set_options(timeout=WAIT_MS)
HOSTILE = (
    '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>'
    "<svg/onload=window.pwned=3>\"'`${window.pwned=4}javascript:window.pwned=5"
)
NAME = "<img src=x onerror=window.pwned=6>"
"""Without what an address would be cut at; the routing file allows neither."""
GATE = {
    "stage": HOSTILE,
    "because": HOSTILE,
    "checks": [{"name": HOSTILE, "passed": False, "because": HOSTILE, "numbers": {}}],
}


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the double answers; a test changes it in place."""
    found = copy.deepcopy(STATUS)
    for key in STATUS:
        monkeypatch.setitem(STATUS, key, found[key])
    monkeypatch.setattr(feed, "PERIOD_S", 0.1)
    return STATUS


@pytest.fixture
def stand(tmp_path: Path, status: dict[str, Any], browser: object) -> Iterator[Stand]:
    one = Stand(tmp_path)
    yield one
    one.close()


def poisoned(value: Any) -> Any:
    """Return ``value`` with HOSTILE in the place of every text but those that name a state."""
    if isinstance(value, dict):
        return {key: _poisoned_field(key, one) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


def _poisoned_field(key: str, value: Any) -> Any:
    return value if key in ("since", "began", "at") else poisoned(value)


def test_no_text_from_anywhere_becomes_markup(
    stand: Stand, status: dict[str, Any], open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = poisoned({**ROUTE, "held_by": "x", "hold_reason": "x", "because": "x"})
    route |= {
        "ladder": [
            {"stage": HOSTILE, "share": 0.5, "for_at_least_s": 1, "state": "present"},
            {"stage": "canary", "share": 0.5, "for_at_least_s": 1, "state": HOSTILE},
        ],
        "maturing": dict.fromkeys(
            (*("waiting", "oldest_s", "looked_at", "labelled"), "judged", "missing", "needless"), 3
        ),
        "gate": GATE,
        "bars": {HOSTILE: 0.0},
        "approval": {"needed": 2, "given": [{"who": HOSTILE}], "is_open": True},
        "break_glass": {"who": HOSTILE, "reason": HOSTILE, "left_s": 3.0},
        "phase": "canary",
        "name": NAME,
    }  # fmt: skip
    route["checks"][0] |= {"needs_labels": True, "alpha": 0.05}
    others = [
        {**route["checks"][0], "check": f"{HOSTILE}{role}", "role": role, "state": state}
        for role, state in (("guardrail", "tripped"), ("integrity", "unknown"), ("proxy", HOSTILE))
    ]
    route["checks"] += others
    status["routes"] = [route]
    status["config_error"] = status["store_error"] = HOSTILE
    status["config_digest"] = status["version"] = HOSTILE
    answers = {"champion": HOSTILE, "challenger": HOSTILE}
    pairs = [{"request_id": HOSTILE, "at": HOSTILE, "apart": k} | answers for k in range(9)]
    shown = {"show": "predictions", "compared": 9, "differ": 9, "pairs": pairs, "experiment": "x"}
    monkeypatch.setattr(type(stand.bench.double), "disagreements", lambda *_: shown)
    connection = open_database(stand.folder / "understudy.db")
    with store.transaction(connection):
        entry = Entry(
            at_ns=1, who=HOSTILE, route=NAME, action=HOSTILE, because=HOSTILE,
            config_digest=HOSTILE, challenger=HOSTILE, phase_from=HOSTILE, phase_to=f"x{HOSTILE}",
            artifact=HOSTILE,
            evidence={"counts": {"pairs": 1}, "readings": route["checks"], "gate": GATE},
        )  # fmt: skip
        audit.append(connection, entry)
    connection.close()
    stand.run(stand.bench.recorder.turn())

    page = open_page(stand.url)
    page.locator("#routes a").first.click()
    expect(page.locator("h2.route-name")).to_have_text(NAME)
    expect(page.locator(".alarms")).to_contain_text(HOSTILE)
    expect(page.locator(".held-note")).to_contain_text(HOSTILE)
    timeline = page.locator(".timeline")
    expect(timeline).to_contain_text(HOSTILE)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    timeline.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(HOSTILE)
    dialog.locator("summary").click()
    page.keyboard.press("Escape")
    page.locator(".acts button").first.click()
    expect(page.get_by_role("dialog").locator("h2")).to_contain_text(NAME)
    page.keyboard.press("Escape")
    page.locator("#search").fill(NAME)
    expect(page.locator("#routes a")).to_have_count(1)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, main script, main svg, #routes svg").count() == 0


def test_the_policy_refuses_what_would_come_in_all_the_same(stand: Stand, browser: Any) -> None:
    """The belt beside the braces: even our own script cannot make markup of a text."""
    page = browser.new_page()
    page.goto(stand.url)
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'taken' }"
        " catch (error) { return error.name } }"
    )
    assert refused == "TypeError"
    style = page.evaluate(
        "() => { const b = document.createElement('b'); b.setAttribute('style', 'color: red');"
        " document.body.append(b); return getComputedStyle(b).color }"
    )
    assert style != "rgb(255, 0, 0)"
    page.close()


def many(n: int) -> list[dict[str, Any]]:
    phases = ("canary", "shadow", None, "promoted", "watch")
    return [
        {
            **ROUTE,
            "name": f"route-{k:04}",
            "champion": f"model-{k}-1",
            "challenger": f"model-{k}-2" if phases[k % 5] else None,
            "phase": phases[k % 5],
            "held_by": "ada" if k == 777 else None,
        }
        for k in range(n)
    ]


def test_a_thousand_routes_are_found_at_once(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    status["routes"] = many(1_000)
    page = open_page(stand.url)
    expect(page.locator("#count")).to_contain_text("1\u202f000 routes")
    assert page.locator("#routes li").count() == 100
    page.locator("#search").fill("model-777")
    expect(page.locator("#routes a")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 1\u202f000 routes")
    page.locator("#search").fill("")
    page.get_by_label("Show", exact=True).select_option("attention")
    expect(page.locator("#routes a")).to_have_count(1)
    page.get_by_label("Show", exact=True).select_option("running")
    expect(page.locator("#count")).to_have_text("600 of 1\u202f000 routes")
    page.locator("#more").click()
    expect(page.locator("#routes a")).to_have_count(200)
    expect(page.locator("#routes a").nth(100)).to_be_focused()
    # A reading that changes one route redraws one line, and leaves the focus where it is.
    status["routes"][150] |= {"share": 0.07}
    expect(page.locator("#routes")).to_contain_text("canary 7\u00a0%")
    expect(page.locator("#routes a").nth(100)).to_be_focused()
    cost_ms = page.evaluate(
        "async () => { const s = document.getElementById('search');"
        " const begun = performance.now();"
        " for (const text of ['r', 'ro', 'route-0', 'route-09', '']) { s.value = text;"
        " s.dispatchEvent(new Event('input')); await new Promise(requestAnimationFrame) }"
        " return performance.now() - begun }"
    )
    assert cost_ms < 10_000  # a search that redrew a thousand rows each time would not end


def test_a_week_of_history_is_drawn(stand: Stand, open_page: OpenPage) -> None:
    now_s = time.time()
    check = dict(ROUTE["checks"][0])  # type: ignore[index]
    for k in range(1_008):
        check |= {"effect": 0.05 + k * 1e-5, "low": 0.0, "high": 0.1}
        raw = encode({**ROUTE, "checks": [check]}, {})
        stand.bench.history.add(now_s - 600.0 * (1_008 - k), {"digits": raw})
    page = open_page(f"{stand.url}#/routes/digits")
    page.get_by_role("button", name="last 7 days").click()
    card = page.get_by_role("article", name="check accuracy")
    expect(card.locator("canvas").first).to_be_visible()
    expect(card.locator(".u-axis")).not_to_have_count(0)
    ink = page.evaluate(
        "() => { const c = document.querySelector('.check canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n }"
    )
    assert ink > 1_000
    card.locator("summary").first.click()
    first = card.locator(".numbers tbody tr").last.locator("th").inner_text()
    newest = card.locator(".numbers tbody tr").first.locator("th").inner_text()
    assert first[:10] < newest[:10]


def test_a_lost_connection_is_shown_and_comes_back(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    line = Line(stand)
    page = open_page(f"{line.url}#/routes/digits")
    expect(page.locator("#connection")).to_have_text("live")
    line.cut()
    expect(page.locator("#connection")).to_have_text("not connected")
    expect(page.get_by_role("alert")).to_contain_text("Connection lost")
    expect(page.locator("#said")).to_have_text("connection lost")
    status["routes"] = [{**ROUTE, "phase": "watch"}]
    line.mend()
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator(".phase-badge")).to_have_text("watch")
    expect(page.get_by_role("alert")).not_to_contain_text("Connection lost")
    expect(page.locator("#said")).to_have_text("connected again")
    page.close()
    line.close()


def test_without_a_stream_the_page_asks_again_and_again(
    stand: Stand, status: dict[str, Any], browser: Any
) -> None:
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)

    def refuse(route: Route) -> None:
        route.fulfill(status=503, json={"error": "32 watch already", "remedy": "ask"})

    page.route("**/v1/events/stream*", refuse)
    page.goto(f"{stand.url}#/routes/digits")
    expect(page.locator("#connection")).to_have_text("every 3 s")
    expect(page.locator(".phase-badge")).to_have_text("canary")
    status["routes"] = [{**ROUTE, "phase": "watch"}]
    expect(page.locator(".phase-badge")).to_have_text("watch")
    page.close()


def test_a_port_that_asks_for_a_token_is_given_it_in_a_header(
    tmp_path: Path, status: dict[str, Any], open_page: OpenPage
) -> None:
    stand = Stand(tmp_path, closed={READ})
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{stand.url}#/routes/digits")
    expect(page.get_by_role("dialog")).to_contain_text("a valid token is needed")
    expect(page.locator("#connection")).to_have_text("token needed")
    assert page.locator("#routes a").count() == 0
    page.get_by_role("textbox", name="Token", exact=True).fill(TOKEN)
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#connection")).to_have_text("live")
    expect(page.locator(".phase-badge")).to_have_text("canary")
    expect(page.locator(".check")).to_have_count(1)
    assert asked and not any(TOKEN in url for url in asked)
    page.close()
    stand.close()


def test_an_approval_is_asked_for_where_it_is_open(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    approval = {"needed": 2, "given": [{"who": "Grace"}], "is_open": True}
    status["routes"] = [{**ROUTE, "approval": approval}]
    page = open_page(f"{stand.url}#/routes/digits")
    expect(page.locator("#main")).to_contain_text("Approvals: 1 of 2 (Grace)")
    sent: list[Any] = []

    def take(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json=status["routes"][0])

    page.route("**/v1/routes/digits/approve", take)
    page.locator(".acts").get_by_role("button", name="Approve").click()
    page.get_by_label("Reason, for the record").fill("read the case")
    page.get_by_role("textbox", name="Token", exact=True).fill("t")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert sent == [{"reason": "read the case"}]  # the token says who


def test_a_controller_that_hangs_is_said_to(
    stand: Stand, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.desk.STATUS_S", 0.05)
    monkeypatch.setattr("sidecar.desk.ANSWER_S", 0.05)
    page = open_page(f"{stand.url}#/routes/digits")
    expect(page.locator("#connection")).to_have_text("live")
    stand.bench.double.hang.clear()
    expect(page.get_by_role("alert")).to_contain_text("The controller does not answer")
    stand.bench.double.hang.set()
    expect(page.get_by_role("alert")).not_to_contain_text("does not answer")


def test_a_route_that_is_not_there_says_so_and_one_that_comes_is_shown(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    page = open_page(f"{stand.url}#/routes/new%20one")
    expect(page.locator("#main")).to_contain_text("There is no route of this name")
    status["routes"] = [*status["routes"], {**ROUTE, "name": "new one"}]
    expect(page.locator("h2.route-name")).to_have_text("new one")


def test_a_cold_start_has_no_champion_and_says_so(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    status["routes"] = [{**ROUTE, "champion": None, "phase": "cold_start", "share": 1.0}]
    page = open_page(f"{stand.url}#/routes/digits")
    expect(page.locator(".says")).to_contain_text("digits-2 answers everybody: there is no champ")
    expect(page.locator(".phase-badge")).to_have_text("cold start")
    expect(page.locator(".versus")).to_contain_text("digits-2")
    expect(page.locator("#routes .phase.on")).to_have_text("cold start")


def test_no_route_at_all_says_when_there_will_be_one(
    stand: Stand, status: dict[str, Any], open_page: OpenPage
) -> None:
    status["routes"] = []
    page = open_page(stand.url)
    expect(page.locator("#count")).to_contain_text("as soon as a routing file is in force")
