import doctest
import json
from typing import Any

import pytest

from sidecar.commands import explain as module
from sidecar.commands.explain import explain, sentences
from tests.sidecar.commands.test_status import ROUTE, STATUS
from tests.sidecar.fake_admin import FakeAdmin

AT = "2026-11-23T07:00:00Z"
READING: dict[str, Any] = {
    "check": "accuracy",
    "role": "objective",
    "state": "undecided",
    "because": "too early",
    "alpha": 0.05,
    "odds": 4.2,
    "progress": 0.479,
    "effect": 0.012,
    "low": None,
    "high": 0.031,
    "n": 812,
    "n_expected": 2300,
}
ITEM = {key: READING[key] for key in ("check", "role", "state", "because", "n", "n_expected")}


def said(**changes: Any) -> list[str]:
    route = ROUTE | {
        "since": "2026-11-22T07:00:00Z",
        "checks": [READING],
        "required": [ITEM | {"expected_seconds": 7_200.0}],
        "expected_seconds": 7_200.0,
    }
    return sentences(route | changes, AT)


def test_where_it_stands_comes_first() -> None:
    assert said()[0] == (
        "digits: champion digits-1, challenger digits-2 in canary step 2 of 3, serves 25% "
        "since 2026-11-22 07:00 UTC."
    )


def test_an_open_check_has_its_numbers_and_a_date() -> None:
    assert said()[1] == (
        "accuracy (objective) is undecided: too early. The challenger must be shown to be better. "
        "Odds against its null are 4.2:1 and must reach 20:1 (alpha 0.05), 47% of the way. "
        "Effect +0.012, interval ? .. +0.031. 812 observations of about 2,300. "
        "Expected in 2 h, on 2026-11-23 09:00 UTC."
    )
    assert said()[-1] == ("The decision to promote is expected in 2 h, on 2026-11-23 09:00 UTC.")


def test_a_check_that_passed_is_not_missing() -> None:
    assert len(said(required=[ITEM | {"state": "passed"}], missing=[])) == 2


def test_a_count_is_told_with_when_it_is_full() -> None:
    item = {"check": "pairs", "role": "integrity", "state": "undecided", "n": 5, "n_expected": 10}
    item |= {"because": "5 of 10 in this step", "expected_seconds": 30.0}
    line = said(required=[item], missing=["pairs: 5 of 10 in this step"])[1]
    assert line == (
        "pairs (integrity) is undecided: 5 of 10 in this step. "
        "Expected in 30 s, on 2026-11-23 07:00 UTC."
    )


def test_unknown_has_no_date_and_says_why() -> None:
    item = ITEM | {"state": "unknown", "because": "has not reported", "expected_seconds": None}
    lines = said(required=[item], expected_seconds=None)
    assert "No date: it holds until the evidence is there." in lines[1]
    assert lines[-1].startswith("When it will be decided cannot be told yet")


def test_who_holds_it_and_how_to_go_on() -> None:
    lines = said(held_by="ada", hold_reason="look", missing=["held by ada: look"])
    assert lines[1] == "held by ada: look. `understudy resume digits` lets it go on."
    assert not any(line == "held by ada: look." for line in lines)


def test_what_is_missing_without_a_reading_is_told_as_it_is() -> None:
    lines = said(phase="functional", required=[], missing=["functional: not ready yet"])
    assert "functional: not ready yet." in lines


def test_an_approval_that_is_all_that_is_missing_says_how_to_give_it() -> None:
    lines = said(required=[], missing=["approval: 1 of 2 (risk)"], expected_seconds=None)
    assert lines[1] == "approval: 1 of 2 (risk). `understudy approve digits` gives one."
    assert lines[-1] == "It waits for people alone: everything else of this stage is there."


def test_nobody_is_asked_to_approve_before_the_time() -> None:
    early = "approval: 0 of 2, asked for when the checks have passed"
    lines = said(missing=[early])
    assert f"{early}." in lines and lines[-1].startswith("The decision to promote is expected")


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"challenger": None, "phase": None}, "Nothing is under way"),
        ({"phase": "promoted", "because": "all passed"}, "Nothing is missing: it is the champion"),
        ({"phase": "rolled_back", "because": "harm"}, "It has no traffic"),
        ({"phase": "security", "expected_seconds": None}, "It meets no traffic before that"),
        ({"expected_seconds": None}, "Nothing is missing in this stage"),
        ({"phase": "watch", "break_glass": {"who": "ada"}}, "It is in production around its gates"),
    ],
)
def test_the_end_says_what_will_happen(changes: dict[str, Any], end: str) -> None:
    assert said(required=[], missing=[], **changes)[-1].startswith(end)


def test_an_older_sidecar_and_a_broken_clock_are_understood() -> None:
    assert len(sentences({"name": "a", "champion": "b"}, "")) == 2
    assert "in 2 h." in sentences({**ROUTE, "expected_seconds": 7_200.0}, "never")[-1]


def test_the_command_writes_lines_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/status": (200, STATUS)}) as admin:
        assert explain("digits", admin.url, as_json=False) == 0
        assert explain("digits", admin.url, as_json=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1])["sentences"] == [line.strip() for line in lines[:-1]]


def test_no_such_route_and_silence_have_their_codes(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {
        "/v1/status": (200, STATUS),
        "/v1/routes/dogs": (
            404,
            {"error": "there is no route", "remedy": "the routes are: digits"},
        ),
    }
    with FakeAdmin(answers) as admin:
        assert explain("dogs", admin.url, as_json=False) == 1
    assert "the routes are: digits" in capsys.readouterr().err
    assert explain("dogs", "http://127.0.0.1:1", as_json=False) == 3


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0
