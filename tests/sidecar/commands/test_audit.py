import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.commands import audit
from sidecar.commands.audit import export
from tests.sidecar.fake_admin import FakeAdmin

RECORDS = [{"sequence": n, "hash": f"h{n}", "because": "é"} for n in range(1, 6)]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "PAGE", 2)


def pages(records: list[dict[str, Any]]) -> dict[str, tuple[int, Any]]:
    return {
        f"/v1/audit?after={after}&limit=2": (
            200,
            {"records": [r for r in records if r["sequence"] > after][:2], "head": "h5"},
        )
        for after in range(len(RECORDS) + 1)
    }


def test_export_writes_every_record_once_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeAdmin(pages(RECORDS)) as admin:
        assert export(admin.url, out=tmp_path / "audit.jsonl") == 0
        assert export(admin.url, out=None) == 0
    lines = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in lines.splitlines()] == RECORDS
    assert capsys.readouterr().out == lines


def test_export_into_a_missing_folder_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeAdmin(pages(RECORDS)) as admin:
        assert export(admin.url, out=tmp_path / "no" / "audit.jsonl") == 1
    assert "cannot write" in capsys.readouterr().err


def test_refusing_sidecar_exits_1_and_silent_one_3(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({}) as admin:
        assert export(admin.url, out=None) == 1
    assert export(admin.url, out=None) == 3
    assert capsys.readouterr().out == ""
