"""Users of a model: predictions through the sidecar, and later the true labels of a share of them.

``make load``, or ``locust -f loadtests/locustfile.py --host http://127.0.0.1:8080``. Settings come
from the environment, see README.md. Locust patches the standard library when it is imported, so
nothing else may import this file.
"""

import heapq
import json
import os
import random
import time
from typing import Any

from locust import FastHttpUser, constant_throughput, task

PREDICT_PATH = os.environ.get("PREDICT_PATH", "/v1/models/digits:predict")
ADMIN = os.environ.get("ADMIN", "http://127.0.0.1:8081")
LABELLED_SHARE = float(os.environ.get("LABELLED_SHARE", "0.5"))
LABEL_DELAY_S = float(os.environ.get("LABEL_DELAY_S", "5"))
"""Mean of an exponential delay, so that labels come out of order."""
REQUESTS_PER_S = float(os.environ.get("REQUESTS_PER_S", "10"))
"""Of one user, predictions and label posts together."""


def load_images() -> list[tuple[list[float], int]]:
    """Return the handwritten digits that ship with scikit-learn, with their labels.

    The demo's two models know them. Without scikit-learn: random images, labelled at random.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return [
            ([float(random.randrange(17)) for _ in range(64)], random.randrange(10))
            for _ in range(1000)
        ]
    digits = load_digits()
    return [
        (image.tolist(), int(label))
        for image, label in zip(digits.data, digits.target, strict=True)
    ]


IMAGES = load_images()


class Caller(FastHttpUser):
    """One user: a name that stays, a prediction again and again, labels when they are due."""

    wait_time = constant_throughput(REQUESTS_PER_S)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._name = f"user-{random.randrange(1_000_000)}"
        self._labels: list[tuple[float, str, int]] = []
        """A heap of (due at, request id, label); time is time.monotonic()."""

    @task(20)
    def predict(self) -> None:
        """Ask for one prediction; keep its label for later if it is to have one."""
        image, label = random.choice(IMAGES)
        with self.client.post(
            PREDICT_PATH,
            json={"instances": [image]},
            headers={"x-user-id": self._name},
            name="predict",
            catch_response=True,
        ) as response:
            request_id = (response.headers or {}).get("x-request-id")
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif request_id is None:
                response.failure("the answer has no x-request-id: no label can be joined to it")
            elif random.random() < LABELLED_SHARE:
                due_at = time.monotonic() + random.expovariate(1.0) * LABEL_DELAY_S
                heapq.heappush(self._labels, (due_at, request_id, label))

    @task(1)
    def post_labels(self) -> None:
        """Post the labels that are due to the admin port, as NDJSON."""
        due = []
        while self._labels and self._labels[0][0] <= time.monotonic():
            _, request_id, label = heapq.heappop(self._labels)
            due.append(json.dumps({"request_id": request_id, "label": label}))
        if not due:
            return
        with self.client.post(
            f"{ADMIN}/v1/labels",
            data="\n".join(due) + "\n",
            headers={"content-type": "application/x-ndjson"},
            name="labels",
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
            elif response.json()["accepted"] != len(due):
                response.failure(f"not all accepted: {response.text}")
