import pytest
from pydantic import ValidationError

from sidecar.model.section import Section


class Box(Section):
    """A section."""

    size: int = 1


def test_a_section_takes_no_unknown_key_no_other_type_and_no_change() -> None:
    with pytest.raises(ValidationError):
        Box.model_validate({"sise": 1})
    with pytest.raises(ValidationError):
        Box.model_validate({"size": "1"})
    with pytest.raises(ValidationError, match="frozen"):
        Box().size = 2  # type: ignore[misc]  # the point of the test
