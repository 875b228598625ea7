"""What every mapping of the routing file is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the file. Unknown keys are errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)
