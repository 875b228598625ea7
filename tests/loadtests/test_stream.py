"""The stream's two ends against each other, and against a proxy that keeps events back."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from loadtests.generator import write_out
from loadtests.launch import Launched, fetch, free_port
from loadtests.stream import Findings, Reader, run
from loadtests.stream_upstream import HEAD, event
from loadtests.work import EVENTS, PACE_MS

CORE = min(os.sched_getaffinity(0))
REQUESTS = write_out("a", "/predict", "x-user-id", 3, b"{}")


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


async def read(*chunks: bytes) -> Findings:
    findings = Findings(REQUESTS, stop_at_ns=1 << 62)
    reader = Reader(findings, asyncio.get_running_loop().create_future())
    reader.connection_made(Wire())
    for chunk in chunks:
        reader.data_received(chunk)
    return findings


WHOLE = [HEAD, *(event(number, 1) for number in range(EVENTS)), b"0\r\n\r\n"]


async def test_whole_stream_is_one_answer_with_all_its_events() -> None:
    findings = await read(*WHOLE)
    assert (len(findings.whole_ns), findings.bad_statuses) == (1, 0)
    assert len(findings.journey_ns) == EVENTS
    assert len(findings.gap_ns) == EVENTS - 1
    assert findings.merged == 0


async def test_event_that_came_with_the_next_one_is_counted_as_merged() -> None:
    findings = await read(WHOLE[0], WHOLE[1] + WHOLE[2], *WHOLE[3:])
    assert findings.merged == 1
    assert findings.bad_statuses == 0


async def test_event_cut_in_two_arrives_with_its_last_byte() -> None:
    findings = await read(WHOLE[0] + WHOLE[1][:20], WHOLE[1][20:] + WHOLE[2], *WHOLE[3:])
    assert len(findings.journey_ns) == EVENTS
    assert findings.bad_statuses == 0


@pytest.mark.parametrize(
    "chunks",
    [
        [*WHOLE[:5], *WHOLE[6:]],
        [*WHOLE[:5], WHOLE[6], WHOLE[5], *WHOLE[7:]],
        WHOLE[:50] + WHOLE[-1:],
    ],
    ids=["lost", "swapped", "cut short"],
)
async def test_stream_that_is_not_whole_and_in_order_is_bad(chunks: list[bytes]) -> None:
    assert (await read(*chunks)).bad_statuses == 1


async def test_events_arrive_one_by_one_at_their_pace(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "loadtests.stream_upstream"]
    command += ["--port", str(port), "--variant", "champion"]
    with Launched(command, cores={CORE}, log=tmp_path / "log") as upstream:
        await asyncio.to_thread(upstream.wait_ready, lambda: fetch(port)[0] == 200)
        result = await run("127.0.0.1", port, REQUESTS, connections=2, seconds=0.1)
        _, counted = await asyncio.to_thread(fetch, port, "GET", "/count")
    assert result["requests"] == 2
    assert (result["bad_statuses"], result["broken"]) == (0, 0)
    assert counted == b'{"predictions": 2}'
    whole_ms = result["p50_ms"]
    assert isinstance(whole_ms, float)
    assert whole_ms >= (EVENTS - 1) * PACE_MS


async def test_refused_connections_are_broken() -> None:
    result = await run("127.0.0.1", 1, REQUESTS, connections=2, seconds=0.1)
    assert (result["requests"], result["broken"]) == (0, 2)
