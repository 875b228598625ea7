import pytest
from pydantic import ValidationError

from sidecar.model import label
from sidecar.model.label import Labels
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(label)


def test_a_key_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="windows"):
        Labels.model_validate({"windows": "14d"})
