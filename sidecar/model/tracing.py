"""``tracing:`` at the top of the routing file."""

from pydantic import Field

from sidecar.model.section import Section
from sidecar.routetype import ScorerUrl


class Tracing(Section):
    """Spans of what an experiment sees, to an OTLP/HTTP receiver. Needs the extra `otel`."""

    endpoint: ScorerUrl = Field(
        description="The receiver, such as http://127.0.0.1:4318; /v1/traces is put behind it. "
        "Headers that it asks for are in the environment, in OTEL_EXPORTER_OTLP_HEADERS."
    )
    service: str = Field(
        default="understudy",
        min_length=1,
        max_length=100,
        description="`service.name` of the spans.",
    )
