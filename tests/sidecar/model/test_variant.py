import pytest
from pydantic import ValidationError

from sidecar.model import variant
from sidecar.model.variant import VariantSection
from tests.sidecar.model.described import assert_described


def test_every_key_is_described() -> None:
    assert_described(variant)


def test_a_variant_needs_a_name_and_an_address() -> None:
    with pytest.raises(ValidationError, match="url"):
        VariantSection.model_validate({"name": "fraud-6"})
