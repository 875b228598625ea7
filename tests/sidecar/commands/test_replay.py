import http.client
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from tests.faults.running import PATH, Sidecar

ROUTING = """listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
state: ./state
workers: {workers}
record: {{folder: ./recording, size: 16MiB}}
routes:
  - name: digits
    match: {{path: "{path}"}}
    prediction: "predictions[0]"
    champion: {{name: digits-1, url: "http://127.0.0.1:{champion}"}}
    challengers: [{{name: digits-2, url: "http://127.0.0.1:{challenger}"}}]
    metrics:
      accuracy: {{kind: correct, role: objective, detect: 5%}}
      errors: {{kind: error, role: guardrail, margin: 1%}}
      latency: {{kind: latency, role: guardrail, quantile: 0.9, margin: 100%}}
    labels: {{window: 10m, maturity: 1s}}
    rollout:
      stages:
        - shadow: {{share: 50%, at_least: 100, for_at_least: 1s}}
        - canary: {{shares: [20%, 50%], for_at_least: 1h, at_least: 100}}
        - production: {{watch: 1h, holdback: 1%}}
...
"""


def run(*words: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["replay", *words])
    return outcome.exit_code, outcome.output


def ask(sidecar: Sidecar, numbers: range) -> None:
    """Send requests, and the labels of most of them: the challenger is right more often."""
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=10)
    labels = []
    for number in numbers:
        name = f"r-{number}"
        connection.request("POST", PATH, b"{}", {"x-request-id": name})
        assert connection.getresponse().read()
        truth = "digits-2" if number % 3 else "digits-1"
        if number % 10:
            labels.append(json.dumps({"request_id": name, "label": truth}))
    connection.close()
    admin = http.client.HTTPConnection("127.0.0.1", sidecar.admin, timeout=10)
    admin.request("POST", "/v1/labels", "\n".join(labels), {"content-type": "application/x-ndjson"})
    assert admin.getresponse().status in (200, 207)
    admin.close()


def route(sidecar: Sidecar) -> dict[str, Any]:
    found: dict[str, Any] = sidecar.get("/v1/status")[1]["routes"][0]
    return found


def is_quiet(sidecar: Sidecar) -> bool:
    """Whether everything that was sent has been judged."""
    found = route(sidecar)
    return found["counts"]["judged"] >= 1200 and found["labels"]["waiting"] == 0


@pytest.mark.slow
def test_recording_of_a_real_run_replays_to_the_same_evidence(tmp_path: Path) -> None:
    """Shadow and canary, two routers, four clients, latencies as they come: equal to the bit."""
    sidecar = Sidecar(tmp_path, workers=2, routing=ROUTING)
    try:
        for part in range(4):
            clients = [
                threading.Thread(
                    target=ask,
                    args=(sidecar, range(1200 * part + 300 * k, 1200 * part + 300 * (k + 1))),
                )
                for k in range(4)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
        sidecar.until(lambda: is_quiet(sidecar))
        assert route(sidecar)["phase"] == "canary"
        live = route(sidecar)
        code, output = run(str(tmp_path / "recording"), "--json")
    finally:
        sidecar.close()
    assert code == 0, output
    found = json.loads(output)
    (one,) = found["experiments"]
    assert one["experiment"] == live["experiment"]
    assert one["checks"] == live["checks"]
    assert one["counts"].items() <= live["counts"].items()
    assert one["whole"]
    assert one["as_recorded"]
    assert not found["has_gap"]
    accuracy = one["checks"][0]
    assert accuracy["n"] > 1000
    assert accuracy["log_e"] > 3.0

    other = tmp_path / "other.yaml"
    other.write_text(sidecar.file.read_text().replace("detect: 5%", "detect: 20%"))
    code, output = run(str(tmp_path / "recording"), "--routing", str(other), "--json")
    assert code == 0, output
    (judged,) = json.loads(output)["experiments"]
    assert not judged["as_recorded"]
    assert judged["checks"][0]["log_e"] != accuracy["log_e"]
    assert judged["checks"][0]["n"] == accuracy["n"]


SMALL = [
    {
        "kind": "experiment",
        "plan": {
            "experiment": "fraud-7-1f",
            "route": "fraud",
            "champion": "fraud-6",
            "challenger": "fraud-7",
            "metrics": [{"name": "errors", "kind": "error", "role": "guardrail", "margin": 0.01}],
            "prediction": None,
        },
    },
    *(
        {
            "kind": "pair",
            "route": "fraud",
            "experiment": "fraud-7-1f",
            "request_id": f"r{number}",
            "unit": number,
            "table_version": 3,
            "at_ns": 1_800_000_000_000_000_000 + number,
            "champion": {"variant": "fraud-6", "status": 200, "latency_s": 0.01},
            "challenger": {"variant": "fraud-7", "status": 200, "latency_s": 0.01},
        }
        for number in range(600)
    ),
]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in SMALL))
    return file


def test_a_file_written_by_hand_is_evaluated(small: Path) -> None:
    code, output = run(str(small), "--json")
    assert code == 0, output
    (one,) = json.loads(output)["experiments"]
    assert one["counts"]["pairs"] == 600
    assert one["checks"][0]["state"] == "passed"


def test_table_says_the_same_for_people(small: Path) -> None:
    code, output = run(str(small))
    assert code == 0
    assert "fraud-7-1f on fraud: champion fraud-6, challenger fraud-7" in output
    assert "errors: challenger 0 of 600, champion 0 of 600" in output


def test_a_broken_line_is_named_with_its_file(small: Path) -> None:
    small.write_text(small.read_text().replace('"unit": 7,', '"unit": "seven",'))
    code, output = run(str(small))
    assert code == 1
    assert "small.ndjson, line 9" in output
    assert "unit" in output


def test_missing_and_empty_recordings_are_said_to_be(tmp_path: Path) -> None:
    assert "nothing.ndjson" in run(str(tmp_path / "nothing.ndjson"))[1]
    (tmp_path / "empty").mkdir()
    assert "holds no recording" in run(str(tmp_path / "empty"))[1]
    (tmp_path / "blank.ndjson").write_text("")
    code, output = run(str(tmp_path / "blank.ndjson"))
    assert code == 1
    assert "no experiment" in output


def test_route_that_is_in_neither_is_refused(small: Path, tmp_path: Path) -> None:
    assert run(str(small), "--route", "cats")[0] == 1
    assert run(str(small), "--route", "fraud")[0] == 0
    routing = Path(__file__).parents[3] / "config" / "examples" / "demo.yaml"
    code, output = run(str(small), "--routing", str(routing), "--route", "fraud")
    assert code == 2
    assert "digits" in output
    assert run(str(small), "--routing", str(tmp_path / "none.yaml"))[0] == 2
