"""Keys of ``events:``, one by one."""

import re

import pytest

from sidecar.model.event import ACTION, HOOK_URL, VARIABLE, EventSection


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://hooks.example.org/understudy", True),
        ("http://127.0.0.1:9000/x?y=1", True),
        ("https://hooks.example.org", True),
        ("https://user:secret@hooks.example.org/", False),
        ("file:///etc/passwd", False),
        ("unix:///run/x.sock", False),
        ("https:///x", False),
        ("https://hooks.example.org/a b", False),
        ("", False),
    ],
)
def test_an_address_is_http_with_a_host_and_without_credentials(url: str, is_one: bool) -> None:
    assert bool(re.fullmatch(HOOK_URL, url)) is is_one


def test_names_of_variables_and_actions() -> None:
    assert re.fullmatch(VARIABLE, "HOOK_SECRET") and not re.fullmatch(VARIABLE, "a b")
    assert re.fullmatch(ACTION, "promote") and not re.fullmatch(ACTION, "Promote!")


def test_what_is_left_out_has_a_default() -> None:
    section = EventSection.model_validate({"name": "ops", "url": "https://h.example.org/"})
    assert (section.types, section.format, section.retry_for) == ([], "cloudevents", 86_400.0)
