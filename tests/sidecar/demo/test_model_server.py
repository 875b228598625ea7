"""The server runs as a process of its own here: it is one that kills itself."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from sidecar.demo import models
from sidecar.demo.children import Child, Children
from sidecar.demo.model_server import read_instances

MODULE = "sidecar.demo.model_server"
BAD_BODIES = (
    b"",
    b"[]",
    b"{",
    b'{"instances": []}',
    b'{"instances": [[1, 2]]}',
    b'{"instances": "7"}',
    b'{"instances": [[1], [1, 2]]}',
)
TIMEOUT = aiohttp.ClientTimeout(total=5.0)


@pytest.fixture(scope="module")
def held_out() -> models.Digits:
    return models.split()[1]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train, held_out = models.split()
    path = tmp_path_factory.mktemp("models") / "champion.joblib"
    return models.save(models.fit_champion(train), held_out, path).path


class Served:
    def __init__(self, child: Child, session: aiohttp.ClientSession, url: str) -> None:
        self.child = child
        self.session = session
        self.url = url

    async def predict(self, body: bytes) -> tuple[int, dict[str, object]]:
        async with self.session.post(f"{self.url}/v1/models/digits:predict", data=body) as answer:
            return answer.status, await answer.json()

    async def fail(self, plan: object) -> int:
        async with self.session.post(f"{self.url}/-/fail", json=plan) as answer:
            return answer.status


@pytest.fixture
async def served(model_path: Path) -> AsyncIterator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--model", str(model_path), "--name", "digits-1", "--port", str(port)]
    children = Children()
    try:
        child = await children.start("server", [sys.executable, "-m", MODULE, *options])
        await child.reported("listening", 20.0)
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            yield Served(child, session, f"http://127.0.0.1:{port}")
    finally:
        await children.close()


def request_for(image: np.ndarray) -> bytes:
    return json.dumps({"instances": [image.tolist()]}).encode()


async def test_server_says_that_it_is_ready(served: Served) -> None:
    async with served.session.get(f"{served.url}/v1/models/digits") as answer:
        assert await answer.json() == {"name": "digits", "ready": True, "version": "digits-1"}


async def test_server_answers_what_the_model_says(
    served: Served, model_path: Path, held_out: models.Digits
) -> None:
    images = held_out.images[:30]
    expected = [int(digit) for digit in models.load(model_path).predict(images)]
    alone = [(await served.predict(request_for(image)))[1]["predictions"] for image in images]
    assert alone == [[digit] for digit in expected]
    together = json.dumps({"instances": images.tolist()}).encode()
    assert await served.predict(together) == (200, {"predictions": expected})


async def test_bad_request_gets_400_and_a_reason_in_json(served: Served) -> None:
    for body in BAD_BODIES:
        status, answer = await served.predict(body)
        assert status == 400
        assert answer["error"]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_body_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_instances(body)


async def test_unreadable_fault_plan_changes_nothing(
    served: Served, held_out: models.Digits
) -> None:
    assert await served.fail({"errors": "many"}) == 400
    assert (await served.predict(request_for(held_out.images[0])))[0] == 200


async def test_failing_server_answers_500_then_hangs_then_dies(
    served: Served, held_out: models.Digits
) -> None:
    body = request_for(held_out.images[0])
    before_ns = time.time_ns()
    assert await served.fail({"errors": 2, "hang": 1, "then": "exit"}) == 200
    assert [(await served.predict(body))[0] for _ in range(2)] == [500, 500]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(served.predict(body), 0.05)
    with pytest.raises(aiohttp.ClientError):
        await served.predict(body)
    assert await asyncio.wait_for(served.child.process.wait(), 5.0) == -signal.SIGKILL
    last = await _last_words(served.child)
    assert [last[kind] for kind in ("error", "hang", "exit")] == [2, 1, 1]
    first = served.child.first["failure"]
    assert first["error"] == 1 and "hang" not in first
    assert isinstance(first["at_ns"], int) and before_ns < first["at_ns"] < time.time_ns()


async def _last_words(child: Child) -> dict[str, object]:
    async with asyncio.timeout(5.0):
        while "exit" not in child.reports["failure"]:
            await asyncio.sleep(0.01)
    return child.reports["failure"]


async def test_server_that_is_to_die_does_so_without_another_request(
    served: Served, held_out: models.Digits
) -> None:
    await served.fail({"hang": 1, "then": "exit"})
    with pytest.raises(aiohttp.ClientError):
        await served.predict(request_for(held_out.images[0]))
    assert await asyncio.wait_for(served.child.process.wait(), 5.0) == -signal.SIGKILL


@pytest.mark.parametrize("pixel", ["NaN", "Infinity", "1e999", "null", '"7"x'])
def test_pixel_that_is_no_finite_number_is_refused(pixel: str) -> None:
    row = ",".join([pixel] + ["0"] * 63)
    with pytest.raises(ValueError):
        read_instances(f'{{"instances": [[{row}]]}}'.encode())


def test_instances_keep_their_rows() -> None:
    rows = np.arange(128, dtype=np.float64).reshape(2, 64)
    body = json.dumps({"instances": rows.tolist()}).encode()
    assert np.array_equal(read_instances(body), rows)
