import pytest
from pydantic import ValidationError

from sidecar.model import tracing
from sidecar.model.tracing import Tracing
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(tracing)


def test_an_endpoint_is_an_address_of_the_web() -> None:
    assert Tracing(endpoint="http://127.0.0.1:4318").service == "understudy"
    with pytest.raises(ValidationError):
        Tracing(endpoint="127.0.0.1:4317")
