from pathlib import Path
from typing import Any

import pytest

from sidecar.commands.report import report
from tests.sidecar.fake_admin import FakeAdmin
from tests.sidecar.report.cases import RECORDS, STATUS, VERIFIED

ANSWERS: dict[str, tuple[int, Any]] = {
    "/v1/status": (200, STATUS),
    "/v1/audit/verify": (200, VERIFIED),
    "/v1/audit?after=0&limit=500": (200, {"records": RECORDS}),
    "/v1/audit?after=4&limit=500": (200, {"records": []}),
}


def made(route: str = "digits", **more: Any) -> int:
    said: dict[str, Any] = {"challenger": None, "form": None, "out": None}
    with FakeAdmin(ANSWERS) as admin:
        return report(route, admin.url, **(said | more))


@pytest.mark.parametrize(
    ("name", "form", "begins"),
    [
        ("case.html", None, "<!doctype html>"),
        ("case.md", None, "# digits"),
        ("case.txt", "markdown", "# digits"),
        ("case.md", "html", "<!doctype html>"),
    ],
)
def test_form_is_told_by_the_name_or_by_the_option(
    tmp_path: Path, name: str, form: str | None, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(out=tmp_path / name, form=form) == 0
    assert (tmp_path / name).read_text().startswith(begins)
    out, err = capsys.readouterr()
    assert out == "" and "promoted" in err


def test_without_a_file_it_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert made() == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("route", "more", "code", "said"),
    [
        ("digits", {"form": "pdf"}, 2, "html or markdown"),
        ("dogs", {}, 1, "the routes are: digits"),
        ("digits", {"challenger": "x"}, 1, "it had: digits-2"),
        ("digits", {"out": Path("/nowhere/at/all.html")}, 1, "cannot write"),
    ],
)
def test_what_cannot_be_done_says_why(
    route: str, more: dict[str, Any], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made(route, **more) == code
    assert said in capsys.readouterr().err


def test_silence_has_its_code() -> None:
    assert report("x", "http://127.0.0.1:1", challenger=None, form=None, out=None) == 3
