import json

import pytest

from controller.lineage import ancestors
from controller.modeljson import line_json, model_json
from sidecar.commands.lineage import lineage
from tests.controller.test_modeljson import FOUND, MODEL, A, B
from tests.sidecar.fake_admin import FakeAdmin

TOLD = model_json(MODEL, FOUND, is_whole=True) | {
    "line": line_json(ancestors(MODEL, lambda _: None))
}
TOLD |= {"params": {"depth": "3"}}


def test_line_is_a_tree_of_data_and_parents(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/models/fraud%3A7": (200, TOLD)}) as admin:
        assert lineage(admin.url, "fraud:7", as_json=False) == 0
    text = capsys.readouterr().out
    assert "fraud:7 (canary)" in text and f"artifact sha256:{A} at /m" in text
    assert f"training data t.csv (3 rows) {B}" in text
    assert "parent fraud:6, not registered here" in text and "param depth=3" in text


def test_json_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({"/v1/models/fraud%40champion": (200, TOLD)}) as admin:
        assert lineage(admin.url, "fraud@champion", as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == TOLD


def test_unknown_version_and_silence_have_their_codes(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"/v1/models/fraud%3A9": (404, {"error": "there is no version fraud:9"})}
    with FakeAdmin(answers) as admin:
        assert lineage(admin.url, "fraud:9", as_json=False) == 1
    assert "there is no version fraud:9" in capsys.readouterr().err
    assert lineage("http://127.0.0.1:1", "fraud:7", as_json=False) == 3
