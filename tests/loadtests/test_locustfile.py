"""Locust patches the standard library on import, so its file is only ever run apart."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "loadtests/locustfile.py"


class Sidecar(http.server.BaseHTTPRequestHandler):
    """Predicts, and accepts the labels of predictions that it has made."""

    protocol_version = "HTTP/1.1"
    made: set[str]
    labelled: list[str]
    users: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/labels":
            labels = [json.loads(line) for line in body.splitlines()]
            known = [label["request_id"] for label in labels if label["request_id"] in self.made]
            self.labelled.extend(known)
            self._answer({"accepted": len(known)})
            return
        assert len(json.loads(body)["instances"][0]) == 64
        self.users.add(self.headers["x-user-id"])
        request_id = f"r{len(self.made)}"
        self.made.add(request_id)
        self._answer({"predictions": [7]}, request_id)

    def _answer(self, answer: dict[str, object], request_id: str = "") -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-request-id", request_id)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Sidecar.made, Sidecar.labelled, Sidecar.users = set(), [], set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_users_predict_and_label_their_own_predictions_once(port: int, tmp_path: Path) -> None:
    shape = ["--headless", "--users", "4", "--spawn-rate", "4", "--run-time", "10s"]
    shape += ["--host", f"http://127.0.0.1:{port}", "--json", "--only-summary"]
    settings = {
        "ADMIN": f"http://127.0.0.1:{port}",
        "LABELLED_SHARE": "1",
        "LABEL_DELAY_S": "0.1",
        "REQUESTS_PER_S": "40",
    }
    finished = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(FILE), *shape],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr  # Locust returns 1 when a request failed
    assert len(Sidecar.users) == 4
    assert len(Sidecar.made) > 20
    assert Sidecar.labelled
    assert len(set(Sidecar.labelled)) == len(Sidecar.labelled)
