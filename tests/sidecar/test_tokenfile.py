"""The file of tokens: whole or refused, and a fault never quotes a secret."""

import hashlib
import math
from pathlib import Path
from typing import get_args

import pytest

from sidecar.tokenfile import Key, Scope, TokenFileError, digest_of, read_tokens
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
        ("tokens: [{name: a, sha256: " + HEX + ", scopes: [root]}]", "tokens[0].scopes"),
        ("tokens: [{name: a, sha256: secret, scopes: [label]}]", "tokens[0].sha256"),
        ("tokens: [{name: 'a b', sha256: " + HEX + ", scopes: [label]}]", "tokens[0].name"),
        ("tokens: [{name: a, token: secret, scopes: [label]}]", "unknown field"),
        (GOOD.replace("5000", "0"), "labels_per_second"),
        (GOOD.replace("5000", "many"), "labels_per_second"),
        (GOOD.replace("name: old", "name: billing"), "two tokens are called 'billing'"),
        (GOOD.replace("AB" * 32, HEX), "one token is there twice"),
        (GOOD.replace("name: old", "name: Controller"), "a name of ours"),
        (GOOD.replace("5000", "5000, expires: soon"), "`expires` of 'billing'"),
        (GOOD.replace("5000", "5000, expires: 9999-99-99"), "`expires` of 'billing'"),
        (GOOD.replace("name: old", "name: old, name: x"), "name"),
    ],
)
def test_a_file_at_fault_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TokenFileError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value) and "tokens.yaml" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_two_tokens_of_one_name_are_a_rotation_and_three_are_none(tmp_path: Path) -> None:
    rows = [
        f"  - {{name: ci, sha256: {digest * 32}, scopes: [operate, read]}}\n"
        for digest in ("01", "02", "03")
    ]
    first, second = read(tmp_path, "tokens:\n" + "".join(rows[:2]))
    assert first.name == second.name == "ci" and first.digest != second.digest
    with pytest.raises(TokenFileError, match="more than two tokens are called 'ci'"):
        read(tmp_path, "tokens:\n" + "".join(rows))


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("2027-06-30", 1814313600.0),
        ('"2027-06-30T12:00Z"', 1814356800.0),
        ("2027-06-30T12:00+02:00", 1814349600.0),
    ],
)
def test_a_token_may_expire_and_times_without_a_zone_are_utc(
    tmp_path: Path, text: str, at_s: float
) -> None:
    billing, old = read(tmp_path, GOOD.replace("5000", f"5000, expires: {text}"))
    assert (billing.expires_at_s, old.expires_at_s) == (at_s, math.inf)


def test_who_may_act_may_see_on_what_and_nothing_else_comes_along() -> None:
    def rights(*scopes: Scope) -> set[str]:
        key = Key("k", b"", frozenset(scopes))
        return {scope for scope in get_args(Scope) if key.may(scope)}

    assert rights("label") == {"label"}
    assert rights("read") == {"read"}
    assert rights("operate") == {"operate", "read"}
    assert rights("approve") == {"approve", "read"}
    assert rights("admin") == {"admin", "read"}


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
