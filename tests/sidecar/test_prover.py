"""Real files and a real server, looked at for a real controller."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controller.artifact import manifest_of
from controller.controller import Controller
from controller.lineage import Artifact, ModelVersion
from controller.policy import ReportsSpec
from router.table import Variant
from sidecar.engine import Engine
from sidecar.prover import Prover
from tests.controller.builders import intent, route_intent
from tests.controller.simulation import Simulation


class Bench:
    """A prover, a controller in its thread, and the server and files of digits:2."""

    def __init__(self, folder: Path) -> None:
        self.weights = folder / "weights.bin"
        self.weights.write_bytes(b"12345")
        self.says: Any = {"versions": ["2"]}
        self.faults: list[Exception] = []
        self.folder = folder

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v2/models/digits", self._answer)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        port = self.runner.addresses[0][1]
        route = replace(
            route_intent(),
            challengers=(Variant(name="digits-2", host="127.0.0.1", port=port),),
            models=(("digits-2", "digits:2"),),
            reports=ReportsSpec("/v2/models/{name}", version="versions[0]"),
        )
        self.simulation = Simulation(self.folder / "s.db", intent=intent(route))
        found = manifest_of(self.weights)
        files = tuple((file.path, file.size_bytes, file.sha256) for file in found.files)
        artifact = Artifact(found.digest, path=str(self.weights), files=files)
        model = ModelVersion(name="digits", version="2", artifact=artifact, by="ada")
        self.simulation.controller.registrar.register(model)
        self.engine: Engine[Controller] = Engine(lambda: self.simulation.controller)
        await self.engine.start()
        self.prover = Prover(self.engine, self.faults.append)

    async def _answer(self, _: web.Request) -> web.Response:
        return web.json_response(self.says)

    async def tick(self) -> str:
        """One look at everything, one step; return the phase."""
        await self.prover.round()
        await self.prover.settled()
        await self.engine.call(lambda _: self.simulation.tick(0))
        return str(self.simulation.phase)

    async def run(self, phase: str) -> None:
        for _ in range(20):
            if await self.tick() == phase:
                return
        raise AssertionError(self.simulation.status())

    async def close(self) -> None:
        await self.engine.close()
        self.simulation.stop()
        await self.runner.cleanup()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    await one.start()
    yield one
    await one.close()
    assert one.faults == []


async def test_what_runs_as_registered_goes_on(bench: Bench) -> None:
    await bench.run("shadow")


Change = Callable[[Bench], Any]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda b: b.weights.write_bytes(b"12346"), "changed: weights.bin"),
        (lambda b: setattr(b, "says", {"versions": ["1"]}), "digits-2 runs version '1'"),
    ],
)
async def test_other_files_and_other_words_end_the_rollout(
    bench: Bench, change: Change, because: str
) -> None:
    change(bench)
    await bench.run("rolled_back")
    assert because in bench.simulation.status()["because"]


@pytest.mark.parametrize("change", [lambda b: b.weights.unlink(), lambda b: setattr(b, "says", {})])
async def test_what_cannot_be_told_holds(bench: Bench, change: Change) -> None:
    change(bench)
    for _ in range(5):
        assert await bench.tick() == "functional"


async def test_what_is_being_looked_at_is_not_looked_at_twice(bench: Bench) -> None:
    await bench.tick()
    asked = 0
    release = asyncio.Event()

    async def slow(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        await release.wait()
        raise asyncio.CancelledError

    bench.prover._finding = slow  # type: ignore[method-assign]
    await bench.prover.round()
    await bench.prover.round()
    await asyncio.sleep(0)
    wanted = [
        check for task in bench.simulation.controller.registrar.tasks() for check in task.wants
    ]
    assert asked == len(wanted) == 2
    release.set()
    await bench.prover.settled()


async def test_loop_ends_with_its_looks_when_it_is_cancelled(bench: Bench) -> None:
    task = asyncio.get_running_loop().create_task(bench.prover.run())
    await bench.engine.call(lambda _: None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.prover.settled()


async def test_a_look_that_nobody_waits_for_leaves_no_thread_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that must start again waits for its threads: it must not read a whole model."""
    await bench.tick()
    begun, go_on, ended = asyncio.Event(), threading.Event(), asyncio.Event()
    loop, read = asyncio.get_running_loop(), 0

    def endless(_: Any, __: str, on_read: Callable[[int], None] = lambda _: None) -> None:
        nonlocal read
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(60.0)
        try:
            while read < 10:
                on_read(1)
                read += 1
        finally:
            loop.call_soon_threadsafe(ended.set)

    monkeypatch.setattr("sidecar.prover.verify_artifact", endless)
    task = loop.create_task(bench.prover.run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.prover.settled()
    go_on.set()
    await ended.wait()
    assert read == 0


async def test_nothing_is_proven_before_the_controller_is_there() -> None:
    prover = Prover(Engine(lambda: None), lambda _: None)  # type: ignore[arg-type,return-value]
    await prover.round()
