import pytest
from pydantic import ValidationError

from sidecar.model import route
from sidecar.model.route import RouteSection
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(route)


def test_a_route_needs_its_match() -> None:
    with pytest.raises(ValidationError, match="match"):
        RouteSection.model_validate({"name": "fraud"})
