import doctest
import json
from pathlib import Path

import pytest

from sidecar.commands import check as module
from sidecar.commands.check import check
from tests.sidecar.routing_texts import SHIPPED, WHOLE


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_file_passes_and_its_routes_are_shown(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(path, as_json=False) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"ok: {path}") and "champion" in out
    assert err == ""


def test_json_summary_names_routes_variants_and_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE)
    assert check(path, as_json=True) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["ok"] is True
    assert summary["listen"] == "127.0.0.1:8080"
    assert summary["state"] == str(tmp_path / "understudy-state")
    assert summary["routes"] == [
        {
            "name": "fraud",
            "match": "/v1/models/fraud:predict",
            "champion": "fraud-6",
            "challengers": ["fraud-7"],
            "stages": ["functional", "shadow 100%", "canary 1% 5% 25% 50%", "production"],
            "metrics": {
                "accuracy": "objective",
                "errors": "guardrail",
                "latency": "guardrail",
                "agrees": "proxy",
            },
        }
    ]


def test_refused_file_has_every_error_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE.replace("alpha: 5%", "alpha: 5").replace("watch: 24h", "watch: 24"))
    assert check(path, as_json=False) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[1] for line in err.splitlines()[:2]] == ["18", "23"]
    assert err.splitlines()[2] == f"2 errors in {path}"


def test_refused_file_as_json_has_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE.replace("alpha: 5%", "alpha: 5"))
    assert check(path, as_json=True) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    [error] = answer["errors"]
    assert (error["file"], error["line"], error["column"]) == (str(path), 18, 14)
    assert (error["path"], error["found"]) == ("routes[0].rollout.alpha", "5")
    assert "percent" in error["expected"]


def test_file_without_end_mark_is_sound_and_gets_one_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE.removesuffix("...\n"))
    assert check(path, as_json=False) == 0
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if "hint" in line] == [f"hint: {module.END_HINT}"]
    assert err == ""
    assert check(path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["hints"] == [module.END_HINT]


def test_file_with_end_mark_gets_no_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE)
    assert check(path, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["hints"] == []
    assert check(path, as_json=False) == 0
    assert "hint" not in capsys.readouterr().out


def test_host_and_header_are_part_of_the_shown_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.yaml"
    more = 'predict", host: a.example, header: {name: x-t, value: "[red]"}}'
    path.write_text(WHOLE.replace('predict"}', more))
    assert check(path, as_json=True) == 0
    [route] = json.loads(capsys.readouterr().out)["routes"]
    assert route["match"] == "/v1/models/fraud:predict host=a.example x-t=[red]"
    assert check(path, as_json=False) == 0
    assert "[red]" in "".join(capsys.readouterr().out.split())


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0
