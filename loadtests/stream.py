"""The generator for streams: each answer's events, and when each of them arrived.

An event carries the time at which the upstream sent it, on the clock that all processes of a
machine share. So the journey of each is measured by itself, and a proxy that keeps an event back
until the next one comes shows as a journey of one pace, and as two events in one read.
``python -m loadtests.stream --url URL --connections C --seconds S HEADER USERS BODY``
"""

import argparse
import array
import asyncio
import functools
import gc
import json
import re
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

from loadtests.generator import write_out
from loadtests.paced import percentile
from loadtests.precise import now_ns
from loadtests.work import EVENTS

_EVENT = re.compile(rb'data: \{"number": (\d+), "sent_ns": (\d+)[^\n]*\n\n')
_STOP_S = 5.0


class Findings:
    """What all streams of one process have shown; times in nanoseconds."""

    def __init__(self, requests: list[bytes], stop_at_ns: int) -> None:
        self._requests = requests
        self._stop_at_ns = stop_at_ns
        self._turn = 0
        self.whole_ns = array.array("q")
        """Request to last byte, of each whole stream."""
        self.first_ns = array.array("q")
        """Request to first event."""
        self.journey_ns = array.array("q")
        """Of each event, from the upstream's sending to its arrival."""
        self.gap_ns = array.array("q")
        """Between the arrivals of two events that follow each other."""
        self.merged = 0
        """Events that came in one read with the one before."""
        self.bad_statuses = 0
        self.broken = 0

    def next_request(self) -> bytes | None:
        """Return what to send now, or None when the time is over."""
        if now_ns() >= self._stop_at_ns:
            return None
        self._turn = (self._turn + 1) % len(self._requests)
        return self._requests[self._turn]


class Reader(asyncio.Protocol):
    """One connection: a request, its stream, the next request. Ends by completing ``ended``."""

    def __init__(self, findings: Findings, ended: asyncio.Future[None]) -> None:
        self._findings = findings
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._is_waiting = False
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._rest = b""
        self._next = 0
        self._sent_at_ns = self._last_ns = self._arrived_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        request = self._findings.next_request()
        if request is None:
            self._transport.close()
            return
        self._is_waiting = True
        self._sent_at_ns = now_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._arrived_ns = now_ns()
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        findings, arrived_ns = self._findings, self._arrived_ns
        received = self._rest + data if self._rest else data
        end = 0
        for event in _EVENT.finditer(received):
            end = event.end()
            if int(event[1]) != self._next:
                self._next = -EVENTS  # lost or out of order: the stream will count as bad
            if self._next == 0:
                findings.first_ns.append(arrived_ns - self._sent_at_ns)
            elif self._next > 0:
                findings.gap_ns.append(arrived_ns - self._last_ns)
                findings.merged += arrived_ns == self._last_ns
            findings.journey_ns.append(arrived_ns - int(event[2]))
            self._last_ns = arrived_ns
            self._next += 1
        self._rest = received[end:]

    def on_message_complete(self) -> None:
        self._is_waiting = False
        is_good = self._parser.get_status_code() == 200 and self._next == EVENTS and not self._rest
        self._findings.bad_statuses += not is_good
        self._findings.whole_ns.append(now_ns() - self._sent_at_ns)
        self._reset()
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._findings.broken += self._is_waiting
        if not self._ended.done():
            self._ended.set_result(None)


async def run(
    host: str, port: int, requests: list[bytes], *, connections: int, seconds: float
) -> dict[str, object]:
    """Load until ``seconds`` are over and the last streams have ended; a LoadResult's fields."""
    loop = asyncio.get_running_loop()
    began_ns = now_ns()
    findings = Findings(requests, began_ns + int(seconds * 1e9))
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        ended = loop.create_future()
        try:
            await loop.create_connection(functools.partial(Reader, findings, ended), host, port)
            ends.append(ended)
        except OSError:
            findings.broken += 1
        # Not all at once: streams that tick together would measure the queue that they are.
        await asyncio.sleep(0.003)
    if ends:
        _, late = await asyncio.wait(ends, timeout=seconds + _STOP_S)
        findings.broken += len(late)
    return result(findings, (now_ns() - began_ns) / 1e9)


def result(findings: Findings, seconds: float) -> dict[str, object]:
    """Return the fields of a LoadResult."""
    whole = sorted(findings.whole_ns)
    figures = {}
    for name in ("first", "journey", "gap"):
        ordered = sorted(getattr(findings, f"{name}_ns"))
        for percent in (50, 99):
            figures[f"{name}_p{percent}_ms"] = percentile(ordered, percent / 100) / 1e6
    figures["merged_share"] = findings.merged / max(len(findings.journey_ns), 1)
    return {
        "requests": len(whole),
        "seconds": seconds,
        "bad_statuses": findings.bad_statuses,
        "broken": findings.broken,
        "p50_ms": percentile(whole, 0.5) / 1e6,
        "p99_ms": percentile(whole, 0.99) / 1e6,
        "figures": figures,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("unit_header")
    parser.add_argument("users", type=int)
    parser.add_argument("body", type=Path)
    options = parser.parse_args()
    url = urlsplit(options.url)
    assert url.hostname is not None and url.port is not None
    body = options.body.read_bytes()
    requests = write_out(url.netloc, url.path, options.unit_header, options.users, body)
    gc.disable()
    loading = run(
        url.hostname,
        url.port,
        requests,
        connections=options.connections,
        seconds=options.seconds,
    )
    print("RESULT " + json.dumps(uvloop.run(loading)))


if __name__ == "__main__":
    main()
