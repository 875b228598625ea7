"""A real nats-server with JetStream, in a folder of its own, and a client beside the product's."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

NEEDED = pytest.mark.skipif(
    shutil.which("nats-server") is None, reason="run scripts/install-test-packages.sh first"
)
"""For the tests of a file."""


class Broker:
    """Started and stopped as often as a test likes; the stream outlives it."""

    def __init__(self, folder: Path, config: str = "", scheme: str = "nats") -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._folder = folder
        self._config = folder / "nats.conf"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder / "stream"}", max_mem: 64MB, max_file: 256MB }}\n'
            + config
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nats-server", "-c", str(self._config)], stdout=log, stderr=log
            )
        end_s = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < end_s, (self._folder / "nats.log").read_text()
            assert self._process.poll() is None, (self._folder / "nats.log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as one:
                return one.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    async def client(self, **options: Any) -> Any:
        """Return a connected client; close it."""
        nats = pytest.importorskip("nats")
        return await nats.connect(self.url, **options)

    async def publish(self, bodies: Sequence[bytes], headers: Any = None, **options: Any) -> None:
        """Make the stream if needed, and put ``bodies`` into it."""
        client = await self.client(**options)
        stream = client.jetstream()
        await stream.add_stream(name="LABELS", subjects=["labels.>"])
        for body in bodies:
            await stream.publish("labels.fraud", body, headers=headers)
        await client.close()

    async def left(self, durable: str = "understudy", **options: Any) -> tuple[int, int]:
        """Return how many messages were not delivered yet, and not acknowledged yet."""
        client = await self.client(**options)
        try:
            found = await client.jetstream().consumer_info("LABELS", durable)
            return int(found.num_pending or 0), int(found.num_ack_pending or 0)
        finally:
            await client.close()
