"""The guard: who may ask under which name, and what no browser can be talked into."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sidecar.guard import Access, Refusal, check_sender, host_name, reply

LOCAL = Access(bound_host="127.0.0.1")
WIDE = Access(bound_host="0.0.0.0", names=frozenset({"understudy.example.org"}))


def ask(method: str = "GET", path: str = "/v1/status", **headers: str) -> web.Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, path, headers={"Host": "localhost:8081"} | named)


def status(request: web.Request, access: Access = LOCAL) -> int:
    try:
        check_sender(request, access)
    except Refusal as refusal:
        assert refusal.error and refusal.remedy
        return refusal.status
    return 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081", "127.0.0.1"]
)
def test_loopback_names_are_known(host: str) -> None:
    assert status(ask(Host=host)) == 200


@pytest.mark.parametrize(
    "host", ["rebind.evil.test", "localhost.evil.test:8081", "10.0.0.5:8081", "", "evil@localhost"]
)
def test_foreign_host_is_refused(host: str) -> None:
    assert status(ask(Host=host)) == 421


def test_wildcard_address_is_known_by_any_literal_address_and_by_declared_names() -> None:
    """Rebinding needs a name; probes and scrapers come by address."""
    assert status(ask(Host="10.0.0.5:8081"), WIDE) == 200
    assert status(ask(Host="[fd00::5]:8081"), WIDE) == 200
    assert status(ask(Host="Understudy.example.org"), WIDE) == 200
    assert status(ask(Host="rebind.evil.test"), WIDE) == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost:8081.evil.test"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_post_from_another_site_is_refused(headers: dict[str, str]) -> None:
    assert status(ask("POST", "/-/reload", **headers)) == 403


def test_post_from_the_same_site_or_from_no_site_passes() -> None:
    assert status(ask("POST", "/-/reload", Origin="http://localhost:8081")) == 200
    assert status(ask("POST", "/-/reload", Sec_Fetch_Site="same-origin")) == 200
    assert status(ask("POST", "/-/reload")) == 200


def test_host_name_drops_port_and_brackets() -> None:
    assert [host_name(text) for text in ("A:1", "[::1]:8081", "::1", "", "[::1")] == [
        *("a", "::1", "::1", "", "::1"),
    ]


def test_markup_is_escaped_in_every_answer() -> None:
    response = reply({"name": '<img src=x onerror="alert(1)">&'})
    assert response.text is not None
    assert not set("<>&") & set(response.text)
