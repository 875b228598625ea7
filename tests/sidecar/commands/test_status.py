import doctest
import io
import json
from typing import Any

import pytest
from rich.console import Console

from sidecar.commands import status as module
from sidecar.commands.status import headline, page, percent, status, unsound_lines
from tests.sidecar.fake_admin import FakeAdmin

ROUTE: dict[str, Any] = {
    "name": "digits",
    "champion": "digits-1",
    "challenger": "digits-2",
    "phase": "canary",
    "step": 1,
    "steps": 3,
    "share": 0.25,
    "mirror_share": 0.0,
    "held_by": None,
    "missing": ["accuracy: odds 4:1, needs 20:1"],
    "expected_seconds": 42.0,
    "checks": [
        {
            "check": "accuracy",
            "role": "objective",
            "needs_labels": True,
            "state": "undecided",
            "because": "too early",
            "odds": 3.3,
            "effect": 0.05,
            "low": None,
            "high": 0.11,
            "n": 812,
        }
    ],
}
STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "at": "2026-11-23T07:00:00Z",
    "table_version": 17,
    "config_digest": "ab" * 32,
    "config_error": None,
    "routers": [{}, {}],
    "routes": [ROUTE],
}


def shown(answer: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(page(answer))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_page_says_where_the_rollout_stands_and_what_is_missing() -> None:
    text = shown(STATUS)
    for part in ("table 17", "2 routers", "missing: accuracy: odds 4:1", "expected in 42 s"):
        assert part in text
    row = next(line for line in text.splitlines() if "objective" in line)
    assert row.split() == "accuracy objective labels undecided 3.3 - 0.05 - .. 0.11 812".split()
    assert "too early" in text


def test_page_says_what_waits_for_labels_and_what_a_proxy_is() -> None:
    proxy = {"check": "agrees", "role": "proxy", "state": "passed", "n": 9}
    maturing = {"waiting": 7, "oldest_s": 7200.0, "looked_at": 7, "labelled": 3, "judged": 40}
    maturing |= {"missing": 2, "needless": 30}
    text = shown(
        {**STATUS, "routes": [{**ROUTE, "checks": [proxy], "maturing": maturing}]},
    )
    assert (
        "labels: 40 judged, 2 of them without one, 30 that needed none; 7 wait, the oldest for 2 h;"
        " 3 of the oldest 7 have theirs"
    ) in text
    row = next(line for line in text.splitlines() if line.strip().startswith("agrees"))
    assert row.split()[1:4] == ["proxy", "answers", "passed"]
    assert "never promotes" in text and "never promotes" not in shown(STATUS)


def test_refused_reload_is_on_the_page() -> None:
    assert "routing file refused: r.yaml:1:1" in shown({**STATUS, "config_error": "r.yaml:1:1"})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "digits: champion digits-1, challenger digits-2 in canary step 2 of 3, serves 25%"),
        ({"challenger": None}, "digits: champion digits-1, no challenger"),
        (
            {"phase": "shadow", "share": 0.0, "mirror_share": 1.0},
            "digits: champion digits-1, challenger digits-2 in shadow, serves 0%, "
            "sees a copy of 100%",
        ),
        (
            {"phase": "watch", "break_glass": {"who": "ada", "reason": "x", "left_s": 7200.0}},
            "digits: champion digits-1, challenger digits-2 in watch, serves 25%; "
            "BREAK-GLASS by ada, 2 h left",
        ),
    ],
)
def test_headline_is_one_sentence(change: dict[str, Any], line: str) -> None:
    assert headline({**ROUTE, **change}) == line


def test_held_rollout_says_by_whom() -> None:
    assert "held by ada" in shown({**STATUS, "routes": [{**ROUTE, "held_by": "ada"}]})


def test_golden_rows_are_counted_while_a_gate_asks_them() -> None:
    assert "golden rows" not in shown(STATUS | {"routes": [ROUTE | {"gate_progress": None}]})
    progress = {"rows_done": 120, "rows": 1000}
    text = shown(STATUS | {"routes": [ROUTE | {"gate_progress": progress}]})
    assert "golden rows: 120 of 1000" in text


def test_standby_is_on_the_page_once_it_has_answered() -> None:
    standby = {"name": "spare", "requests": 0, "routers_resting_the_champion": 0}
    assert "standby" not in shown(STATUS | {"routes": [ROUTE | {"standby": standby}]})
    standby |= {"requests": 7}
    text = shown(STATUS | {"routes": [ROUTE | {"standby": standby}]})
    assert "standby spare was given 7 requests" in text and "rests" not in text
    standby |= {"routers_resting_the_champion": 2}
    text = shown(STATUS | {"routes": [ROUTE | {"standby": standby}]})
    assert "7 requests; the champion rests in 2 routers" in text


def test_text_of_the_sidecar_is_never_markup() -> None:
    assert "[red]x[/red]" in shown({**STATUS, "routes": [{**ROUTE, "missing": ["[red]x[/red]"]}]})


def test_page_of_an_older_sidecar_with_fewer_keys_is_shown() -> None:
    assert "understudy" in shown({})
    assert "a: champion b" in shown({"routes": [{"name": "a", "champion": "b"}]})


def test_unknown_share_is_a_dash() -> None:
    assert (percent(None), percent(0.005)) == ("-", "0.5%")


def test_json_is_written_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/status": (200, STATUS)}) as admin:
        assert status(admin.url, as_json=True, watch=False) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_table_is_written_once_without_watch(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/status": (200, STATUS)}) as admin:
        assert status(admin.url, as_json=False, watch=False) == 0
    assert admin.asked == ["/v1/status"]
    assert "digits: champion digits-1" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [True, False])
def test_watch_shows_it_again_until_the_sidecar_is_gone(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "WATCH_EVERY_S", 0.0)
    answers = {"/v1/status": [(200, STATUS), (200, STATUS), (503, {"error": "stopping"})]}
    with FakeAdmin(answers) as admin:
        assert status(admin.url, as_json=as_json, watch=True) == 1
    assert len(admin.asked) == 3
    out, err = capsys.readouterr()
    assert "503" in err
    if as_json:
        assert [json.loads(line) for line in out.splitlines()] == [STATUS, STATUS]


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


def test_broken_champion_and_the_stages_of_a_chain_have_a_line_each() -> None:
    stage = {"route": "rank", "state": "tripped", "check": "errors", "because": "too many"}
    route = {
        "health": {"champion": {"is_broken": True, "failed": 90, "n": 100, "limit": 0.2}},
        "landings": {"rules": "healthy: asked"},
        "chain": [stage],
    }
    assert unsound_lines(route) == [
        "the champion is broken: 90 of 100 answers failed, limit 20%",
        "  rules in its place: healthy: asked",
        "chain: rank: tripped (errors: too many)",
    ]
    assert unsound_lines({}) == []
