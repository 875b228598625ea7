"""The sidecar under soak: ``understudy run`` with one worker, a champion and a challenger."""

import asyncio
import http.client
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.running import Sidecar, free_port
from tests.router.running import ROOT

ROUTING = """listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
state: ./state
workers: 1
routes:
  - name: soak
    match: {{path: /v1/models/soak/*}}
    protocol: kserve-v1
    inference: ["/v1/models/soak/*", "GET /v1/models/soak/*"]
    prediction: "predictions[0]"
    champion: {{name: champion, url: "http://127.0.0.1:{champion}", timeouts: {{response: 20s}}}}
    challengers:
      - {{name: challenger, url: "http://127.0.0.1:{challenger}", timeouts: {{response: 2s}}}}
    metrics:
      accuracy: {{kind: correct, role: objective, detect: 1%}}
    limits: {{eject_after: 1000}}
    labels: {{window: 1d, maturity: 12h}}
    rollout: {{stages: [shadow: {{share: 100%, for_at_least: 12h}}]}}
...
"""
"""The mirror is never given up: every fault meets the whole of the traffic."""


class SoakSidecar(Sidecar):
    """As the fault tests' sidecar, with models in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = []
        self.formers = []
        self.port, self.admin = free_port(), free_port()
        self.model_ports = {"champion": free_port(), "challenger": free_port()}
        self.control_ports = {"champion": free_port(), "challenger": free_port()}
        self.file = folder / "routing.yaml"
        self.file.write_text(ROUTING.format(listen=self.port, admin=self.admin, **self.model_ports))
        self.processes = {name: self._start_model(name) for name in self.model_ports}
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.supervisor = subprocess.Popen(self.command(), stderr=log, stdout=log)
        try:
            ended = self.supervisor.poll
            self.until(lambda: ended() is not None or self.get("/readyz")[0] == 200, within_s=60.0)
            assert ended() is None, self.log.read_text()[-4000:]
            self.until(self.is_mirroring, within_s=60.0)
        except BaseException:
            self.close()
            raise

    def _start_model(self, name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.soak.model", "--name", name]
        command += ["--port", str(self.model_ports[name])]
        command += ["--control", str(self.control_ports[name])]
        return subprocess.Popen(command, cwd=ROOT)

    def is_mirroring(self) -> bool:
        """Whether the route is in its shadow and the router works by that table."""
        status, content = self.get("/v1/status")
        if status != 200 or not content.get("routes"):
            return False
        versions = [router["table_version"] for router in content.get("routers", [])]
        route = content["routes"][0]
        in_force = versions == [content.get("table_version")]
        return bool(in_force and route["phase"] == "shadow" and route["mirror_share"] == 1.0)

    async def is_ready(self, within_s: float = 60.0) -> None:
        """Wait until the admin side answers; the loop goes on meanwhile."""
        ends_s = time.monotonic() + within_s
        loop = asyncio.get_running_loop()
        while (await loop.run_in_executor(None, self.get, "/readyz"))[0] != 200:
            assert time.monotonic() < ends_s, self.log.read_text()[-3000:]
            await asyncio.sleep(0.1)

    def post_labels(self, body: bytes) -> bool:
        """Post labels; return whether they were acknowledged."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("POST", "/v1/labels", body, {"content-type": "application/json"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Return every sample of ``/metrics`` by its name with labels; empty when it is away."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
        pairs = (line.rpartition(" ") for line in lines if line[:1] != "#")
        return {name: float(value) for name, _, value in pairs if name}

    def close(self) -> None:
        try:
            super().close()
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait()
