import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from tests.sidecar.fake_admin import FakeAdmin
from tests.sidecar.routing_texts import ROOT, WHOLE

ACTS = ["hold", "resume", "rollback", "approve", "promote"]
COMMANDS = ["run", "check", "status", "explain", "report", *ACTS, "demo", "audit"]
HEAVY = ["numpy", "pydantic", "scipy", "aiohttp", "yaml", "sqlite3", "sklearn"]


def understudy(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command() -> None:
    code, out, _ = understudy("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)


def test_version_is_the_packages() -> None:
    version = importlib.metadata.version("understudy")
    assert understudy("--version") == (0, f"understudy {version}\n", "")


def test_command_line_starts_without_what_only_run_needs() -> None:
    code = f"import sys, sidecar.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout == "[]\n"


def test_main_is_the_installed_command() -> None:
    out = subprocess.run(
        [sys.executable, "-c", "from sidecar.cli import main; main()", "check", "nowhere.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 2
    assert out.stderr.startswith("nowhere.yaml: file: found an unreadable file")


def test_check_exits_0_for_a_sound_file_and_2_for_a_refused_one(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE)
    assert understudy("check", str(path))[0] == 0
    path.write_text(WHOLE.replace("alpha", "alhpa"))
    code, out, err = understudy("check", str(path))
    assert (code, out) == (2, "")
    assert f"{path}:18:7: routes[0].rollout.alhpa: found unknown key" in err


def test_check_without_a_file_is_wrong_usage() -> None:
    assert understudy("check")[0] == 2


@pytest.mark.parametrize("act", ACTS)
def test_a_persons_act_takes_no_token_as_an_argument(act: str) -> None:
    code, out, _ = understudy(act, "--help")
    assert code == 0
    assert "--token-file" in out and "--token " not in out
    assert understudy(act, "digits")[0] == 2  # without a reason


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell: str) -> None:
    words = {"bash": ["COMP_WORDS", "COMP_CWORD"]}.get(shell, ["_TYPER_COMPLETE_ARGS"])
    environment = os.environ | {
        "_UNDERSTUDY_COMPLETE": f"complete_{shell}",
        **dict(zip(words, ["understudy ex", "1"], strict=False)),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "ex",
    }
    code = "import sys; sys.argv = ['understudy']; from sidecar.cli import main; main()"
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "explain" in out.stdout and "export" in out.stdout, out.stderr


@pytest.mark.parametrize("command", [["status"], ["audit", "verify"], ["audit", "export"]])
def test_exit_code_is_3_when_nothing_answers(command: list[str]) -> None:
    code, out, err = understudy(*command, "--admin", "http://127.0.0.1:1")
    assert (code, out) == (3, "")
    assert "nothing answers" in err


def test_status_and_audit_reach_the_admin_port_that_is_named() -> None:
    answers = {
        "/v1/status": (200, {"version": "x", "routes": []}),
        "/v1/audit/verify": (200, {"verified": True, "records": 0, "head": ""}),
    }
    with FakeAdmin(answers) as admin:
        code, out, _ = understudy("status", "--json", "--admin", admin.url)
        assert (code, json.loads(out)["version"]) == (0, "x")
        code, out, _ = understudy("audit", "verify", "--json", "--admin", admin.url)
        assert (code, json.loads(out)["verified"]) == (0, True)


def test_run_refuses_a_bad_file_before_it_starts_anything(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(WHOLE.replace("alpha: 5%", "alpha: 5"))
    code, _, err = understudy("run", str(path))
    assert code == 2
    assert "routes[0].rollout.alpha" in err


def test_demo_refuses_a_scenario_that_it_does_not_know() -> None:
    assert understudy("demo", "--scenario", "unknown")[0] == 2
