"""``events:``: what it means, and where its secrets come from."""

import base64
from pathlib import Path

import pytest

from sidecar.eventspec import EventSpec, SecretError, from_text, to_text
from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

SECRET = "0123456789abcdef01234567"
SMALL = "name: ops, url: 'https://hooks.example.org/u', secret_env: HOOK"


def with_events(*sections: str) -> str:
    rows = ", ".join(f"{{{section}}}" for section in sections)
    return with_part("admin: {listen", f"events: [{rows}]\nadmin: {{listen")


def test_a_small_section_has_defaults(tmp_path: Path) -> None:
    specs = load(with_events(SMALL), tmp_path).settings.events
    (spec,) = specs
    assert spec == EventSpec(name="ops", url="https://hooks.example.org/u", secret_env="HOOK")
    assert spec.wants("promote") and from_text(to_text(specs)) == specs
    assert load(with_part("admin: {", "admin: {")).settings.events == ()


def test_only_the_types_that_are_asked_for_are_wanted(tmp_path: Path) -> None:
    (spec,) = load(with_events(SMALL + ", types: [promote, rollback]"), tmp_path).settings.events
    assert [spec.wants(action) for action in ("promote", "rollback", "hold")] == [True, True, False]


def test_files_are_relative_to_the_routing_file_and_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text(SECRET + "\n")
    text = with_events(SMALL.replace("secret_env: HOOK", "secret_file: hook"))
    (spec,) = load(text, tmp_path).settings.events
    assert spec.secrets() == (SECRET.encode(),)
    encoded = base64.b64encode(bytes(range(32))).decode()
    (tmp_path / "hook").write_text(f"whsec_{encoded}\n\n{SECRET}\n")
    assert spec.secrets() == (bytes(range(32)), SECRET.encode()), "the new one first"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no secret"),
        ("short", "fewer than 24 bytes"),
        ("whsec_!!", "not base64"),
        ("whsec_c2hvcnQ=", "fewer than 24 bytes"),
        ("\n".join([SECRET] * 3), "more than 2"),
    ],
)
def test_a_secret_that_cannot_sign_is_an_error_that_does_not_quote_it(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "hook").write_text(text)
    for spec, environment in (
        (EventSpec(name="a", url="http://h", secret_file=str(tmp_path / "hook")), {}),
        (EventSpec(name="a", url="http://h", secret_env="HOOK"), {"HOOK": text}),
    ):
        with pytest.raises(SecretError, match=said) as caught:
            spec.secrets(environment)
        assert not text or text not in str(caught.value)
    (tmp_path / "hook").unlink()
    gone = EventSpec(name="a", url="http://h", secret_file=str(tmp_path / "hook"))
    with pytest.raises(SecretError, match="No such file"):
        gone.secrets()
    assert EventSpec(name="a", url="http://h").secrets({}) == ()


def test_an_address_may_be_a_secret_of_the_environment() -> None:
    spec = EventSpec(name="chat", url_env="CHAT_URL", format="slack")
    assert spec.address({"CHAT_URL": "https://chat.example.org/T/B/x"}).endswith("/x")
    for given in ({}, {"CHAT_URL": "file:///etc/passwd"}):
        with pytest.raises(SecretError, match="CHAT_URL"):
            spec.address(given)


@pytest.mark.parametrize(
    ("section", "key", "expected"),
    [
        ("name: ops, secret_env: HOOK", "events[0]", "either `url` or `url_env`"),
        (SMALL + ", url_env: URL", "events[0]", "either `url` or `url_env`"),
        (SMALL + ", secret_file: f", "events[0]", "either `secret_env` or `secret_file`"),
        (SMALL.replace(", secret_env: HOOK", ""), "events[0]", "`secret_env` or `secret_file`"),
        (SMALL.replace("secret_env: HOOK", "secret_file: f"), "events[0].secret_file", "a secret"),
        (SMALL.replace("https", "ftp"), "events[0].url", "http"),
        (SMALL.replace("hooks", "user:pw@hooks"), "events[0].url", "without credentials"),
        (SMALL + ", types: [Promote]", "events[0].types[0]", "an action"),
        (SMALL + ", format: teams", "events[0].format", "slack"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(
    tmp_path: Path, section: str, key: str, expected: str
) -> None:
    problems = problems_of_text(with_events(section), tmp_path)
    assert any(one.path == key and expected in one.expected for one in problems), problems


def test_two_destinations_have_two_names(tmp_path: Path) -> None:
    problem = only_problem(with_events(SMALL, SMALL), tmp_path)
    assert problem.path == "events[1].name"


def test_a_chat_needs_no_signature(tmp_path: Path) -> None:
    section = "name: chat, url_env: CHAT_URL, format: slack"
    assert load(with_events(section), tmp_path).settings.events[0].secrets({}) == ()
