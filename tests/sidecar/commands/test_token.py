"""``understudy token new``: what it prints is what the sidecar takes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands.token import PREFIX, Asked, new
from sidecar.tokenfile import digest_of, read_tokens


def test_the_line_is_good_for_the_token_and_does_not_hold_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Asked(
        name="ci",
        scopes="read, operate",
        expires="2027-06-30",
        labels_per_second=50.0,
        as_json=True,
    )
    code = new(asked)
    made = json.loads(capsys.readouterr().out)
    assert code == 0 and made["token"].startswith(PREFIX) and len(made["token"]) > 50
    (tmp_path / "t").write_text("tokens:\n" + made["line"])
    (key,) = read_tokens(tmp_path / "t")
    assert (key.name, key.scopes) == ("ci", {"read", "operate"})
    assert key.digest == digest_of(made["token"]) and key.labels_per_second == 50.0
    assert made["token"] not in made["line"]


def test_no_two_tokens_are_alike() -> None:
    asked = ["token", "new", "--name", "a", "--scopes", "read"]
    one, other = (CliRunner().invoke(app, asked).output.split()[4] for _ in range(2))
    assert one.startswith(PREFIX) and other.startswith(PREFIX) and one != other


@pytest.mark.parametrize(
    ("name", "scopes", "expires", "said"),
    [
        ("a", "", None, "--scopes"),
        ("a", "read,root", None, "--scopes"),
        ("a b", "read", None, "name"),
        ("controller", "read", None, "a name of ours"),
        ("a", "read", "soon", "expires"),
        ('a"', "read", None, "the line"),
    ],
)
def test_what_the_file_would_refuse_is_not_made(
    capsys: pytest.CaptureFixture[str], name: str, scopes: str, expires: str | None, said: str
) -> None:
    code = new(Asked(name=name, scopes=scopes, expires=expires))
    out, err = capsys.readouterr()
    assert code == 2 and said in err and out == ""


def test_a_file_of_tokens_gets_each_line_and_a_file_of_its_own_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / "tokens.yaml"
    for name in ("release", "risk"):
        out = tmp_path / f"{name}.token"
        assert new(Asked(name=name, scopes="approve", into=tokens, out=out)) == 0
        assert PREFIX not in capsys.readouterr().out
        assert out.stat().st_mode & 0o777 == 0o600
        assert read_tokens(tokens)[-1].digest == digest_of(out.read_text().strip())
    assert [key.name for key in read_tokens(tokens)] == ["release", "risk"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "release.token", "risk.token", "tokens.yaml",
    ]  # fmt: skip


def test_a_token_in_a_file_is_not_shown_as_json_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new(Asked(name="a", scopes="read", out=tmp_path / "a.token", as_json=True))
    assert json.loads(capsys.readouterr().out).keys() == {"name", "line"}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("tokens: []\n", "nothing was written"),  # a line cannot stand behind this
        ("listen: 127.0.0.1:8080\n", "nothing was written"),
        ("tokens:\n  - {name: a, sha256: " + "0" * 64 + ", scopes: [read]}\n", "different things"),
    ],
)
def test_a_file_that_the_line_would_spoil_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str, said: str
) -> None:
    tokens, out = tmp_path / "tokens.yaml", tmp_path / "a.token"
    tokens.write_text(there)
    assert new(Asked(name="a", scopes="approve", into=tokens, out=out)) == 2
    assert said in capsys.readouterr().err
    assert tokens.read_text() == there and not out.exists()


def test_no_token_is_written_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, out = tmp_path / "tokens.yaml", tmp_path / "a.token"
    out.write_text("the one in use")
    assert new(Asked(name="a", scopes="read", into=tokens, out=out)) == 2
    assert "File exists" in capsys.readouterr().err
    assert out.read_text() == "the one in use" and not tokens.exists()
