"""The router process: what it needs to start, what stops it, what it costs to have."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router import frames
from router.observation import Outcome
from router.table import Match, Route, RoutingTable, Split
from router.worker import arguments, limits_of, read_table, reader_of
from tests.router.kit import Model, echoes, get, hangs, until, variant, waits
from tests.router.pki import Authority
from tests.router.running import Worker, worker

FORBIDDEN = ("numpy", "scipy", "pydantic", "sqlite3", "yaml", "aiohttp", "evaluator", "sidecar")
MAX_IDLE_MB = 40.0
"""The promise to whoever runs one of these beside each model server."""


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model("m", echoes)
    await model.start()
    yield model
    await model.close()


def table_of(model: Model, experiment: str = "", keepalive_s: float = 4.0) -> RoutingTable:
    route = Route(
        name="r",
        match=Match(path="*"),
        variants=(variant("m", model.port, keepalive_s=keepalive_s),),
        split=Split(champion="m"),
        experiment=experiment,
    )
    return RoutingTable(version=1, routes=(route,))


async def test_worker_serves_from_its_table_file_without_a_controller(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        assert (await client.ask(get())).body == b"/x "
        client.close()


async def test_worker_finds_the_controller_when_it_comes_and_takes_its_table(
    model: Model,
) -> None:
    async with worker(table_of(model, "e")) as one:
        client = await one.client()
        assert (await client.ask(get())).status == 200
        await one.controller.start()
        await until(lambda: one.controller.of(frames.Hello))
        (hello,) = one.controller.of(frames.Hello)
        assert (hello.worker, hello.pid, hello.table_version) == (4, one.running.pid, 1)
        await until(lambda: len(one.controller.exposures) == 1)
        one.controller.publish(RoutingTable(version=2))
        await until(lambda: one.controller.of(frames.Applied))
        assert (await client.ask(get())).status == 404
        client.close()


async def test_end_of_the_supervisors_pipe_stops_the_worker(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        assert (await client.ask(get())).status == 200
        client.close()
        one.let_go()
        assert await one.ended() == 0


async def test_sigterm_finishes_requests_under_way(model: Model) -> None:
    """F21. The listening socket is the supervisor's, so nobody is refused meanwhile."""
    model.script = waits(0.5, echoes)
    async with worker(table_of(model)) as one:
        busy, idle = await one.client(), await one.client()
        await busy.send(get(b"/busy"))
        await until(lambda: model.requests)
        one.terminate()
        assert (await busy.answer()).body == b"/busy "
        assert await idle.ended() == b""
        busy.close()
        idle.close()
        assert await one.ended() == 0
        (await one.client()).close()  # the backlog takes it, for the next worker


async def test_sigterm_does_not_wait_for_ever(model: Model) -> None:
    model.script = hangs
    async with worker(table_of(model), drain_s=0.2) as one:
        client = await one.client()
        await client.send(get())
        await until(lambda: model.requests)
        one.terminate()
        assert await one.ended() == 0
        client.close()


async def test_idle_worker_holds_less_than_it_promises(model: Model) -> None:
    async with worker(table_of(model)) as one:
        client = await one.client()
        for _ in range(20):
            assert (await client.ask(get())).status == 200
        client.close()
        await asyncio.sleep(0.1)
        assert 5.0 < one.rss_mb < MAX_IDLE_MB


async def test_aborted_connections_leave_no_descriptor_and_no_memory(model: Model) -> None:
    """F10 in the real process."""
    model.script = hangs
    async with worker(table_of(model, keepalive_s=0.05)) as one:
        first = await one.client()
        await first.send(get())
        await until(lambda: model.requests)
        first.reset()
        await asyncio.sleep(0.1)
        before, before_mb = one.n_descriptors, one.rss_mb
        for _ in range(20):
            clients = [await one.client() for _ in range(50)]
            for client in clients:
                await client.send(get())
            for client in clients:
                client.reset()
        await until(lambda: one.n_descriptors <= before)
        assert one.rss_mb - before_mb < 8.0
        assert one.log.read_text().count("\n") < 10


def test_worker_imports_nothing_heavy() -> None:
    code = "import sys, router.worker; print('\\n'.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in found if name.split(".")[0] in FORBIDDEN]


def test_command_line_is_what_the_supervisor_writes() -> None:
    given = ["--listen-fd", "3", "--listen-fd", "5", "--table", "t", "--control", "c"]
    options = arguments(given)
    assert (options.listen_fd, options.worker, options.alive_fd) == ([3, 5], 0, None)
    limits = limits_of(arguments([*given, "--max-connections", "7", "--memory-bytes", "9"]))
    assert (limits.connections, limits.requests, limits.memory_bytes) == (7, 4096, 9)
    assert limits_of(options).memory_bytes is None
    with pytest.raises(SystemExit):
        arguments(["--table", "t"])


def test_broken_table_file_is_an_error_and_not_an_empty_table(tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_bytes(b"\x01")
    with pytest.raises(ValueError):
        read_table(file)


async def test_worker_serves_tls_with_the_certificate_that_it_is_told(
    model: Model, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.pem))
    async with worker(table_of(model), tls=authority.server()) as one:
        client = await one.client(trusting)
        assert (await client.ask(get())).body == b"/x "
        one.terminate()
        assert await one.ended() == 0
        client.close()


async def test_worker_without_a_certificate_to_show_ends_with_a_reason(
    model: Model, tmp_path: Path
) -> None:
    shown = Authority(tmp_path).server()
    Path(shown.key).unlink()
    one = Worker(tmp_path, table_of(model), drain_s=1.0, tls=shown)
    assert await one.ended() == 1
    assert "cannot serve TLS" in one.log.read_text() and "Traceback" not in one.log.read_text()
    one.let_go()
    one.listener.close()


def test_what_reads_predictions_is_loaded_when_it_is_first_needed() -> None:
    assert reader_of("") is None
    make_read = reader_of("nobody.knows:this")
    assert make_read is not None
    with pytest.raises(ModuleNotFoundError):
        make_read("p")
    make_read = reader_of("sidecar.prediction:reader")
    assert make_read is not None
    assert make_read("p")(Outcome("v", 200, 0.1, "", b'{"p": 7.0}', 10)) == ("7", False)
