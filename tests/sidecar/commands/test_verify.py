"""``understudy audit verify``, of a running sidecar, of a state folder and of an export."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import audit
from controller.opening import open_database
from sidecar.commands.verify import Asked, verify
from tests.controller.test_audit import ENTRY, unlock
from tests.sidecar.fake_admin import FakeAdmin

H = "ab" * 32
WHOLE = {"verified": True, "records": 5, "sequence": 5, "hash": H, "head": H}
VERIFY = "/v1/audit/verify"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with ten records, and the head of the eighth noted beside it."""
    connection = open_database(tmp_path / "understudy.db")
    for k in range(10):
        with connection:
            connection.execute("BEGIN")
            head = audit.append(connection, replace(ENTRY, because=f"reason {k}"))
        if k == 7:
            (tmp_path / "head").write_text(f"{head.sequence}:{head.hash}\n")
    with (tmp_path / "export").open("w") as file:
        file.writelines(line + "\n" for line in audit.export(connection))
    connection.close()
    return tmp_path


def check(**asked: Any) -> int:
    return verify(Asked(**asked))


def test_whole_chain_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({VERIFY: (200, WHOLE)}) as admin:
        assert check(admin=admin.url) == 0
    assert capsys.readouterr().out == f"whole: 5 records, head 5:{H}\n"


@pytest.mark.parametrize("answer", [{"verified": False}, {"verified": "yes"}, {}])
def test_anything_but_verified_exits_1(
    answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeAdmin({VERIFY: (200, answer)}) as admin:
        assert check(admin=admin.url) == 1
    assert capsys.readouterr().out.startswith("BROKEN")


def test_a_noted_head_is_sent_along(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {f"{VERIFY}?head={H}": (200, WHOLE), f"{VERIFY}?head=5%3A{H}": (200, WHOLE)}
    with FakeAdmin(answers) as admin:
        assert check(admin=admin.url, head=H) == 0
        assert check(admin=admin.url, head=f"5:{H}", as_json=True) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "the noted head among them" in first and json.loads(second) == WHOLE


def test_a_state_folder_its_file_and_an_export_are_checked_without_a_sidecar(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in (
        {"state": state},
        {"state": state / "understudy.db"},
        {"export": state / "export"},
    ):
        assert check(**asked) == 0
        assert check(**asked, head=str(state / "head")) == 0
    assert capsys.readouterr().out.count("whole: 10 records") == 6


def test_a_cut_tail_and_a_chain_written_anew_are_found_with_the_noted_head(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted = str(state / "head")
    lines = (state / "export").read_text().splitlines(keepends=True)
    (state / "cut").write_text("".join(lines[:7]))
    assert check(export=state / "cut") == 0
    assert check(export=state / "cut", head=noted) == 1
    connection = sqlite3.connect(state / "understudy.db", isolation_level=None)
    unlock(connection)
    connection.execute("DELETE FROM audit")
    for _ in range(12):
        audit.append(connection, replace(ENTRY, because="another story"))
    connection.close()
    assert check(state=state) == 0
    assert check(state=state, head=noted) == 1
    assert capsys.readouterr().out.count("BROKEN") == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"head": "h3"},
        {"head": "/nowhere"},
        {"state": Path("/nowhere")},
        {"export": Path("/nowhere")},
        {"state": Path("/a"), "export": Path("/b")},
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    asked: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(**asked) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err) > 10


def test_refusing_sidecar_exits_1_and_silent_one_3(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeAdmin({}) as admin:
        assert check(admin=admin.url) == 1
    assert check(admin=admin.url) == 3
    assert capsys.readouterr().out == ""
