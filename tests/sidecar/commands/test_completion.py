import pytest

from sidecar.commands.completion import routes
from tests.sidecar.fake_admin import FakeAdmin

STATUS = {"routes": [{"name": "digits"}, {"name": "dogs"}, {"name": "cats"}]}


@pytest.mark.parametrize(
    ("typed", "found"), [("", ["cats", "digits", "dogs"]), ("di", ["digits"]), ("x", [])]
)
def test_routes_that_begin_alike_are_found(typed: str, found: list[str]) -> None:
    with FakeAdmin({"/v1/status": (200, STATUS)}) as admin:
        assert routes(typed, {"UNDERSTUDY_ADMIN": admin.url}) == found


def test_nothing_is_found_where_nothing_answers() -> None:
    assert routes("", {"UNDERSTUDY_ADMIN": "http://127.0.0.1:1"}) == []
    with FakeAdmin({}) as admin:
        assert routes("", {"UNDERSTUDY_ADMIN": admin.url}) == []
