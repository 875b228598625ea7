"""The demo's labeller: posts the true labels late, out of order, some twice, some never.

    python -m sidecar.demo.client ... | python -m sidecar.demo.labeller \
        --url http://127.0.0.1:8081/v1/labels

Reads the client's rows from stdin and ends when they end.
"""

import argparse
import asyncio
import contextlib
import heapq
import itertools
import json
import os
import signal
import sys
from collections import Counter
from random import Random

import aiohttp
import uvloop

from router.tasks import spawn
from sidecar.demo.lateness import Lateness, Posting, postings
from sidecar.demo.reports import report

POST_EVERY_S = 0.2
TIMEOUT_S = 5.0
RESULTS = ("accepted", "corrected", "duplicate", "conflict", "unknown", "late", "invalid")
"""The states that the sidecar's answer counts, see POST /v1/labels."""
ENCODED = {"content-type": "application/x-ndjson"}


class Labeller:
    """Holds the labels that are not due yet; owns their counts. One per process.

    Its memory is bounded by the client's rate times the latest lateness, as long as the sidecar
    takes the labels.
    """

    def __init__(self, url: str, lateness: Lateness, random: Random) -> None:
        self.counts: Counter[str] = Counter()
        """By what the sidecar said of each label; also posted, never, refused_batches."""
        self._url = url
        self._lateness = lateness
        self._random = random
        self._waiting: list[tuple[float, int, Posting]] = []
        """A heap by due time (loop clock); the number breaks ties."""
        self._number = itertools.count()

    def take(self, line: bytes, now_s: float) -> None:
        """Plan the labels of one row of the client; ``now_s`` is on the loop's clock."""
        row = json.loads(line)
        planned = postings(row["request_id"], row["label"], self._lateness, self._random)
        if not any(posting.request_id == row["request_id"] for posting in planned):
            self.counts["never"] += 1
        for posting in planned:
            due_s = now_s + posting.due_in_s
            heapq.heappush(self._waiting, (due_s, next(self._number), posting))

    def due(self, now_s: float) -> list[Posting]:
        """Take out what is due: in the order of their due times, not of the requests."""
        taken = []
        while self._waiting and self._waiting[0][0] <= now_s:
            taken.append(heapq.heappop(self._waiting)[2])
        return taken

    async def post(self, session: aiohttp.ClientSession, batch: list[Posting]) -> None:
        """Post ``batch``; what was not acknowledged is posted again with the next one."""
        lines = [
            json.dumps({"request_id": posting.request_id, "label": posting.label})
            for posting in batch
        ]
        token = os.environ.get("UNDERSTUDY_LABEL_TOKEN")
        headers = ENCODED | ({"authorization": f"Bearer {token}"} if token else {})
        try:
            async with session.post(self._url, data="\n".join(lines), headers=headers) as response:
                response.raise_for_status()
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.counts["refused_batches"] += 1
            report(report="refused", because=f"{type(error).__name__}: {error}")
            for posting in batch:  # due at once
                heapq.heappush(self._waiting, (0.0, next(self._number), posting))
            return
        self.counts["posted"] += len(batch)
        for result in RESULTS:
            self.counts[result] += int(answer.get(result, 0))

    async def post_until(self, stop: asyncio.Event) -> None:
        """Post what is due, batch by batch, until ``stop`` is set."""
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not stop.is_set():
                if batch := self.due(loop.time()):
                    await self.post(session, batch)
                    report(report="labels", **self.counts)
                try:
                    await asyncio.wait_for(stop.wait(), POST_EVERY_S)
                except TimeoutError:
                    pass

    async def take_all(self, rows: asyncio.StreamReader) -> None:
        """Take the client's rows until they end."""
        loop = asyncio.get_running_loop()
        async for line in rows:
            self.take(line, loop.time())


async def run(labeller: Labeller) -> None:
    """Label what stdin brings until it ends, or SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    rows = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(rows), sys.stdin)
    taking = spawn(labeller.take_all(rows), name="take rows")
    taking.add_done_callback(lambda _: stop.set())
    await labeller.post_until(stop)
    taking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await taking  # a row that cannot be read ends the process with its error
    report(report="labels", **labeller.counts)


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    uvloop.run(run(Labeller(options.url, Lateness(), Random(options.seed))))


if __name__ == "__main__":
    main()
