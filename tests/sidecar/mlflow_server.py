"""A real MLflow tracking server on SQLite, and what tests put into it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / ".venv-mlflow" / "bin" / "mlflow"
STARTS_WITHIN_S = 240.0
"""It imports for seconds, and makes its tables; on a busy machine that is minutes."""


class MlflowServer:
    """Takes seconds to start: one test uses it, for everything."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "log"
        command = [
            *(str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
                start_new_session=True,
            )

    def wait(self) -> None:
        end_s = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end_s, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, and the workers that it started."""
        os.killpg(self._process.pid, 15)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(20)

    def api(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Ask the REST API as MLflow's own client would."""
        body = json.dumps(content).encode()
        return self._ask(method, f"/api/2.0/mlflow/{path}", body, "application/json")

    def version(self, name: str, files: dict[str, bytes], **run: str) -> tuple[str, str]:
        """Make a version of ``name`` with a run; return the version and the run's id."""
        experiment = "0"
        made = self.api("POST", "runs/create", experiment_id=experiment, user_id="ada")
        info = made["run"]["info"]
        for key, value in run.items():
            self.api("POST", "runs/log-parameter", run_id=info["run_id"], key=key, value=value)
        commit = {"key": "mlflow.source.git.commit", "value": "1f2e3d"}
        self.api("POST", "runs/set-tag", run_id=info["run_id"], **commit)
        dataset = {"name": "train", "digest": "2981c147", "source_type": "code", "source": "{}"}
        tags = [{"key": "mlflow.data.context", "value": "training"}]
        inputs = [{"dataset": dataset, "tags": tags}]
        self.api("POST", "runs/log-inputs", run_id=info["run_id"], datasets=inputs)
        source = f"{info['artifact_uri']}/model"
        for path, content in files.items():
            place = source.removeprefix("mlflow-artifacts:/")
            url = f"/api/2.0/mlflow-artifacts/artifacts/{place}/{path}"
            self._ask("PUT", url, content, "application/octet-stream")
        try:
            self.api("POST", "registered-models/create", name=name)
        except urllib.error.HTTPError as error:  # it is there already
            error.close()
        named = self.api(
            "POST", "model-versions/create", name=name, source=source, run_id=info["run_id"]
        )
        return str(named["model_version"]["version"]), str(info["run_id"])

    def tags(self, name: str, version: str) -> dict[str, str]:
        found = self.api("GET", f"model-versions/get?name={name}&version={version}")
        return {tag["key"]: tag["value"] for tag in found["model_version"].get("tags", ())}

    def alias(self, name: str, alias: str) -> str | None:
        try:
            found = self.api("GET", f"registered-models/alias?name={name}&alias={alias}")
        except urllib.error.HTTPError as error:
            error.close()
            return None
        return str(found["model_version"]["version"])

    def _ask(self, method: str, path: str, body: bytes, kind: str) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            data=None if method == "GET" else body,
            method=method,
            headers={"content-type": kind},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            raw = answer.read()
        found = json.loads(raw) if raw else {}
        assert isinstance(found, dict)
        return found
