"""The load generator for machines without wrk: the same requests, on uvloop.

It costs about three times wrk's processor time, so a cheap proxy is then no longer the narrow
place; processor time per request stays comparable, requests per second do not.
"""

import argparse
import asyncio
import functools
import json
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

_STOP_S = 5.0


class Clients:
    """All connections' requests and findings. One per process."""

    def __init__(self, requests: list[bytes], stop_at: float) -> None:
        self._requests = requests
        self._stop_at = stop_at
        self._turn = 0
        self.latencies_s: list[float] = []
        self.bad_statuses = 0
        self.broken = 0

    def next_request(self) -> bytes | None:
        """Return what to send now, or None when the time is over."""
        if time.perf_counter() >= self._stop_at:
            return None
        self._turn = (self._turn + 1) % len(self._requests)
        return self._requests[self._turn]

    def note(self, status: int, latency_s: float) -> None:
        self.latencies_s.append(latency_s)
        self.bad_statuses += status != 200


class Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request. Ends by completing ``ended``."""

    def __init__(self, clients: Clients, ended: asyncio.Future[None]) -> None:
        self._clients = clients
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        request = self._clients.next_request()
        if request is None:
            self._transport.close()
            return
        self._waits = True
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._waits = False
        latency_s = time.perf_counter() - self._sent_at
        self._clients.note(self._parser.get_status_code(), latency_s)
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._clients.broken += self._waits
        if not self._ended.done():
            self._ended.set_result(None)


async def run(
    host: str, port: int, requests: list[bytes], *, connections: int, seconds: float
) -> dict[str, float]:
    """Load until ``seconds`` are over; return the fields of a LoadResult."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    clients = Clients(requests, began + seconds)
    ends: list[asyncio.Future[None]] = []
    for _ in range(connections):
        ended = loop.create_future()
        try:
            await loop.create_connection(functools.partial(Client, clients, ended), host, port)
            ends.append(ended)
        except OSError:
            clients.broken += 1
    if ends:
        _, late = await asyncio.wait(ends, timeout=seconds + _STOP_S)
        clients.broken += len(late)
    ordered = sorted(clients.latencies_s) or [0.0]
    return {
        "requests": len(clients.latencies_s),
        "seconds": time.perf_counter() - began,
        "bad_statuses": clients.bad_statuses,
        "broken": clients.broken,
        "p50_ms": ordered[len(ordered) // 2] * 1e3,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
    }


def write_out(host: str, path: str, unit_header: str, users: int, body: bytes) -> list[bytes]:
    """Return one whole request per user."""
    head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n{unit_header}: user-"
    return [f"{head}{user}\r\n\r\n".encode() + body for user in range(1, users + 1)]


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
