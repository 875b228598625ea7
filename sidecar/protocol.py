"""What a route's ``protocol:`` decides today: two defaults, and nothing about the bytes. Pure.

Requests and answers pass unchanged whatever the protocol is. It gives the path that the functional
stage asks for readiness and the path to the prediction, when the routing file leaves them out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_MODEL = re.compile(r"^/v1/models/([^/:*]+)(/versions/[^/:*]+)?:predict$")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a protocol decides."""

    ready_path: str | None
    """None: the protocol has none, or it needs a model name that ``match.path`` does not give."""
    prediction: str | None
    """JMESPath; None compares whole bodies."""


def _model_path(match_path: str) -> str | None:
    """Return ``/v1/models/NAME`` of ``/v1/models/NAME:predict``, None for other paths."""
    found = _MODEL.match(match_path)
    return None if found is None else f"/v1/models/{found[1]}"


def _always(path: str | None) -> Callable[[str], str | None]:
    return lambda _: path


# Sources: KServe data plane v1 ("GET /v1/models/<name>" is model readiness, answers
# {"predictions": [...]}); Open Inference Protocol v2 ("/v2/health/ready", {"outputs": [...]});
# TensorFlow Serving REST (model status, row format); MLflow scoring server ("/ping");
# OpenAI API ("GET /v1/models"; chat completions).
_TABLE: dict[str, tuple[Callable[[str], str | None], str | None]] = {
    "kserve-v1": (_model_path, "predictions"),
    "open-inference-v2": (_always("/v2/health/ready"), "outputs[].data"),
    "tf-serving": (_model_path, "predictions"),
    "mlflow": (_always("/ping"), "predictions"),
    "openai": (_always("/v1/models"), "choices[].message.content"),
    "json": (_always(None), None),
}

PROTOCOLS = tuple(_TABLE)


def defaults(protocol: str, match_path: str) -> Defaults:
    """Return what ``protocol`` decides for a route; KeyError for an unknown one."""
    ready_path, prediction = _TABLE[protocol]
    return Defaults(ready_path(match_path), prediction)
