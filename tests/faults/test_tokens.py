"""A whole sidecar whose labels come back with tokens: from the answer's head to the promotion."""

import base64
import http.client
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    prediction: predictions[0]
    metrics:
      right: {{kind: correct, role: objective, detect: 20%}}
    labels: {{window: 1h, maturity: MATURITY, join: JOIN, token: {{keys: exposure.keys}}}}
    rollout:
      stages:
        - canary: {{shares: [50%], at_least: 20}}
        - production: {{watch: 1h, holdback: 50%}}
...
"""


def line(key_id: str) -> str:
    return f"{key_id} {base64.b64encode(key_id.encode() * 16).decode()}\n"


class Signed:
    """A sidecar of two models, one of which is always right, and its callers."""

    def __init__(self, folder: Path, join: str, maturity: str) -> None:
        self.folder = folder
        self.n_signed = 0
        """Answers that carried a token: as many exposures are seen, sooner or later."""
        self.keys = folder / "exposure.keys"
        self.write_keys("k1")
        routing = ROUTING.replace("JOIN", join).replace("MATURITY", maturity)
        self.sidecar = Sidecar(folder, routing=routing)
        self.sidecar.until(lambda: self.route().get("phase") == "canary")
        self.sidecar.until(lambda: self.ask()[1])

    def write_keys(self, *ids: str) -> None:
        new = self.folder / "new.keys"
        new.write_text("".join(map(line, ids)))
        new.chmod(0o600)
        new.rename(self.keys)

    def ask(self) -> tuple[str, str]:
        """Return the request id and the token of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sidecar.port, timeout=10)
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200
        token = answer.headers.get("x-understudy-exposure", "")
        self.n_signed += bool(token)
        return answer.headers["x-request-id"], token

    def label(self, *items: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.sidecar.admin}/v1/labels",
            json.dumps(items).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
            assert error.code == 409, body  # a lone conflict
        found: dict[str, Any] = json.loads(body)
        return found

    def route(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sidecar.get("/v1/routes/digits")[1]
        return found

    def rows(self) -> int:
        uri = f"file:{self.folder / 'state' / 'understudy.db'}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=10)
        try:
            return int(connection.execute("SELECT count(*) FROM observation").fetchone()[0])
        finally:
            connection.close()

    def seen(self) -> int:
        counts = self.route()["counts"]
        return int(counts["exposures_champion"] + counts["exposures_challenger"])


@pytest.fixture
def join() -> str:
    return "token"


@pytest.fixture
def maturity() -> str:
    return "1h"


@pytest.fixture
def signed(tmp_path: Path, join: str, maturity: str) -> Iterator[Signed]:
    made = Signed(tmp_path, join, maturity)
    yield made
    made.sidecar.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("maturity", ["1s"])
def test_labels_by_token_alone_lead_to_a_promotion(signed: Signed) -> None:
    """Nothing of an exposure is stored before its label has come, and the decision is made."""
    for _ in range(100):
        signed.ask()
    signed.sidecar.until(lambda: signed.seen() == signed.n_signed)
    assert signed.rows() == 0
    assert signed.route()["labels"]["waiting"] == 0

    def is_promoted() -> bool:
        tokens = [signed.ask()[1] for _ in range(20)]
        found = signed.label(*({"token": token, "label": "digits-2"} for token in tokens))
        assert found["accepted"] + found["late"] == 20, found
        return bool(signed.route()["phase"] == "watch")

    signed.sidecar.until(is_promoted, within_s=60)
    (check,) = (one for one in signed.route()["checks"] if one["check"] == "right")
    assert check["state"] == "passed" and check["log_e"] > 3.0
    metrics = signed.sidecar.text("/metrics")
    assert 'understudy_exposure_tokens_total{prediction="value",route="digits"}' in metrics
    assert 'understudy_exposure_token_labels_total{result="accepted",route="digits"}' in metrics


@pytest.mark.parametrize("join", ["store"])
def test_a_label_by_id_and_by_token_of_one_request_counts_once(signed: Signed) -> None:
    def outcome(**item: object) -> str:
        found = signed.label(item)
        (word,) = (word for word, n in found.items() if isinstance(n, int) and n)
        return word

    first, token = signed.ask()
    signed.sidecar.until(lambda: signed.rows() == signed.n_signed)
    assert outcome(request_id=first, label="digits-2") == "accepted"
    assert outcome(token=token, label="digits-2") == "duplicate"
    assert outcome(token=token, label="digits-1") == "conflict"

    second, token = signed.ask()
    assert outcome(token=token, label="digits-2") == "accepted"  # stored already, or not yet
    assert outcome(request_id=second, token=token, label="digits-2") == "duplicate"
    signed.sidecar.until(lambda: signed.rows() == signed.n_signed)
    assert outcome(request_id=second, label="digits-1") == "conflict"

    assert outcome(request_id=first, token=token, label="digits-2") == "forged"
    assert outcome(token=token, route="other", label="digits-2") == "forged"
    assert outcome(token=token[:-1] + "B", label="digits-2") == "forged"  # no MAC ends with it
    assert signed.sidecar.get("/v1/status")[1]["forged_labels"] == 3


def test_keys_are_rotated_without_a_restart_and_stay_secret(signed: Signed) -> None:
    def key_id() -> str:
        return signed.ask()[1].split(".")[1]

    _, old = signed.ask()
    assert key_id() == "k1"
    signed.write_keys("k2", "k1")
    signed.sidecar.until(lambda: key_id() == "k2")
    _, new = signed.ask()
    assert signed.label(*({"token": one, "label": 1} for one in (old, new)))["accepted"] == 2
    signed.write_keys("k2")
    _, again = signed.ask()
    found = signed.label({"token": old, "label": 1}, {"token": again, "label": 1})
    assert (found["forged"], found["accepted"]) == (1, 1)
    told = [signed.sidecar.log.read_text(), signed.sidecar.text("/metrics")]
    told += [signed.sidecar.text(path) for path in ("/v1/status", "/v1/audit")]
    for key in ("k1", "k2"):
        secret = line(key).split()[1]
        assert not any(secret in text or key * 16 in text for text in told)
