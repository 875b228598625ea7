"""An OTLP/HTTP receiver: keeps the spans that it is sent, decoded with OpenTelemetry's protobuf."""

import asyncio
import gzip
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Receiver:
    """Owner: a test. ``start`` it, ``close`` it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.status = 200
        self.headers: list[dict[str, str]] = []
        self._arrived = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app)

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    @property
    def url(self) -> str:
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def until(self, count: int) -> list[Any]:
        """Wait for ``count`` spans; return all that came."""
        async with asyncio.timeout(60):
            while len(self.spans) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.spans

    async def _take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.status != 200:
            return web.Response(status=self.status)
        body = await request.read()
        if body[:2] == b"\x1f\x8b":  # aiohttp may have unpacked it already
            body = gzip.decompress(body)
        asked = ExportTraceServiceRequest.FromString(body)
        for resource in asked.resource_spans:
            said = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.resources.append(said)
            for scope in resource.scope_spans:
                assert scope.scope.name == "understudy"
                self.spans += scope.spans
        self._arrived.set()
        raw = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=raw, content_type="application/x-protobuf")
