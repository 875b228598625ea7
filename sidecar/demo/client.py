"""The demo's users: varied held-out images at a fixed rate, whether or not answers come.

    python -m sidecar.demo.client --url http://127.0.0.1:8080/v1/models/digits:predict \
        --traffic traffic.npz --rate 150

Writes one JSON line per finished request to stdout, for the labeller: its id, the true digit, the
status, and whether it failed. Anything but a 200 with a prediction has failed.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import aiohttp
import uvloop

from router.tasks import spawn
from sidecar.demo.reports import report
from sidecar.demo.traffic import Drawn, Traffic

MAX_OUTSTANDING = 2048
"""Requests under way at once. One more is not sent and counts as failed."""
TIMEOUT_S = 10.0
"""From the first byte sent to the last byte received; a user would have gone by then."""
KEEPALIVE_S = 4.0
"""Below what servers usually allow, so that the client closes an idle connection first."""
TALLY_EVERY_S = 0.25
ENCODED = {"content-type": "application/json"}


@dataclass(slots=True)
class Tally:
    """What became of the requests so far. ``requests`` counts finished ones, failed ones too."""

    requests: int = 0
    failed: int = 0
    last_failure: str = ""

    def count(self, fault: str) -> None:
        """Count one finished request; ``fault`` is empty when it went well."""
        self.requests += 1
        if fault:
            self.failed += 1
            self.last_failure = fault


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request ended."""

    status: int
    """0 when no answer came."""
    fault: str
    """Empty when the user got a prediction."""


class Client:
    """Sends requests until ``stop``; owns its tally. One per process."""

    def __init__(self, url: str, traffic: Traffic, rate: float, rows: TextIO) -> None:
        """``rate`` is in requests per second; ``rows`` gets one JSON line per finished request."""
        if not rate > 0:
            raise ValueError(f"rate must be above 0 requests per second, got {rate!r}")
        self.tally = Tally()
        self._url = url
        self._traffic = traffic
        self._rate = rate
        self._rows = rows
        self._run = os.urandom(4).hex()
        """In every request id, so that two demos on one state directory cannot collide."""
        self._outstanding: set[asyncio.Task[None]] = set()

    async def send_until(self, stop: asyncio.Event) -> None:
        """Send at the fixed rate until ``stop`` is set, then wait for the last answers."""
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            begun, number = loop.time(), 0
            while not stop.is_set():
                # The k-th request has its own due time: a late one delays no other.
                await _wait_until(begun + number / self._rate, stop)
                self._send(session, f"demo-{self._run}-{number}")
                number += 1
            if self._outstanding:
                await asyncio.wait(self._outstanding)

    def _send(self, session: aiohttp.ClientSession, request_id: str) -> None:
        drawn = self._traffic.draw()
        if len(self._outstanding) >= MAX_OUTSTANDING:
            self._finish(request_id, drawn, Answer(0, "too many requests under way"))
            return
        task = spawn(self._exchange(session, request_id, drawn), name=f"request {request_id}")
        self._outstanding.add(task)
        task.add_done_callback(self._outstanding.discard)

    async def _exchange(
        self, session: aiohttp.ClientSession, request_id: str, drawn: Drawn
    ) -> None:
        body = json.dumps({"instances": [drawn.image.tolist()]})
        headers = {**ENCODED, "x-request-id": request_id}
        try:
            async with session.post(self._url, data=body, headers=headers) as response:
                answer = read_answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answer = Answer(0, f"{type(error).__name__}: {error}")
        self._finish(request_id, drawn, answer)

    def _finish(self, request_id: str, drawn: Drawn, answer: Answer) -> None:
        self.tally.count(answer.fault)
        row = {
            "request_id": request_id,
            "label": drawn.label,
            "status": answer.status,
            "failed": bool(answer.fault),
        }
        self._rows.write(json.dumps(row) + "\n")
        self._rows.flush()


def read_answer(status: int, body: bytes) -> Answer:
    """Judge one answer as a user would. Pure."""
    if status != 200:
        return Answer(status, f"status {status}: {body[:200].decode(errors='replace')}")
    try:
        predictions = json.loads(body)["predictions"]
        if isinstance(predictions[0], int):
            return Answer(status, "")
    except (ValueError, KeyError, IndexError, TypeError):
        pass  # no prediction: said below, with the body
    return Answer(status, f"no prediction in {body[:200].decode(errors='replace')}")


async def _wait_until(due_s: float, stop: asyncio.Event) -> None:
    """Wait until the loop's clock reads ``due_s``, or ``stop`` is set."""
    try:
        async with asyncio.timeout_at(due_s):
            await stop.wait()
    except TimeoutError:
        pass


async def _report_until(stop: asyncio.Event, tally: Tally) -> None:
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        _report(tally)
        await _wait_until(loop.time() + TALLY_EVERY_S, stop)


def _report(tally: Tally) -> None:
    report(
        report="traffic",
        requests=tally.requests,
        failed=tally.failed,
        last_failure=tally.last_failure,
    )


async def run(client: Client) -> None:
    """Send until SIGTERM or SIGINT; the last report counts every request."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reporting = spawn(_report_until(stop, client.tally), name="report")
    await client.send_until(stop)
    await reporting
    _report(client.tally)


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--traffic", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=150.0, help="requests per second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    traffic = Traffic(options.traffic, options.seed)
    uvloop.run(run(Client(options.url, traffic, options.rate, sys.stdout)))


if __name__ == "__main__":
    main()
