"""``understudy token new``: what it prints is what the sidecar takes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.commands.token import PREFIX, new
from sidecar.tokenfile import digest_of, read_tokens


def test_the_line_is_good_for_the_token_and_does_not_hold_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = new(
        name="ci",
        scopes="read, operate",
        expires="2027-06-30",
        labels_per_second=50.0,
        as_json=True,
    )
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
    code = new(name=name, scopes=scopes, expires=expires, labels_per_second=None, as_json=False)
    out, err = capsys.readouterr()
    assert code == 2 and said in err and out == ""
