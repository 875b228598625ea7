"""Spans as a real receiver of OTLP over HTTP gets them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import pytest

from controller.policy import TracingSpec
from router.observation import Batch, MirroredPair
from sidecar import tracing, yamltree
from sidecar.spans import Span
from sidecar.tracing import Tracer, check_tracing
from tests.sidecar.otlp import Receiver
from tests.sidecar.test_spans import NEW, OLD, PARENT, SHARED, TRACE

PAIR = MirroredPair(**(SHARED | {"champion": OLD, "challenger": NEW}))
PLAIN = MirroredPair(**(SHARED | {"champion": OLD, "challenger": NEW, "trace": ""}))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EVERY_S", 0.01)
    monkeypatch.setattr(tracing, "TIMEOUT_S", 0.2)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    yield one
    await one.close()


@pytest.fixture
async def tracer() -> AsyncIterator[Tracer]:
    one = Tracer("1.2.3")
    task = asyncio.get_running_loop().create_task(one.run())
    yield one
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def batch(*observations: MirroredPair) -> list[Batch]:
    return [Batch("router", 1, observations)]


async def counted(tracer: Tracer, result: str, count: int) -> None:
    async with asyncio.timeout(60):
        while tracer.counts[result] < count:
            await asyncio.sleep(0.01)


async def test_receiver_gets_the_spans_of_both_legs(receiver: Receiver, tracer: Tracer) -> None:
    tracer.adopt(TracingSpec(receiver.url, "fraud"))
    tracer.take(batch(PAIR, PLAIN))
    exchange, call, copy = await receiver.until(3)
    assert exchange.trace_id.hex() == call.trace_id.hex() == TRACE
    assert exchange.parent_span_id.hex() == PARENT and call.parent_span_id == exchange.span_id
    assert copy.parent_span_id == b"" and copy.trace_id != exchange.trace_id
    (link,) = copy.links
    assert (link.trace_id, link.span_id) == (exchange.trace_id, exchange.span_id)
    (event,) = exchange.events
    said = {one.key: one.value.string_value for one in event.attributes}
    assert event.name == "feature_flag.evaluation"
    assert said["feature_flag.result.variant"] == "digits-1"
    assert receiver.resources[0]["service.name"] == "fraud"
    assert receiver.resources[0]["service.version"] == "1.2.3"
    await counted(tracer, "exported", 3)


async def test_nothing_is_kept_while_it_is_off(receiver: Receiver, tracer: Tracer) -> None:
    tracer.take(batch(PAIR))
    assert not tracer.is_on and not tracer.counts
    tracer.adopt(TracingSpec(receiver.url, "x"))
    tracer.take(batch(PAIR))
    tracer.adopt(None)
    assert tracer.counts["dropped"] in (0, 3) and not tracer.is_on


async def test_receiver_that_refuses_costs_spans_and_nothing_else(
    receiver: Receiver, tracer: Tracer
) -> None:
    receiver.status = 400
    tracer.adopt(TracingSpec(receiver.url, "x"))
    tracer.take(batch(PAIR))
    await counted(tracer, "failed", 3)
    receiver.status = 200
    tracer.take(batch(PAIR))
    await receiver.until(3)


async def test_what_there_is_no_room_for_is_dropped_and_counted(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MAX_SPANS", 7)
    tracer.adopt(TracingSpec("http://127.0.0.1:1", "x"))
    tracer.take(batch(PAIR, PAIR, PAIR))
    assert tracer.counts["dropped"] == 3


async def test_another_receiver_is_used_from_the_reload_on(receiver: Receiver) -> None:
    made: list[str] = []

    class Sink:
        def send(self, spans: Sequence[Span]) -> bool:
            return True

        def shutdown(self) -> None:
            made.append("end")

    def make(spec: TracingSpec, version: str) -> Sink:
        made.append(spec.endpoint)
        return Sink()

    tracer = Tracer("1", make)
    task = asyncio.get_running_loop().create_task(tracer.run())
    for endpoint in ("a", "b"):
        tracer.adopt(TracingSpec(endpoint, "x"))
        tracer.take(batch(PAIR))
        await counted(tracer, "exported", 3 if endpoint == "a" else 6)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made == ["a", "end", "b", "end"]


async def test_a_librarys_fault_costs_spans(tracer: Tracer) -> None:
    def make(spec: TracingSpec, version: str) -> None:
        raise ImportError("no library")

    broken = Tracer("1", make)
    task = asyncio.get_running_loop().create_task(broken.run())
    broken.adopt(TracingSpec("http://127.0.0.1:1", "x"))
    broken.take(batch(PAIR))
    await counted(broken, "failed", 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_missing_extra_is_named_by_check(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = yamltree.parse(b'tracing: {endpoint: "http://127.0.0.1:4318"}\n')
    assert check_tracing(tree) == []
    monkeypatch.setattr(tracing, "has_extra", lambda: False)
    (problem,) = check_tracing(tree)
    assert "understudy[otel]" in problem.expected and problem.line == 1
    assert check_tracing(yamltree.parse(b"routes: []\n")) == []


def test_library_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, sidecar.process; print('opentelemetry.sdk' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
