"""A whole sidecar whose observations wait for labels, and who keeps what was acknowledged."""

import contextlib
import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from controller import store
from evaluator.requestkey import id_of
from tests.faults.running import PATH, Sidecar

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
    prediction: "predictions[0]"
    metrics:
      accuracy: {{kind: correct, role: objective, detect: 2%}}
      errors: {{kind: error, role: guardrail, margin: 1%}}
    labels: {{maturity: MATURITY, window: 24h}}
    rollout: {{stages: [shadow: {{share: 100%}}]}}
...
"""
ANSWERS = ('"digits-1"', '"digits-2"')
"""Labels: whom of the two models they call right."""


def routing(maturity: str) -> str:
    return ROUTING.replace("MATURITY", maturity)


class Asker:
    """Asks for predictions without pause; what was answered waits to be labelled."""

    def __init__(self, sidecar: Sidecar, pause_s: float = 0.003) -> None:
        self._sidecar = sidecar
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self.failures: list[str] = []
        self.answered: list[str] = []
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in "ab"]
        for thread in self._threads:
            thread.start()

    def _ask(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._sidecar.port, timeout=20)
        for number in itertools.count():
            if self._stopping.is_set():
                break
            request_id = f"{name}-{number}"
            try:
                headers = {"content-type": "application/json", "x-request-id": request_id}
                connection.request("POST", PATH, b"{}", headers)
                response = connection.getresponse()
                body = response.read()
                if response.status == 200 and body == b'{"predictions": ["digits-1"]}':
                    self.answered.append(request_id)
                else:
                    self.failures.append(f"{response.status} {body[:100]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(type(error).__name__)
                connection.close()
            time.sleep(self._pause_s)
        connection.close()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


class Labeller:
    """Sends a label for every answer until it is acknowledged, in small batches.

    ``acknowledged`` maps request ids to labels: what must be in the state from then on.
    """

    def __init__(self, sidecar: Sidecar, asker: Asker, batch: int = 20) -> None:
        self._sidecar = sidecar
        self._asker = asker
        self._batch = batch
        self._stopping = threading.Event()
        self._dice = random.Random(3)
        self._label_of: dict[str, str] = {}
        self._at = 0
        self.acknowledged: dict[str, str] = {}
        self.statuses: list[int] = []
        """Of every POST; 0 when there was no answer."""
        self._again: list[str] = []
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        while not self._stopping.is_set():
            wanted = self._next()
            if not wanted:
                time.sleep(0.01)
                continue
            for request_id in wanted:
                self._label_of.setdefault(request_id, self._dice.choice(ANSWERS))
            status, content = post(self._sidecar, [(i, self._label_of[i]) for i in wanted])
            self.statuses.append(status)
            if status != 200:
                self._again = wanted  # as a sender must
                time.sleep(0.02)
                continue
            refused = {row["request_id"]: row["result"] for row in content["items"]}
            for request_id in wanted:
                result = refused.get(request_id, "accepted")
                if result in ("accepted", "duplicate"):
                    self.acknowledged[request_id] = self._label_of[request_id]
            self._again = [i for i, result in refused.items() if result == "unknown"]

    def _next(self) -> list[str]:
        again, self._again = self._again, []
        fresh = self._asker.answered[self._at : self._at + self._batch - len(again)]
        self._at += len(fresh)
        return again + fresh

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def post(sidecar: Sidecar, labels: Sequence[tuple[str, str]]) -> tuple[int, Any]:
    """Send labels; status 0 when there is no answer."""
    body = json.dumps([{"request_id": i, "label": json.loads(text)} for i, text in labels])
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.admin, timeout=40)
    try:
        connection.request("POST", "/v1/labels", body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()


@contextlib.contextmanager
def labelling(sidecar: Sidecar) -> Iterator[tuple[Asker, Labeller]]:
    """Ask and label while the block runs."""
    asker = Asker(sidecar)
    labeller = Labeller(sidecar, asker)
    try:
        yield asker, labeller
    finally:
        asker.stop()
        labeller.stop()


def labels_in(database: Path) -> dict[str, str]:
    """Return every label of a state, by request id."""
    with store.reader(database) as reader:
        rows = reader.execute("SELECT key, content FROM ident JOIN label USING (sequence)")
        return {id_of(key): text for key, text in rows}


def lost(labeller: Labeller, database: Path) -> list[str]:
    """Return the acknowledged labels that the state does not have."""
    acknowledged = dict(labeller.acknowledged)
    kept = labels_in(database)
    return [i for i, text in acknowledged.items() if kept.get(i) != text]


def route_of(sidecar: Sidecar) -> dict[str, Any]:
    """Return the route's status; empty while there is none."""
    status, content = sidecar.get("/v1/status")
    routes = content.get("routes") or [{}]
    return dict(routes[0]) if status == 200 else {}
