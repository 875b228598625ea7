"""Who may do what, and in whose name."""

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from sidecar.guard import Refusal
from sidecar.keyring import Keyring
from sidecar.permit import NEEDS, actor, binding_fault, check_scope, needed
from sidecar.tokenfile import Key


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        ("Bearer  secret ", 200),
        ("Bearer wrong", 401),
        ("Bearer ", 401),
        ("secret", 401),
        ("Basic secret", 401),
        ("Bearer secre", 401),
        ("Bearer secrét", 401),
        ("", 401),
    ],
)
def test_token_is_the_whole_secret_or_nothing(given: str, expected: int) -> None:
    request = make_mocked_request("POST", "/", headers={"Authorization": given})
    try:
        check_scope(request, Keyring(token="secret"), "operate")
    except Refusal as refusal:
        assert refusal.headers["WWW-Authenticate"] == "Bearer"
        assert refusal.status == expected
    else:
        assert expected == 200


@pytest.mark.parametrize("scope", ["approve", "operate"])
def test_where_nobody_has_a_right_the_answer_says_how_to_give_it(scope: str) -> None:
    request = make_mocked_request("POST", "/")
    with pytest.raises(Refusal) as caught:
        check_scope(request, Keyring(), scope)  # type: ignore[arg-type] # one of them
    assert caught.value.status == 403
    assert f"--scopes {scope}" in caught.value.remedy
    assert ("UNDERSTUDY_TOKEN" in caught.value.remedy) is (scope == "operate")


def test_an_address_that_nobody_listed_is_shut() -> None:
    assert needed(make_mocked_request("GET", "/new")) == "read"
    assert needed(make_mocked_request("HEAD", "/new")) == "read"
    assert needed(make_mocked_request("POST", "/new")) == "admin"
    assert all(address.split()[0] in ("GET", "POST") for address in NEEDS)


def test_a_token_of_the_file_acts_in_its_own_name_whatever_its_holder_says(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("tokens: []")
    ada, shared = Key("ada", b"", frozenset()), Key("X", b"", frozenset(), is_shared=True)
    with_file, without = Keyring(tmp_path / "t"), Keyring()
    assert actor(ada, with_file, "bob") == actor(ada, with_file, "") == "ada"
    assert actor(shared, without, "bob") == "bob"
    assert actor(shared, with_file, "ada") == "ada (UNDERSTUDY_TOKEN)"
    with pytest.raises(Refusal):
        actor(shared, without, "CONTROLLER")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "box.example.org", ""])
def test_the_port_is_opened_to_others_with_a_token_only(host: str) -> None:
    said = binding_fault(host, None, {})
    assert "understudy token new" in said and "UNDERSTUDY_TOKEN" in said and "127.0.0.1" in said
    assert binding_fault(host, None, {"UNDERSTUDY_LABEL_TOKEN": "x", "UNDERSTUDY_TOKEN": ""})
    assert binding_fault(host, None, {"UNDERSTUDY_TOKEN": "x"}) == ""
    assert binding_fault(host, Path("tokens.yaml"), {}) == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_needs_none(host: str) -> None:
    assert binding_fault(host, None, {}) == ""
