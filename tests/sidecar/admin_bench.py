"""An admin port on a double, asked over a real socket."""

import asyncio
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from controller.opening import open_database
from router.tasks import spawn
from sidecar.api import application
from sidecar.counts import Counts
from sidecar.dashboard.board import Board
from sidecar.dashboard.recorder import Recorder
from sidecar.desk import Desk
from sidecar.engine import Engine
from sidecar.guard import Access
from sidecar.history import History
from sidecar.hub import Hub
from sidecar.keyring import Keyring
from sidecar.probe import Probe
from sidecar.pump import Pump
from sidecar.reload import Reloader
from sidecar.tokenfile import Scope
from tests.sidecar.double import Double

TOKEN = "a-secret-of-some-length"
ROUTES = """routes:
  - name: digits
    match: {path: "/predict"}
    champion: {name: digits-1, url: "http://127.0.0.1:9101"}
...
"""


class AdminBench:
    """Everything behind the admin port but routers; ``start`` and ``close`` belong together."""

    def __init__(
        self,
        folder: Path,
        token: str = TOKEN,
        label_token: str = "",
        tokens: Path | None = None,
        closed: Collection[Scope] = (),
        recorder: Recorder | None = None,
    ) -> None:
        self.double = Double()
        self.file = folder / "routing.yaml"
        self.file.write_text(ROUTES)
        self.counts = Counts()
        self.gate_progress: dict[str, dict[str, int]] = {}
        """By route; of gates under way."""
        self.engine = Engine(lambda: self.double.controller)
        self.pump = Pump(self.engine, lambda _: None, lambda _: asyncio.Future())
        self.hub = Hub(
            folder / "s", self.pump.batches, self.counts, self.pump.eject, self.pump.fence
        )
        self.probe = Probe(lambda: self.hub.table)
        self.reloader = Reloader(self.file, self._adopt)
        database = folder / "understudy.db"
        open_database(database).close()
        self.desk = Desk(
            self.engine,
            self.pump,
            self.hub,
            self.counts,
            self.reloader,
            self.probe,
            database,
            gate_progress=self.gate_progress.get,
        )
        access = Access(bound_host="127.0.0.1")
        keyring = Keyring(tokens, token=token, label_token=label_token, closed=closed)
        self.app = application(self.desk, access, keyring)
        self.history = History(folder / "history.db")
        self.recorder = recorder or Recorder(self.history, self.desk.status, self.counts.total)
        Board(self.desk, self.history, self.recorder).attach(self.app)
        self.client = TestClient(TestServer(self.app))

    async def _adopt(self, intent: Any, who: str) -> None:
        await self.engine.call(lambda controller: controller.adopt(intent, who))

    async def start(self) -> None:
        await self.engine.start()
        await self.client.start_server()
        self._running = spawn(self.pump.run(), name="pump")

    async def close(self) -> None:
        self.double.hang.set()
        await self.client.close()
        self.pump.stop()
        await self._running
        await self.engine.close()
        self.history.close()

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.client.get(path, headers=headers)

    async def post(
        self, path: str, body: str | bytes = b"", kind: str = "application/json", **headers: str
    ) -> ClientResponse:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"Content-Type": kind} if body else {}
        raw = body.encode() if isinstance(body, str) else body
        return await self.client.post(path, data=io.BytesIO(raw) if raw else None, headers=given)
