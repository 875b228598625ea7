import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.tasks import spawn
from sidecar.demo.labeller import Labeller
from sidecar.demo.lateness import Lateness

QUICK = Lateness(earliest_s=0.0, latest_s=0.3, never=0.2, twice=0.2, misdirected=0.1)
ROWS = 200


class Admin:
    """Takes labels as the sidecar does; may refuse the first batches."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, int]]] = []
        self.refuses = 0
        self._seen: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        assert request.content_type == "application/x-ndjson"
        rows = [json.loads(line) for line in (await request.text()).splitlines()]
        self.batches.append([(row["request_id"], row["label"]) for row in rows])
        return web.json_response({**Counter(map(self._judge, rows)), "items": []})

    def _judge(self, row: dict[str, object]) -> str:
        request_id = str(row["request_id"])
        if request_id.startswith("nobody-"):
            return "unknown"
        if request_id in self._seen:
            return "duplicate"
        self._seen.add(request_id)
        return "accepted"

    @property
    def taken(self) -> list[tuple[str, int]]:
        return [label for batch in self.batches for label in batch]


@pytest.fixture
def admin() -> Admin:
    return Admin()


@pytest.fixture
async def url(admin: Admin) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/v1/labels", admin.take)
    async with TestServer(application) as server:
        yield str(server.make_url("/v1/labels"))


def row(number: int) -> bytes:
    return json.dumps({"request_id": f"r{number}", "label": number % 10, "status": 200}).encode()


async def labelled(labeller: Labeller) -> None:
    """Give it all rows at once and let it post until everything is due."""
    now_s = asyncio.get_running_loop().time()
    for number in range(ROWS):
        labeller.take(row(number), now_s)
    stop = asyncio.Event()
    posting = spawn(labeller.post_until(stop), name="post")
    await asyncio.sleep(1.0)
    stop.set()
    await posting


async def test_labels_are_posted_true_out_of_order_and_in_batches(url: str, admin: Admin) -> None:
    await labelled(Labeller(url, QUICK, Random(1)))
    own = [(request_id, label) for request_id, label in admin.taken if request_id[0] == "r"]
    assert all(label == int(request_id[1:]) % 10 for request_id, label in own)
    numbers = [int(request_id[1:]) for request_id, _ in own]
    assert numbers != sorted(numbers)
    assert 1 < len(admin.batches) < 10


async def test_counts_are_what_the_sidecar_answered(url: str, admin: Admin) -> None:
    labeller = Labeller(url, QUICK, Random(1))
    await labelled(labeller)
    once = Counter(request_id for request_id, _ in admin.taken if request_id[0] == "r")
    assert labeller.counts["accepted"] == len(once)
    assert labeller.counts["never"] == ROWS - len(once) > 0
    assert labeller.counts["duplicate"] == sum(count - 1 for count in once.values()) > 0
    assert labeller.counts["unknown"] == len(admin.taken) - sum(once.values()) > 0
    assert labeller.counts["posted"] == len(admin.taken)


async def test_refused_batch_is_posted_again(url: str, admin: Admin) -> None:
    eager = Lateness(earliest_s=0.0, latest_s=0.01, never=0.0, twice=0.0, misdirected=0.0)
    admin.refuses = 2
    labeller = Labeller(url, eager, Random(1))
    await labelled(labeller)
    assert labeller.counts["refused_batches"] == 2
    assert sorted(admin.taken) == sorted((f"r{n}", n % 10) for n in range(ROWS))


async def test_label_is_not_posted_before_its_time(url: str) -> None:
    labeller = Labeller(url, Lateness(never=0.0, twice=0.0, misdirected=0.0), Random(1))
    for number in range(ROWS):
        labeller.take(row(number), 100.0)
    assert labeller.due(101.0) == []
    early, rest = labeller.due(103.5), labeller.due(106.0)
    assert len(early) + len(rest) == ROWS
    assert 0.4 < len(early) / ROWS < 0.6


async def test_row_that_cannot_be_read_is_an_error(url: str) -> None:
    rows = asyncio.StreamReader()
    rows.feed_data(row(1) + b"\n{}\n")
    rows.feed_eof()
    with pytest.raises(KeyError):
        await Labeller(url, QUICK, Random(1)).take_all(rows)


async def test_nobody_at_the_admin_port_costs_no_label() -> None:
    labeller = Labeller("http://127.0.0.1:9/v1/labels", QUICK, Random(1))
    labeller.take(row(1), 0.0)
    planned = labeller.due(10.0)
    async with aiohttp.ClientSession() as session:
        await labeller.post(session, planned)
    assert labeller.due(10.0) == planned
