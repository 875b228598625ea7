import socket

import pytest

from sidecar.adminport import AdminRefused, AdminUnreachable, get, post
from tests.sidecar.fake_admin import FakeAdmin


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_object_at_a_path_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # must not be asked
    with FakeAdmin({"/v1/status": (200, {"a": 1})}) as admin:
        assert get(admin.url, "/v1/status") == {"a": 1}


def test_nothing_there_says_what_to_do_next() -> None:
    with pytest.raises(AdminUnreachable, match="Is `understudy run` running"):
        get(f"http://127.0.0.1:{free_port()}", "/v1/status")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff"])
def test_something_else_there_is_not_taken_for_the_admin_port(body: bytes) -> None:
    with FakeAdmin({"/x": (200, body)}) as admin, pytest.raises(AdminUnreachable, match="admin"):
        get(admin.url, "/x")


def test_error_status_is_quoted() -> None:
    with FakeAdmin({}) as admin, pytest.raises(AdminRefused, match=r"404: .*not found"):
        get(admin.url, "/v1/nothing")


@pytest.mark.parametrize("url", ["8081", "https://a:1", "http://a", "http://a:x", "http://a:1/v1"])
def test_address_that_is_no_admin_address_is_refused(url: str) -> None:
    with pytest.raises(AdminUnreachable, match="--admin must be"):
        get(url, "/v1/status")


def test_a_refusal_says_what_to_do_next() -> None:
    refusal = {"error": "a token is needed", "remedy": "send one"}
    with FakeAdmin({"/x": (401, refusal)}) as admin:
        with pytest.raises(AdminRefused, match="a token is needed; send one") as caught:
            get(admin.url, "/x")
    assert caught.value.status == 401


def test_content_is_posted_as_json_with_the_token() -> None:
    with FakeAdmin({"/x": (200, {"done": True})}) as admin:
        assert post(admin.url, "/x", {"a": 1}, "s3cret") == {"done": True}
    headers, content = admin.sent[0]
    assert (headers["content-type"], content) == ("application/json", {"a": 1})
    assert headers["authorization"] == "Bearer s3cret"


def test_questions_carry_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERSTUDY_TOKEN", raising=False)
    with FakeAdmin({"/x": (200, {})}) as admin:
        get(admin.url, "/x")
        monkeypatch.setenv("UNDERSTUDY_TOKEN", "s3cret")
        get(admin.url, "/x")
    assert [said.get("authorization") for said in admin.headers] == [None, "Bearer s3cret"]
