"""Keys of `cold_start:`: what a route's first version must reach by itself."""

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import (
    AtLeast,
    Duration,
    Limit,
    Name,
    PositiveDuration,
    Quantile,
    Timeout,
    default,
)


class AbsoluteCheck(Section):
    """One metric of the route, held against a number instead of a champion."""

    at_least: Limit | None = Field(
        default=None, description="correct, mean: what it must reach, such as 90%."
    )
    at_most: Limit | None = Field(
        default=None,
        description="error, latency, mean, loss: what it must stay below, such as 2% or 300ms.",
    )
    quantile: Quantile | None = Field(
        default=None,
        description="latency: which quantile is meant; without it the metric's own.",
    )


class ColdStart(Section):
    """Declared numbers for the one case in which there is nothing to compare with."""

    checks: dict[Name, AbsoluteCheck] = Field(
        min_length=1,
        max_length=32,
        description="By the name of a metric of the route: {errors: {at_most: 2%}}.",
        json_schema_extra={"additionalProperties": False},
    )
    at_least: AtLeast = default("1000", "Answers before the first version may become champion.")
    for_at_least: Duration = default("0s", "Time before it may.")
    at_most: PositiveDuration = default(
        "7d",
        "How long it may take.",
    )
    on_timeout: Timeout = Field(
        default="hold",
        description="What happens then. hold: it goes on serving, because nobody else can, and "
        "status says so. rollback: the route is closed, and the next challenger is tried as the "
        "first version.",
    )
