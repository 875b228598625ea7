import json
from typing import Any

import pytest

from controller.modeljson import model_json
from sidecar.commands.models import models
from tests.controller.test_modeljson import FOUND, MODEL
from tests.sidecar.double import HOSTILE
from tests.sidecar.fake_admin import FakeAdmin

TOLD: dict[str, Any] = model_json(MODEL, FOUND)


def test_versions_are_a_table_with_stage_and_alias(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/models": (200, {"models": [TOLD]})}) as admin:
        assert models(admin.url, None, as_json=False) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "fraud:7 canary challenger of pay aaaaaaaaaaaa fraud:6" in text


def test_json_is_the_answers_list(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/models?name=fraud": (200, {"models": [TOLD]})}) as admin:
        assert models(admin.url, "fraud", as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == [TOLD]


def test_text_of_the_sidecar_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = TOLD | {"owner": f"[red]{HOSTILE}"}
    with FakeAdmin({"/v1/models": (200, {"models": [hostile]})}) as admin:
        assert models(admin.url, None, as_json=False) == 0
    assert "[red]" in capsys.readouterr().out


def test_nothing_registered_and_nothing_there_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FakeAdmin({"/v1/models": (200, {"models": []})}) as admin:
        assert models(admin.url, None, as_json=False) == 0
        assert models(admin.url, "a/b", as_json=False) == 1
    assert "no model version is registered" in capsys.readouterr().out
    assert models("http://127.0.0.1:1", None, as_json=False) == 3
