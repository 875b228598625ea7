from pathlib import Path
from typing import Any

import pytest

from sidecar.commands.act import Asked, act
from tests.sidecar.commands.test_status import ROUTE
from tests.sidecar.fake_admin import FakeAdmin

ENVIRONMENT = {"UNDERSTUDY_TOKEN": "s3cret", "USER": "ada"}
DONE = {f"/v1/routes/digits/{name}": (200, ROUTE) for name in ("hold", "rollback", "promote")}


def asked(admin: str, **more: Any) -> Asked:
    said = {"route": "digits", "act": "hold", "reason": "look", "who": None, "token_file": None}
    return Asked(**(said | {"admin": admin} | more))


@pytest.mark.parametrize("name", ["hold", "rollback", "promote"])
def test_an_act_is_sent_with_name_reason_and_token(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeAdmin(DONE) as admin:
        assert act(asked(admin.url, act=name), ENVIRONMENT) == 0
    headers, content = admin.sent[0]
    assert content == {"who": "ada", "reason": "look"}
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["content-type"] == "application/json"
    assert capsys.readouterr().out.startswith(f"{name} done: digits: champion digits-1")


def test_a_broken_glass_may_be_given_its_time() -> None:
    with FakeAdmin(DONE) as admin:
        given = asked(admin.url, act="promote", break_glass=True, lasting="2h", who="eve")
        assert act(given, ENVIRONMENT) == 0
    assert admin.sent[0][1]["for"] == "2h"


def test_break_glass_is_said_only_where_it_was_asked_for() -> None:
    with FakeAdmin(DONE) as admin:
        assert act(asked(admin.url, act="promote", break_glass=True, who="eve"), ENVIRONMENT) == 0
    assert admin.sent[0][1] == {"who": "eve", "reason": "look", "break_glass": True}


def test_the_token_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("other\n")
    with FakeAdmin(DONE) as admin:
        assert act(asked(admin.url, token_file=file), ENVIRONMENT) == 0
    assert admin.sent[0][0]["authorization"] == "Bearer other"


@pytest.mark.parametrize(
    ("more", "environment", "said"),
    [
        ({}, {"USER": "ada"}, "set UNDERSTUDY_TOKEN"),
        ({"reason": "  "}, ENVIRONMENT, "--reason"),
        ({"who": " "}, ENVIRONMENT, "--who NAME"),
        ({"token_file": Path("nowhere")}, ENVIRONMENT, "--token-file"),
    ],
)
def test_what_is_missing_is_told_before_anybody_is_asked(
    more: dict[str, Any],
    environment: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FakeAdmin(DONE) as admin:
        assert act(asked(admin.url, **more), environment) == 2
    assert admin.asked == []
    assert said in capsys.readouterr().err


def test_a_refusal_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = {"error": "the gates are not passed", "remedy": "wait"}
    path = "/v1/routes/digits/promote"
    with FakeAdmin({path: (409, refusal)}) as admin:
        assert act(asked(admin.url, act="promote"), ENVIRONMENT) == 1
    err = capsys.readouterr().err
    assert "the gates are not passed; wait" in err and "understudy explain digits" in err
    with FakeAdmin({path: (401, refusal)}) as admin:
        assert act(asked(admin.url, act="promote"), ENVIRONMENT) == 1
    err = capsys.readouterr().err
    assert "is it the token" in err and "s3cret" not in err


def test_silence_may_have_been_an_act(capsys: pytest.CaptureFixture[str]) -> None:
    assert act(asked("http://127.0.0.1:1"), ENVIRONMENT) == 3
    assert "it may have been done" in capsys.readouterr().err


def test_a_route_is_one_part_of_the_path() -> None:
    with FakeAdmin({}) as admin:
        assert act(asked(admin.url, route="../x?y"), ENVIRONMENT) == 1
    assert admin.asked == ["/v1/routes/..%2Fx%3Fy/hold"]
