"""Sends the spans of traced observations to an OTLP/HTTP receiver: beside everything, never in it.

The routers only name spans; this runs in the controller process, from observations that are
durable. What there is no room for is dropped and counted, and a receiver that is away costs no
more than that. The extra ``otel`` is imported when the routing file first says ``tracing:``.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import structlog

from controller.policy import TracingSpec
from router.observation import Batch
from sidecar.model.tracing import Tracing
from sidecar.problem import Problem
from sidecar.routecheck import part
from sidecar.spans import SERVER, Span, spans_of
from sidecar.yamltree import Tree

EXTRA = "pip install 'understudy[otel]'"
MAX_SPANS = 8_192
"""That wait to be sent; a few megabytes. Chosen."""
BATCH_SPANS = 512
"""In one request; precedent: OpenTelemetry's batch processor."""
EVERY_S = 1.0
"""How long the first span of a batch waits for others."""
TIMEOUT_S = 5.0
"""For one request with its repetitions."""

log = structlog.get_logger()


class Tracer:
    """Owner: the controller process. Runs on its event loop; requests are made in a thread."""

    def __init__(self, version: str, make: Callable[[TracingSpec, str], Any] | None = None) -> None:
        self._version = version
        self._make = make or _exporter
        self._spec: TracingSpec | None = None
        self._exporter: Any = None
        self._waiting: deque[Span] = deque()
        self._arrived = asyncio.Event()
        self.counts: Counter[str] = Counter()
        """Spans by what became of them, one of SPAN_RESULTS."""

    @property
    def is_on(self) -> bool:
        """Whether the routing file in force asks for spans."""
        return self._spec is not None

    def adopt(self, spec: TracingSpec | None) -> None:
        """Send spans where ``spec`` says from now on; None ends it."""
        if spec == self._spec:
            return
        former, self._exporter = self._exporter, None
        if former is not None:
            former.shutdown()
        self._spec = spec
        if spec is None:
            self.counts["dropped"] += len(self._waiting)
            self._waiting.clear()

    def take(self, batches: Sequence[Batch]) -> None:
        """Note the spans of ``batches``; never waits, never raises for what is in them."""
        if self._spec is None:
            return
        for batch in batches:
            for seen in batch.observations:
                if seen.trace:
                    self._add(spans_of(seen))

    def _add(self, spans: list[Span]) -> None:
        if len(self._waiting) + len(spans) > MAX_SPANS:
            self.counts["dropped"] += len(spans)
            return
        self._waiting += spans
        self._arrived.set()

    async def run(self) -> None:
        """Send what waits, for ever; what waits at the end gets one last request."""
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(EVERY_S)  # for others: a request for each would cost more
                self._arrived.clear()
                while self._waiting:
                    await self._send()
        finally:
            if self._exporter is not None:
                self._exporter.shutdown()

    async def _send(self) -> None:
        spec = self._spec
        count = min(BATCH_SPANS, len(self._waiting))
        spans = [self._waiting.popleft() for _ in range(count)]
        if spec is None:
            return
        try:
            if self._exporter is None:
                self._exporter = await asyncio.to_thread(self._make, spec, self._version)
            done = await asyncio.to_thread(self._exporter.send, spans)
        except Exception:  # a library's fault must cost spans, not evidence
            log.exception("spans could not be sent")
            done = False
        self.counts["exported" if done else "failed"] += count


class Exporter:
    """OpenTelemetry's own exporter, given spans of ours."""

    def __init__(self, spec: TracingSpec, version: str) -> None:
        """Blocking: it imports the library. ImportError without the extra."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._resource = Resource({"service.name": spec.service, "service.version": version})
        self._scope = InstrumentationScope("understudy", version)
        endpoint = f"{spec.endpoint.rstrip('/')}/v1/traces"
        self._exporter: Any = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S)

    def send(self, spans: Sequence[Span]) -> bool:
        """Send ``spans``; return whether the receiver took them. Blocking."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        readable = [self._readable(span) for span in spans]
        done: object = self._exporter.export(readable)
        return done is SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """End what is under way soon; idempotent."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> Any:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(trace_id: int, span_id: int, *, is_remote: bool) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=flags)

        parent = span.parent_id
        evaluation = Event("feature_flag.evaluation", dict(span.evaluation), span.start_ns)
        return ReadableSpan(
            name=span.name,
            context=context(span.trace_id, span.span_id, is_remote=False),
            parent=(
                None
                if parent is None
                else context(span.trace_id, parent, is_remote=span.kind == SERVER)
            ),
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[evaluation] if span.evaluation else [],
            links=[Link(context(*span.link, is_remote=False))] if span.link else [],
            kind=SpanKind.SERVER if span.kind == SERVER else SpanKind.CLIENT,
            instrumentation_scope=self._scope,
            status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(),
            start_time=span.start_ns,
            end_time=span.end_ns,
        )


def _exporter(spec: TracingSpec, version: str) -> Exporter:
    return Exporter(spec, version)


def has_extra() -> bool:
    """Tell whether the extra ``otel`` is installed, without importing it."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def check_tracing(tree: Tree) -> list[Problem]:
    """Return what is wrong with ``tracing:``, if it is sound by itself: the extra must be there."""
    section = part(tree, ("tracing",), Tracing)
    if section is None or has_extra():
        return []
    expected = f"the extra `otel`: {EXTRA}"
    return [tree.problem(("tracing",), expected, found="no OpenTelemetry library")]
