"""A whole sidecar in real processes, models behind it, and clients that count what fails."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATH = "/v1/models/digits:predict"
ROUTING = """listen: 127.0.0.1:{listen}
{top}
admin: {{listen: "127.0.0.1:{admin}"}}
state: ./state
workers: {workers}
routes:
  - name: digits
    match: {{path: "{path}"}}
    champion: {{name: digits-1, url: "http://{host}:{champion}"}}
    challengers: [{{name: digits-2, url: "http://127.0.0.1:{challenger}"}}]
    metrics:
      errors: {{kind: error, role: guardrail, margin: 1%}}
    rollout: {{stages: [shadow: {{share: 100%}}]}}
...
"""


class Model(ThreadingHTTPServer):
    """Answers every POST with its name; the header x-sleep asks it to take that many seconds."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        body = json.dumps({"predictions": [name]}).encode()
        heads = self.heads = deque[str](maxlen=100)

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                heads.append(str(self.headers))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                time.sleep(float(self.headers.get("x-sleep", 0)))
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test output clean."""

        super().__init__(("127.0.0.1", 0), Answer)
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A router that was killed leaves broken connections: no news."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Sidecar:
    """``understudy run`` in ``folder``, with its two models."""

    def __init__(
        self,
        folder: Path,
        workers: int = 1,
        more: str = "",
        *,
        host: str = "127.0.0.1",
        top: str = "",
        routing: str = ROUTING,
    ) -> None:
        """``host`` is the champion's, ``top`` a further line of the routing file."""
        self.folder = folder
        self.models = [Model("digits-1"), Model("digits-2")]
        self.port, self.admin = free_port(), free_port()
        self.file = folder / "routing.yaml"
        self.file.write_text(
            more
            + routing.format(
                listen=self.port,
                admin=self.admin,
                workers=workers,
                path=PATH,
                host=host,
                top=top,
                champion=self.models[0].port,
                challenger=self.models[1].port,
            )
        )
        self.log = folder / "log"
        self.supervisor = self.start()
        self.formers: list[subprocess.Popen[bytes]] = []
        self.until(lambda: self.get("/readyz")[0] == 200)

    def command(self, *options: str) -> list[str]:
        code = "from sidecar.cli import main; main()"
        return [sys.executable, "-c", code, "run", *options, str(self.file)]

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("a") as log:
            return subprocess.Popen(self.command(*options), stderr=log)

    def take_over(self) -> subprocess.Popen[bytes]:
        """Start a successor; it is ``supervisor`` from now on. Return the former."""
        former, self.supervisor = self.supervisor, self.start("--take-over")
        self.formers.append(former)
        return former

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of this event so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return [line for line in lines if line.get("event") == event]

    def pid(self, child: str) -> int:
        """Return the process id of ``controller``, ``router 0``, ... as started last."""
        started = [line for line in self.events("started") if line.get("child") == child]
        return int(started[-1]["child_pid"])

    def pids(self) -> set[int]:
        return {int(line["child_pid"]) for line in self.events("started")}

    def text(self, path: str) -> str:
        """Ask the admin port for something that is not JSON; empty when it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.admin}{path}", timeout=5
            ) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def get(self, path: str) -> tuple[int, Any]:
        """Ask the admin port; status 0 when it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def until(self, condition: Callable[[], object], within_s: float = 20.0) -> float:
        """Wait for ``condition``; return how many seconds it took."""
        began = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - began
            assert waited_s < within_s, self.log.read_text()[-4000:]
            time.sleep(0.02)
        return time.monotonic() - began

    def close(self) -> None:
        for supervisor in (self.supervisor, *self.formers):
            if supervisor.poll() is None:
                supervisor.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    supervisor.wait(20)
            if supervisor.poll() is None:
                supervisor.kill()
                supervisor.wait()
        for model in self.models:
            model.close()
        self.until(lambda: not any(is_alive(pid) for pid in self.pids()))


class Load:
    """Clients that ask without pause, half of them on a new connection each time."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port = port
        self._stopping = threading.Event()
        self.answered = 0
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(k % 2 == 0,)) for k in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, is_keeping: bool) -> None:
        connection = self._connect()
        while not self._stopping.is_set():
            failure = _ask_once(connection)
            with self._lock:
                self.answered += not failure
                self.failures += [failure] if failure else []
            if failure or not is_keeping:
                connection.close()
                connection = self._connect()
            time.sleep(0.005)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def _ask_once(connection: http.client.HTTPConnection) -> str:
    """Return what went wrong, or nothing."""
    try:
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    if response.status != 200 or body != b'{"predictions": ["digits-1"]}':
        return f"{response.status} {body[:100]!r}"
    return ""


@contextlib.contextmanager
def load(sidecar: Sidecar) -> Iterator[Load]:
    """Put ``sidecar`` under load while the block runs, and a moment before and after."""
    clients = Load(sidecar.port)
    try:
        sidecar.until(lambda: clients.answered > 50)
        yield clients
        enough = clients.answered + 50
        sidecar.until(lambda: clients.answered > enough)
    finally:
        clients.stop()


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
