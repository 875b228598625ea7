"""Keys of `dashboard:`: what people may see of requests and answers."""

from typing import Literal

from pydantic import Field

from sidecar.model.section import Section


class Dashboard(Section):
    """What the dashboard may show of requests and answers."""

    show: Literal["nothing", "predictions"] = Field(
        default="nothing",
        description="Of the pairs that disagree most: `predictions` shows what both variants "
        "predicted, cut to 200 characters, with the request id; `nothing` does not even keep it. "
        "Requests and whole answers are never shown.",
    )
