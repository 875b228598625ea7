"""Keys of the functional stage: does the challenger answer as declared?"""

from typing import Literal

from pydantic import Field

from sidecar.model.gated import Gated
from sidecar.model.section import Section
from sidecar.routetype import (
    BatchSize,
    FilePath,
    Flag,
    PositiveDuration,
    ReadyPath,
    Requests,
    default,
)


class LightLatency(Section):
    """How fast answers must be when one request is asked after the other."""

    p50: PositiveDuration | None = Field(default=None, description="Half of them, at most so long.")
    p95: PositiveDuration | None = Field(default=None, description="95 % of them.")
    p99: PositiveDuration | None = Field(default=None, description="99 % of them.")
    requests: Requests = default("50", "How many are asked: the samples, over and over.")


class Functional(Gated):
    """Before any traffic: is the challenger there, and does it answer as declared?"""

    samples: FilePath | None = Field(
        default=None,
        description="JSON Lines, one request body a line, each to be answered with 200. Relative "
        "to the routing file.",
    )
    ready: ReadyPath | None = Field(
        default=None,
        description="GET of this path must answer 200. Without it the protocol's own path is "
        "asked; protocols that have none ask only for an open port.",
    )
    request_schema: FilePath | None = Field(
        default=None, description="A JSON Schema that every sample must fit."
    )
    response_schema: FilePath | None = Field(
        default=None, description="A JSON Schema that every answer to a sample must fit."
    )
    metadata: Flag = default(
        "false",
        "open-inference-v2: GET /v2/models/NAME must declare inputs and outputs, which samples and "
        "answers must fit.",
    )
    batch: list[BatchSize] = Field(
        default=[],
        max_length=8,
        description="Sizes of batches that are made of the first sample, such as [1, 8]; each must "
        "be answered with as many predictions.",
    )
    bad_input: Flag = default(
        "false",
        "Whether no JSON, and JSON that the protocol does not allow, must be answered with 4xx, "
        "and samples still with 200 afterwards.",
    )
    latency: LightLatency | None = Field(
        default=None,
        description="How fast answers must be under light load: {p99: 200ms, requests: 50}.",
    )
    deterministic: Flag = default(
        "false", "Whether the same sample twice must have the same prediction."
    )
    at_most: PositiveDuration = default("10m", "How long it may take to pass.")
    on_timeout: Literal["hold", "rollback"] = Field(
        default="rollback", description="What happens then."
    )
