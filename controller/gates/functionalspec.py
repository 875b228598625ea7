"""What the routing file declares for the functional gate, beside samples and readiness. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """How fast answers must be when one request is asked after the other."""

    limits_s: tuple[tuple[float, float], ...]
    """Quantile (0.5, 0.99) and the seconds that it may take, rising."""
    requests: int = 50


@dataclass(frozen=True, slots=True)
class FunctionalSpec:
    """What is asked beyond samples; nothing by default."""

    request_schema: Mapping[str, Any] | None = None
    """JSON Schema of a request's body: every sample must fit it."""
    response_schema: Mapping[str, Any] | None = None
    """JSON Schema of an answer's body: every answer to a sample must fit it."""
    metadata_path: str | None = None
    """GET answers Open Inference metadata, which samples and answers must fit."""
    protocol: str = "json"
    """How a sample becomes a batch, and what is bad input."""
    batch: tuple[int, ...] = ()
    """Sizes of the batches that are made of the first sample."""
    bad_input: bool = False
    """Bad input must be answered with 4xx, and the server must answer on."""
    latency: LatencyLimit | None = None
    deterministic: bool = False
    """The same request twice must have the same prediction."""
