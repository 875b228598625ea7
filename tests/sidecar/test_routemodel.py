import pytest
from pydantic import ValidationError

from sidecar import routemodel
from sidecar.model.section import Section
from sidecar.routemodel import RoutingFile
from tests.sidecar.model.described import assert_described

SMALLEST = {
    "routes": [
        {
            "name": "fraud",
            "match": {"path": "/*"},
            "champion": {"name": "fraud-6", "url": "http://127.0.0.1:9001"},
        }
    ]
}


def test_smallest_file_has_the_documented_defaults() -> None:
    file = RoutingFile.model_validate(SMALLEST)
    route = file.routes[0]
    assert file.listen == ("127.0.0.1", 8080)
    assert file.admin.listen == ("127.0.0.1", 8081)
    assert (file.state, file.workers, file.log.level) == ("./understudy-state", 1, "info")
    assert (route.protocol, route.response_header, route.challengers) == ("json", False, [])
    assert (route.champion.timeouts.connect, route.champion.timeouts.response) == (2.0, 30.0)
    assert (route.limits.body, route.limits.replay) == (64 << 20, 1 << 20)
    assert (route.limits.capture, route.limits.eject_after) == (64 << 10, 5)


def test_every_key_is_described() -> None:
    assert_described(routemodel)


def test_sections_are_frozen() -> None:
    file = RoutingFile.model_validate(SMALLEST)
    with pytest.raises(ValidationError, match="frozen"):
        file.state = "elsewhere"  # type: ignore[misc]  # the point of the test
    assert issubclass(RoutingFile, Section)


@pytest.mark.parametrize("listen", [8080, True, 1.5, None, b"a:1"])
def test_values_that_are_no_text_are_refused(listen: object) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        RoutingFile.model_validate({**SMALLEST, "listen": listen})
