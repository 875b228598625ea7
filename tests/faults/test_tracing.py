"""A whole sidecar whose routing file says ``tracing:``, and a receiver of OTLP beside it."""

import asyncio
import http.client
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.running import PATH, Sidecar
from tests.sidecar.otlp import Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def ask(sidecar: Sidecar, traceparent: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=30)
    headers = {"content-type": "application/json", "traceparent": traceparent}
    connection.request("POST", PATH, b"{}", headers)
    assert connection.getresponse().status == 200
    connection.close()


def spans_seen_by(heads: list[str]) -> set[str]:
    """The span that each request of a model's was said to be under."""
    lines = [line for head in heads for line in head.splitlines()]
    found = [line.split("-")[2] for line in lines if line.lower().startswith("traceparent:")]
    return set(found)


@pytest.mark.slow
async def test_spans_of_both_legs_and_a_scrape_that_promtool_likes(tmp_path: Path) -> None:
    receiver = Receiver()
    await receiver.start()
    top = f'tracing: {{endpoint: "{receiver.url}", service: digits}}'
    sidecar = await asyncio.to_thread(Sidecar, tmp_path, top=top)
    try:
        await asyncio.to_thread(
            sidecar.until, lambda: sidecar.get("/v1/routes/digits")[1].get("phase") == "shadow"
        )
        for heads in (model.heads for model in sidecar.models):
            heads.clear()
        await asyncio.to_thread(ask, sidecar, f"00-{TRACE}-{PARENT}-00")  # not recorded
        await asyncio.to_thread(ask, sidecar, f"00-{TRACE}-{PARENT}-01")
        exchange, call, copy = await receiver.until(3)
        await asyncio.to_thread(
            sidecar.until, lambda: 'result="exported"} 3.0' in sidecar.text("/metrics")
        )
        scrape = await asyncio.to_thread(sidecar.text, "/metrics")
    finally:
        await asyncio.to_thread(sidecar.close)
        await receiver.close()
    assert (exchange.trace_id.hex(), exchange.parent_span_id.hex()) == (TRACE, PARENT)
    assert (call.name, call.parent_span_id) == ("digits digits-1", exchange.span_id)
    assert copy.parent_span_id == b"" and copy.links[0].span_id == exchange.span_id
    champion, challenger = (list(model.heads) for model in sidecar.models)
    assert call.span_id.hex() in spans_seen_by(champion)
    assert copy.span_id.hex() in spans_seen_by(challenger)
    assert PARENT in spans_seen_by(champion)  # of the request that was not recorded
    assert receiver.resources[0]["service.name"] == "digits"
    if shutil.which("promtool"):
        run = subprocess.run(["promtool", "check", "metrics"], input=scrape.encode(),
                             capture_output=True, check=False)  # fmt: skip
        assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
