"""Labels from a broker into a whole sidecar: both are killed, and each label counts once."""

import asyncio
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.failpoint import EXIT_CODE, VARIABLE
from tests.faults.running import PATH, ROUTING, Sidecar, load
from tests.sidecar.broker import NEEDED, Broker

pytestmark = [pytest.mark.slow, pytest.mark.peer, NEEDED, pytest.mark.timeout(180)]
LABELLED = ROUTING.replace(
    "    metrics:\n",
    "    labels: {{window: 1h, maturity: 1h}}\n    prediction: predictions[0]\n    metrics:\n"
    "      right: {{kind: correct, role: objective, detect: 1%}}\n",
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path)
    yield one
    one.kill()


@pytest.fixture
def start(tmp_path: Path, broker: Broker) -> Iterator[Callable[[], Sidecar]]:
    made: list[Sidecar] = []
    top = (
        f'labels_from: {{nats: {{servers: ["{broker.url}"], stream: LABELS, subject: labels.>, '
        "ack_wait: 1s}}"
    )

    def start() -> Sidecar:
        made.append(Sidecar(tmp_path, routing=LABELLED, top=top))
        made[-1].until(lambda: phase(made[-1]) == "shadow")
        return made[-1]

    yield start
    for sidecar in made:
        sidecar.close()


def phase(sidecar: Sidecar) -> object:
    status, content = sidecar.get("/v1/status")
    return content["routes"][0]["phase"] if status == 200 else None


def connected(sidecar: Sidecar) -> object:
    status, content = sidecar.get("/v1/status")
    return status == 200 and content["labels_from"]["connected"]


def ask(sidecar: Sidecar, count: int) -> list[str]:
    """Send requests; return their ids once the evaluator waits for their labels."""
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)
    ids = []
    for _ in range(count):
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        response = connection.getresponse()
        response.read()
        ids.append(str(response.headers["x-request-id"]))
    connection.close()

    def waiting() -> int:
        status, content = sidecar.get("/v1/routes/digits")
        return int(content["labels"]["waiting"]) if status == 200 else 0

    sidecar.until(lambda: waiting() >= count)
    return ids


def lines(ids: list[str]) -> bytes:
    rows = [json.dumps({"request_id": one, "label": "digits-1"}) for one in ids]
    return "\n".join(rows).encode()


def results_of(sidecar: Sidecar, ids: list[str]) -> dict[str, Any]:
    """Send the same labels to the admin port; what is known already is a duplicate.

    Nothing when the controller ends meanwhile.
    """
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.admin, timeout=60)
    headers = {"content-type": "application/x-ndjson"}
    try:
        connection.request("POST", "/v1/labels", lines(ids), headers)
        content = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    return {name: n for name, n in content.items() if n and name != "items"}


def test_a_controller_killed_between_disk_and_acknowledgement_loses_nothing(
    broker: Broker, start: Callable[[], Sidecar], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each life of the controller ends in its second commit of labels, before they are
    acknowledged: they are delivered again, and are duplicates then."""
    broker.start()
    asyncio.run(broker.publish([]))
    monkeypatch.setenv(VARIABLE, "label.after_commit@2")
    sidecar = start()
    ids = ask(sidecar, 200)
    asyncio.run(broker.publish([lines([one]) for one in ids]))
    sidecar.until(lambda: asyncio.run(broker.left()) == (0, 0), 90)
    kills = [line for line in sidecar.events("ended") if line.get("code") == EXIT_CODE]
    assert kills, "the controller was never killed where it hurts"
    results: dict[str, Any] = {}
    while not results:  # this too may be the second commit in a controller's life
        sidecar.until(lambda: connected(sidecar))
        results = results_of(sidecar, ids)
    assert results == {"duplicate": 200}


def test_a_broker_that_dies_is_no_concern_of_the_clients(
    broker: Broker, start: Callable[[], Sidecar]
) -> None:
    sidecar = start()
    status, content = sidecar.get("/v1/status")
    assert (status, content["labels_from"]["connected"]) == (200, False)
    ids = ask(sidecar, 40)
    broker.start()
    asyncio.run(broker.publish([lines(ids[:20])]))
    sidecar.until(lambda: connected(sidecar))
    assert "understudy_labels_from_connected 1.0" in sidecar.text("/metrics")
    sidecar.until(lambda: asyncio.run(broker.left()) == (0, 0))
    with load(sidecar) as clients:
        broker.kill()
        sidecar.until(lambda: not connected(sidecar))
        assert sidecar.get("/readyz")[0] == 200
        broker.start()
        asyncio.run(broker.publish([lines(ids[20:])]))
        sidecar.until(lambda: connected(sidecar))
        sidecar.until(lambda: asyncio.run(broker.left()) == (0, 0))
    assert clients.failures == []
    assert results_of(sidecar, ids) == {"duplicate": 40}
    taken = 'understudy_labels_received_total{result="accepted",way="nats"} 40.0'
    assert taken in sidecar.text("/metrics")
