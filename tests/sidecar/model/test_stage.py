import pytest
from pydantic import ValidationError

from sidecar.model import stage
from sidecar.model.stage import Canary
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(stage)


def test_a_ladder_has_a_rung() -> None:
    with pytest.raises(ValidationError, match="shares"):
        Canary.model_validate({"shares": []})
