"""Keys of `champion_broken:`: a hard limit of the service."""

from typing import Any

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import Level, PositiveDuration

_LASTING: Any = "5m"  # a default is parsed as the file's text is


class Broken(Section):
    """What no champion may exceed, whatever it is compared with."""

    errors: Level = Field(
        description="The share of answers that fail (5xx, none at all, or no readable prediction) "
        "above which a champion is broken, such as 20%."
    )
    for_: PositiveDuration = Field(
        default=_LASTING,
        alias="for",
        description="How long it must have been broken before a fix may pass it without a "
        "comparison.",
    )
