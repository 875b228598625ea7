"""The file of tokens: whole or refused, and a fault never quotes a secret."""

import hashlib
from pathlib import Path

import pytest

from sidecar.tokenfile import Key, TokenFileError, digest_of, read_tokens
from tests.sidecar.routing_texts import load, only_problem, with_part

HEX = hashlib.sha256(b"secret").hexdigest()
GOOD = f"""tokens:
  - {{name: billing, sha256: {HEX}, scopes: [label], labels_per_second: 5000}}
  - {{name: old, sha256: {"AB" * 32}, scopes: [label]}}
"""


def read(folder: Path, text: str) -> tuple[Key, ...]:
    (folder / "tokens.yaml").write_text(text)
    return read_tokens(folder / "tokens.yaml")


def test_tokens_come_with_rights_and_rates(tmp_path: Path) -> None:
    billing, old = read(tmp_path, GOOD)
    assert billing == Key("billing", digest_of("secret"), frozenset({"label"}), 5000.0)
    assert (old.digest, old.labels_per_second) == (b"\xab" * 32, None)
    assert HEX not in repr(billing) and str(billing.digest) not in repr(billing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("nonsense", "object"),
        ("tokens: {}", "array"),
        ("tokens: [{name: a, sha256: " + HEX + "}]", "`scopes`"),
        ("tokens: [{name: a, sha256: " + HEX + ", scopes: []}]", "tokens[0].scopes"),
        ("tokens: [{name: a, sha256: " + HEX + ", scopes: [admin]}]", "tokens[0].scopes"),
        ("tokens: [{name: a, sha256: secret, scopes: [label]}]", "tokens[0].sha256"),
        ("tokens: [{name: 'a b', sha256: " + HEX + ", scopes: [label]}]", "tokens[0].name"),
        ("tokens: [{name: a, token: secret, scopes: [label]}]", "unknown field"),
        (GOOD.replace("5000", "0"), "labels_per_second"),
        (GOOD.replace("5000", "many"), "labels_per_second"),
        (GOOD.replace("name: old", "name: billing"), "two tokens are called 'billing'"),
        (GOOD.replace("name: old", "name: old, name: x"), "name"),
    ],
)
def test_a_file_at_fault_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TokenFileError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value) and "tokens.yaml" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match=r"none\.yaml: No such file"):
        read_tokens(tmp_path / "none.yaml")


def test_the_routing_file_names_it_and_check_reads_it(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text(GOOD)
    text = with_part("admin: {", "admin: {tokens: tokens.yaml, ")
    assert load(text, tmp_path).settings.tokens == tmp_path / "tokens.yaml"
    (tmp_path / "tokens.yaml").write_text("tokens: [{}]")
    problem = only_problem(text, tmp_path)
    assert problem.path == "admin.tokens" and "`name`" in problem.found
