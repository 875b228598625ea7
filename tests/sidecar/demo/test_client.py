import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.tasks import spawn
from sidecar.demo.client import Client, read_answer
from sidecar.demo.traffic import Traffic, save_traffic


@pytest.fixture
def traffic(tmp_path: Path) -> Traffic:
    labels = np.arange(10)
    save_traffic(np.zeros((10, 64)), labels, tmp_path / "traffic")
    return Traffic(tmp_path / "traffic.npz", seed=1)


class Model:
    """Answers as it is told; remembers ids and connections."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.connections: set[object] = set()
        self.wait_s = 0.0
        self.fails_from = 1_000_000

    async def predict(self, request: web.Request) -> web.Response:
        self.ids.append(request.headers["x-request-id"])
        self.connections.add(request.transport)
        number = len(self.ids)
        assert len((await request.json())["instances"][0]) == 64
        await asyncio.sleep(self.wait_s)
        if number >= self.fails_from:
            return web.Response(status=500, text="broken")
        return web.json_response({"predictions": [3]})


@pytest.fixture
async def model() -> Model:
    return Model()


@pytest.fixture
async def url(model: Model) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/predict", model.predict)
    async with TestServer(application) as server:
        yield str(server.make_url("/predict"))


async def sent_for(client: Client, seconds: float) -> None:
    stop = asyncio.Event()
    sending = spawn(client.send_until(stop), name="send")
    await asyncio.sleep(seconds)
    stop.set()
    await sending


def rows(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


async def test_every_request_leaves_one_row_with_its_label(
    url: str, model: Model, traffic: Traffic
) -> None:
    written = io.StringIO()
    client = Client(url, traffic, 200.0, written)
    await sent_for(client, 0.5)
    found = rows(written)
    assert sorted(str(row["request_id"]) for row in found) == sorted(model.ids)
    assert len(set(model.ids)) == len(model.ids) == client.tally.requests
    assert {row["label"] for row in found} <= set(range(10))
    assert all(row["status"] == 200 and row["failed"] is False for row in found)
    assert client.tally.failed == 0


async def test_rate_does_not_depend_on_how_slow_the_answers_are(
    url: str, model: Model, traffic: Traffic
) -> None:
    model.wait_s = 0.3  # a closed loop over one connection would send two or three
    client = Client(url, traffic, 100.0, io.StringIO())
    await sent_for(client, 0.5)
    assert 20 <= client.tally.requests <= 60


async def test_connections_are_kept(url: str, model: Model, traffic: Traffic) -> None:
    client = Client(url, traffic, 100.0, io.StringIO())
    await sent_for(client, 0.5)
    assert len(model.ids) > 20
    assert len(model.connections) < len(model.ids) / 2


async def test_failed_request_is_counted_and_said(url: str, model: Model, traffic: Traffic) -> None:
    model.fails_from = 11
    written = io.StringIO()
    client = Client(url, traffic, 200.0, written)
    await sent_for(client, 0.3)
    assert client.tally.failed == client.tally.requests - 10 > 0
    assert client.tally.last_failure == "status 500: broken"
    assert sum(row["failed"] is True for row in rows(written)) == client.tally.failed


async def test_request_to_nobody_has_failed(traffic: Traffic) -> None:
    written = io.StringIO()
    client = Client("http://127.0.0.1:9/predict", traffic, 50.0, written)
    await sent_for(client, 0.1)
    assert client.tally.failed == client.tally.requests > 0
    assert rows(written)[0]["status"] == 0


@pytest.mark.parametrize(
    ("status", "body", "is_good"),
    [
        (200, b'{"predictions": [7]}', True),
        (200, b'{"predictions": []}', False),
        (200, b'{"predictions": ["7"]}', False),
        (200, b'{"error": "no"}', False),
        (200, b"[7]", False),
        (200, b"", False),
        (201, b'{"predictions": [7]}', False),
        (502, b'{"predictions": [7]}', False),
    ],
)
def test_only_a_200_with_a_prediction_is_an_answer(status: int, body: bytes, is_good: bool) -> None:
    assert (read_answer(status, body).fault == "") is is_good


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_impossible_rate_is_refused(rate: float, traffic: Traffic) -> None:
    with pytest.raises(ValueError, match="rate"):
        Client("http://127.0.0.1:9/", traffic, rate, io.StringIO())
