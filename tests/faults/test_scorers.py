"""Texts judged by a scorer in a whole sidecar: an HTTP service, and a Python entry point.

Real processes and sockets throughout. A scorer that hangs or dies costs labels, which are counted,
and holds the rollout; clients notice nothing.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.faults.running import ROUTING, Sidecar, load

WORTH = {"digits-1": 0.5, "digits-2": 0.9}
"""What a text is worth: of the champion, which is called so, and of the challenger."""
BATCH = 16
WITHIN_S = 120.0
SIDES = ("champion", "challenger")

PLAIN = """    metrics:
      errors: {{kind: error, role: guardrail, margin: 1%}}
"""
METRIC = """    prediction: "predictions[0]"
    metrics:
      errors: {{kind: error, role: guardrail, margin: 1%}}
      quality: {{kind: mean, role: guardrail, source: scorer, range: [0, 1], margin: 0.1}}
    labels:
      window: 1h
      maturity: 1s
      scorer: {{SCORER, batch: 16, deadline: 1s}}
"""

PROJECT = """
import os, pathlib, time


def score(items):
    folder = pathlib.Path(os.environ["SCORER_FOLDER"])
    with (folder / "calls").open("a") as calls:
        calls.write(f"{len(items)}\\n")
    while (folder / "asleep").exists():
        time.sleep(0.05)
    worth = {"digits-1": 0.5, "digits-2": 0.9}
    return [{side: worth[item[side]] for side in ("champion", "challenger")} for item in items]
"""


class Judge(ThreadingHTTPServer):
    """Scores texts by WORTH; while ``goes_on`` is not set, it takes batches and says nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        batches: list[list[dict[str, Any]]] = []
        goes_on = threading.Event()
        goes_on.set()
        self.batches, self.goes_on = batches, goes_on

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                items = json.loads(self.rfile.read(length))["items"]
                batches.append(items)
                goes_on.wait()
                scores = [{side: WORTH[item[side]] for side in SIDES} for item in items]
                body = json.dumps({"scores": scores}).encode()
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
        """Who asked may have hung up at its deadline: no news."""

    def close(self) -> None:
        self.goes_on.set()
        self.shutdown()
        self.server_close()


Start = Callable[[str], Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Sidecar] = []

    def make(scorer: str) -> Sidecar:
        metrics = METRIC.replace("SCORER", scorer)
        declared = ROUTING.replace(PLAIN, metrics)
        assert declared != ROUTING
        made.append(Sidecar(tmp_path, routing=declared))
        return made[-1]

    yield make
    for sidecar in made:
        sidecar.close()


@pytest.fixture
def judge() -> Iterator[Judge]:
    server = Judge()
    yield server
    server.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the user's, installed where the sidecar's processes import from."""
    folder = tmp_path / "project"
    metadata = folder / "texts-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "texts.py").write_text(PROJECT)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: texts\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[understudy.scorers]\nworth = texts:score\n")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), before))))
    monkeypatch.setenv("SCORER_FOLDER", str(folder))
    return folder


def route(sidecar: Sidecar) -> dict[str, Any]:
    """Return what the status says of the only route; empty while it does not answer."""
    status, content = sidecar.get("/v1/status")
    return dict(content["routes"][0]) if status == 200 and content.get("routes") else {}


def quality(sidecar: Sidecar) -> dict[str, Any]:
    """Return the reading of the scorer's metric."""
    checks = {check["check"]: check for check in route(sidecar).get("checks", [])}
    return dict(checks.get("quality", {"state": "", "n": 0}))


def asked(sidecar: Sidecar, became: str) -> int:
    """Return how many answers were ``scored``, or ``failed`` to be."""
    _, content = sidecar.get("/v1/status")
    return int(content.get("scorers", {}).get("digits", {}).get(became, 0))


def unlabelled(sidecar: Sidecar) -> int:
    """Return how many observations were judged without a label."""
    return int(route(sidecar).get("counts", {}).get("unlabelled", 0))


def until_passed(sidecar: Sidecar) -> dict[str, Any]:
    """Wait until the scores have shown that the challenger's texts are good enough."""
    sidecar.until(lambda: quality(sidecar)["state"] == "passed", WITHIN_S)
    return quality(sidecar)


def until_failing(sidecar: Sidecar) -> None:
    """Wait until calls come to nothing, and their answers have grown old without a label."""
    failed, without = asked(sidecar, "failed"), unlabelled(sidecar)
    sidecar.until(lambda: asked(sidecar, "failed") > failed + BATCH, WITHIN_S)
    sidecar.until(lambda: unlabelled(sidecar) > without + BATCH, WITHIN_S)


def test_service_judges_texts_in_batches_and_its_scores_are_evidence(
    start: Start, judge: Judge
) -> None:
    sidecar = start(f'url: "http://127.0.0.1:{judge.port}/score"')
    with load(sidecar) as clients:
        found = until_passed(sidecar)
    assert clients.failures == []
    assert found["effect"] == pytest.approx(0.4, abs=0.01) and found["odds"] >= 20.0
    sizes = [len(items) for items in judge.batches]
    assert 1 < max(sizes) <= BATCH
    first = judge.batches[0][0]
    assert (first["champion"], first["challenger"]) == ("digits-1", "digits-2")
    assert asked(sidecar, "scored") >= found["n"]


def test_service_that_hangs_or_is_gone_holds_the_rollout_and_clients_go_on(
    start: Start, judge: Judge
) -> None:
    judge.goes_on.clear()
    sidecar = start(f'url: "http://127.0.0.1:{judge.port}/score"')
    with load(sidecar) as clients:
        until_failing(sidecar)
        held = route(sidecar)
        assert held["phase"] == "shadow"
        assert any(line.startswith("quality") for line in held["missing"])
        assert quality(sidecar)["state"] in ("undecided", "unknown") and quality(sidecar)["n"] == 0
        assert asked(sidecar, "scored") == 0
        judge.goes_on.set()
        until_passed(sidecar)
        judge.close()
        until_failing(sidecar)
        assert sidecar.get("/readyz")[0] == 200
    assert clients.failures == []


def test_entry_point_judges_texts_and_may_be_slow(start: Start, project: Path) -> None:
    (project / "asleep").touch()
    sidecar = start("function: worth")
    with load(sidecar) as clients:
        until_failing(sidecar)
        assert quality(sidecar)["state"] in ("undecided", "unknown") and quality(sidecar)["n"] == 0
        assert asked(sidecar, "scored") == 0
        (project / "asleep").unlink()
        found = until_passed(sidecar)
    assert clients.failures == []
    assert found["effect"] == pytest.approx(0.4, abs=0.01)
    sizes = [int(line) for line in (project / "calls").read_text().split()]
    assert 1 < max(sizes) <= BATCH
