"""The controller process around a double: order of start and stop, and what a fault may not take.

The real controller in real processes is in tests/faults/test_processes.py.
"""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller import audit
from controller.controller import Controller
from controller.store import StoreError
from router import frames, table
from router.frames import Ack, Hello, Publish
from router.observation import Batch
from router.table import RoutingTable
from router.tasks import spawn
from sidecar import lockfile
from sidecar import process as module
from sidecar.eventspec import EventSpec
from sidecar.guard import Access
from sidecar.keyring import Keyring
from sidecar.process import ControllerProcess, Options, access_of, keyring_of, options_of
from tests.controller.test_audit import ENTRY
from tests.pace import slowness
from tests.sidecar.admin_bench import ROUTES
from tests.sidecar.double import Double
from tests.sidecar.hook import Hook


class Run:
    """A controller process inside this one."""

    def __init__(
        self,
        folder: Path,
        admin_fds: tuple[int, ...] = (),
        events: tuple[EventSpec, ...] = (),
    ) -> None:
        self.folder = folder
        (folder / "routing.yaml").write_text(ROUTES)
        self.options = Options(
            folder / "routing.yaml", folder, "127.0.0.1", 0, admin_fds, events=events
        )
        self.double = Double()
        self.open_error: Exception | None = None
        self.published: list[RoutingTable | None] = []
        self.stopping = asyncio.Event()
        access = Access(bound_host="127.0.0.1")
        self.root = ControllerProcess(self.options, access, Keyring(), self._make)
        self.task = spawn(self.root.run(self.stopping), name="process")

    def _make(
        self,
        connection: sqlite3.Connection,
        publish: Callable[[RoutingTable], None],
        published: RoutingTable | None,
    ) -> Controller:
        if self.open_error is not None:
            raise self.open_error
        self.published.append(published)
        self.double.publish = publish
        return self.double.controller

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.01)

    async def get(self, path: str) -> tuple[int, Any]:
        host, port = self.root.address
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}{path}") as response,
        ):
            return response.status, await response.json()

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.wait_for(self.task, 10)


async def hear(reader: asyncio.StreamReader) -> frames.FromController:
    async with asyncio.timeout(5):
        size = int.from_bytes(await reader.readexactly(4), "big")
        return frames.decode_from_controller(await reader.readexactly(size))


async def test_file_is_adopted_published_and_written(tmp_path: Path) -> None:
    run = Run(tmp_path)
    await run.until(lambda: (tmp_path / "table.msgpack").exists())
    assert run.double.calls[0] == "adopt by start"
    routing = table.from_bytes((tmp_path / "table.msgpack").read_bytes())
    assert routing.routes[0].name == "digits"
    await run.stop()


async def test_router_is_served_from_hello_to_the_last_receipt(tmp_path: Path) -> None:
    run = Run(tmp_path)
    await run.until(lambda: "step" in run.double.calls)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
    writer.write(frames.encode(Hello("w0", 0, 1, 5)))
    assert isinstance(await hear(reader), Publish)
    writer.write(frames.encode(Batch("w0", 1, ())))
    assert await hear(reader) == Ack("w0", 1)
    assert run.double.fences == [5]
    await run.stop()
    assert await reader.read() == b""
    writer.close()


async def test_each_record_is_told_to_the_log_the_metrics_and_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "0123456789abcdef01234567")
    async with Hook() as hook:
        spec = EventSpec(name="ops", url=hook.url, secret_env="HOOK_SECRET")
        run = Run(tmp_path, events=(spec,))
        await run.until(lambda: "step" in run.double.calls)
        await run.until(lambda: _counted(tmp_path, "outbox") == 1)
        with closing(sqlite3.connect(tmp_path / "understudy.db", isolation_level=None)) as store:
            head = audit.append(store, ENTRY)
        (got,) = await hook.count(1)
        assert json.loads(got.body)["data"]["hash"] == head.hash
        content = (await run.get("/v1/status"))[1]
        assert content["audit_head"] == {"sequence": 1, "hash": head.hash}
        assert content["events"][0]["name"] == "ops"
        await run.stop()


def _counted(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "understudy.db")) as store:
        (n,) = store.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(n)


async def test_controller_is_told_which_table_the_routers_had(tmp_path: Path) -> None:
    (tmp_path / "table.msgpack").write_bytes(table.to_bytes(RoutingTable(version=41)))
    run = Run(tmp_path)
    await run.until(lambda: run.published)
    assert run.published[0] is not None and run.published[0].version == 41
    await run.stop()


async def test_health_answers_while_the_state_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    run = Run(tmp_path)
    run.open_error = StoreError("disk full")
    await run.until(lambda: run.root._runner.addresses)
    assert (await run.get("/livez"))[0] == 200
    assert (await run.get("/readyz"))[0] == 503
    run.open_error = None
    await run.until(lambda: "step" in run.double.calls)
    await run.stop()


async def test_file_at_fault_does_not_stop_the_process(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "routing.yaml").write_text("nonsense")
    await run.until(lambda: "step" in run.double.calls)
    status, content = await run.get("/v1/status")
    assert status == 200 and "routing.yaml" in content["config_error"]
    assert run.double.intents == []
    await run.stop()


async def test_fault_of_ours_ends_the_process_so_that_it_starts_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.double.step_error = ZeroDivisionError("ours")
    async with asyncio.timeout(10):
        with pytest.raises(ExceptionGroup) as caught:
            await run.task
    assert caught.group_contains(ZeroDivisionError)


async def test_second_process_waits_for_the_first_to_end(tmp_path: Path) -> None:
    """A former one may still be ending when the supervisor starts a new one."""
    lock = lockfile.take(tmp_path / "controller.lock")
    run = Run(tmp_path)
    await asyncio.sleep(0.2)
    assert run.published == [] and not (tmp_path / "control.sock").exists()
    lock.close()
    await run.until(lambda: "step" in run.double.calls)
    await run.stop()


def test_command_line_is_what_the_supervisor_writes() -> None:
    line = "routing.yaml --alive-fd 7 --state /s --log-level error --admin-host ::1 --admin-port 9"
    assert options_of(line.split()) == Options(
        Path("routing.yaml"), Path("/s"), "::1", 9, alive_fd=7, log_level="error"
    )
    assert options_of(f"{line} --admin-fd 3 --admin-fd 4".split()).admin_fds == (3, 4)


async def test_process_does_not_open_its_port_to_others_without_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_TOKEN", raising=False)
    options = Options(tmp_path / "routing.yaml", tmp_path, "0.0.0.0", 0)
    with pytest.raises(SystemExit, match="understudy token new"):
        await module.serve(options, lambda *_: Double().controller)


async def test_admin_port_may_be_a_socket_that_listens_already(tmp_path: Path) -> None:
    """Who connects while nobody accepts is answered by the next process, not refused."""
    with socket.create_server(("127.0.0.1", 0)) as admin:
        for _ in range(2):
            run = Run(tmp_path, (admin.dup().detach(),))
            await run.until(lambda run=run: run.root._runner.addresses)  # type: ignore[misc] # bound now
            assert run.root.address == admin.getsockname()
            assert (await run.get("/livez"))[0] == 200
            await run.stop()


async def test_retiring_process_is_not_ready_and_says_why(tmp_path: Path) -> None:
    run = Run(tmp_path)
    await run.until(lambda: run.root._runner.addresses)
    run.root.retire()
    status, content = await run.get("/readyz")
    assert status == 503 and content["retiring"] is True
    assert (await run.get("/livez"))[0] == 200
    await run.stop()


def test_secrets_and_names_come_from_the_environment(tmp_path: Path) -> None:
    options = Options(Path("f"), Path("s"), "0.0.0.0", 1)
    environment = {
        "UNDERSTUDY_TOKEN": "t",
        "UNDERSTUDY_LABEL_TOKEN": "l",
        "UNDERSTUDY_ADMIN_HOSTS": "A.example.org, b.example.org,",
    }
    access = access_of(options, environment)
    assert access.bound_host == "0.0.0.0"
    assert access.names == {"a.example.org", "b.example.org"}
    assert access_of(options, {}) == Access(bound_host="0.0.0.0")
    assert keyring_of(options, environment).find("t") is not None
    assert keyring_of(options, environment).find("l") is not None
    local = Options(Path("f"), Path("s"), "127.0.0.1", 1)
    assert not keyring_of(local, {}).needs("label") and not keyring_of(local, {}).needs("read")
    assert keyring_of(replace(local, read_needs_token=True), {}).needs("read")
    assert keyring_of(options, {}).needs("label") and keyring_of(options, {}).needs("read")
    absent = Options(Path("f"), Path("s"), "127.0.0.1", 1, tokens=tmp_path / "tokens.yaml")
    assert keyring_of(absent, {}).needs("label")


class Real:
    """``python -m sidecar.process`` with the real controller."""

    def __init__(self, folder: Path) -> None:
        (folder / "routing.yaml").write_text(ROUTES)
        self.alive, self.held = os.pipe()
        self.popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "sidecar.process", str(folder / "routing.yaml")),
                *("--state", str(folder), "--admin-host", "127.0.0.1", "--admin-port", "0"),
                *("--alive-fd", str(self.alive)),
            ],
            pass_fds=(self.alive,),
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[str] = []

    def wait_for(self, event: str) -> None:
        assert self.popen.stderr is not None
        while event not in self.events:
            line = self.popen.stderr.readline()
            assert line, self.events
            self.events.append(json.loads(line)["event"])

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()
        os.close(self.alive)
        if self.held >= 0:
            os.close(self.held)


@pytest.mark.parametrize("how", ["SIGTERM", "the supervisor's end"])
def test_process_ends_cleanly(tmp_path: Path, how: str) -> None:
    real = Real(tmp_path)
    real.wait_for("routing file adopted")
    if how == "SIGTERM":
        real.popen.terminate()
    else:
        os.close(real.held)
        real.held = -1
    assert real.popen.wait(timeout=5) == 0
    real.end()


def test_hangup_reads_the_file_again(tmp_path: Path) -> None:
    real = Real(tmp_path)
    real.wait_for("routing file adopted")
    real.events.clear()
    (tmp_path / "routing.yaml").write_text(ROUTES.replace("/predict", "/other"))
    began = time.monotonic()
    real.popen.send_signal(signal.SIGHUP)
    real.wait_for("routing file adopted")
    # The poll comes every two seconds: on a machine as quick as ours it was not that.
    assert time.monotonic() - began < 1.5 * slowness()
    real.end()


def test_the_process_starts_without_what_only_gates_need() -> None:
    """scipy.stats alone takes 85 MB and a second of the processor."""
    heavy = "scipy sklearn pandas fairlearn pyarrow picklescan opentelemetry nats"
    code = f"import sidecar.process, sys; sys.exit(str(set({heavy.split()}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
