"""A real worker process: ``python -m router.worker`` on a socket and a table of the test's.

It is started as the supervisor starts it, so after ``make compile`` it is the compiled one.
"""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from router.certificate import ServerTls
from router.table import RoutingTable, to_bytes
from sidecar.compiled import router_environment
from tests.router.kit import Client, FakeController, until

ROOT = Path(__file__).parents[2]


class Worker:
    """One router process, and the ends of what the supervisor would hold."""

    def __init__(
        self,
        folder: Path,
        table: RoutingTable,
        drain_s: float,
        more: Sequence[str] = (),
        files: int = 0,
        tls: ServerTls | None = None,
    ) -> None:
        self.controller = FakeController(str(folder / "control.sock"))
        self.clients: list[Client] = []
        (folder / "table.msgpack").write_bytes(to_bytes(table))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self.listener.getsockname()[1])
        read_end, self.alive_fd = os.pipe()
        fds = (self.listener.fileno(), read_end)
        command = [
            sys.executable, "-P", "-m", "router.worker",
            "--listen-fd", str(fds[0]), "--worker", "4",
            "--table", str(folder / "table.msgpack"), "--control", self.controller.path,
            "--alive-fd", str(fds[1]), "--drain-s", str(drain_s), "--lag-s", "30", *more,
        ]  # fmt: skip
        if tls is not None:
            command += ["--tls-cert", tls.cert, "--tls-key", tls.key]
            command += ["--tls-client-ca", tls.client_ca]
        if files:
            command = ["prlimit", f"--nofile={files}:{files}", *command]
        self.log = folder / "log"
        with self.log.open("w") as log:
            environment = router_environment(os.environ)
            self.running = subprocess.Popen(
                command, pass_fds=fds, stderr=log, cwd=ROOT, env=environment
            )
        os.close(read_end)

    async def client(self, tls: ssl.SSLContext | None = None) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, ssl=tls))
        self.clients.append(client)
        return client

    async def ended(self) -> int:
        """Wait for the process to end; return its exit code."""
        await until(lambda: self.running.poll() is not None, within_s=10.0)
        return int(self.running.returncode)

    def let_go(self) -> None:
        """End the pipe, as the supervisor's death does."""
        if self.alive_fd >= 0:
            os.close(self.alive_fd)
            self.alive_fd = -1

    def terminate(self) -> None:
        self.running.send_signal(signal.SIGTERM)

    @property
    def rss_mb(self) -> float:
        """Resident memory, megabytes of 10**6 bytes."""
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        (line,) = (one for one in status.splitlines() if one.startswith("VmRSS"))
        return int(line.split()[1]) * 1024 / 1e6

    @property
    def n_descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.running.pid}/fd"))


@contextlib.asynccontextmanager
async def worker(
    table: RoutingTable,
    *more: str,
    drain_s: float = 5.0,
    files: int = 0,
    tls: ServerTls | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker; whatever it wrote to its log must not hold a traceback.

    ``more`` goes on its command line; ``files`` is its limit of open files, 0 leaves it alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        one = Worker(Path(folder), table, drain_s, more, files, tls)
        try:
            yield one
        finally:
            for client in one.clients:
                client.close()
            one.let_go()
            try:
                await one.ended()
            finally:
                if one.running.poll() is None:
                    one.running.kill()
                    one.running.wait()
                one.listener.close()
                one.controller.stop()
        assert "Traceback" not in one.log.read_text(), one.log.read_text()[:4000]
