from typing import get_args

import jmespath
import pytest

from sidecar.protocol import PROTOCOLS, defaults, inference, may_match
from sidecar.routetype import Protocol

ANSWERS = {
    "kserve-v1": ({"predictions": [1, 2]}, [1, 2]),
    "tf-serving": ({"predictions": [[0.5]]}, [[0.5]]),
    "mlflow": ({"predictions": [1]}, [1]),
    "open-inference-v2": ({"outputs": [{"name": "o", "data": [3]}]}, [[3]]),
    "openai": ({"choices": [{"message": {"content": "yes"}}]}, ["yes"]),
}
OTHERS: list[tuple[dict[str, object], object]] = [
    ({"object": "text_completion", "choices": [{"text": "a"}, {"text": "b"}]}, ["a", "b"]),
    ({"object": "list", "data": [{"embedding": [0.5, 1]}]}, [[0.5, 1]]),
    ({"object": "response", "output": [{"content": [{"text": "yes"}]}]}, ["yes"]),
    ({"error": "no"}, None),
]


def test_models_and_table_know_the_same_protocols() -> None:
    assert set(get_args(Protocol)) == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", ANSWERS)
def test_default_prediction_finds_the_whole_prediction(protocol: str) -> None:
    answer, prediction = ANSWERS[protocol]
    expression = defaults(protocol, "/x").prediction
    assert expression is not None
    assert jmespath.search(expression, answer) == prediction


@pytest.mark.parametrize(
    ("protocol", "match_path", "ready_path"),
    [
        ("kserve-v1", "/v1/models/fraud:predict", "/v1/models/fraud"),
        ("tf-serving", "/v1/models/fraud/versions/3:predict", "/v1/models/fraud"),
        ("kserve-v1", "/v1/models/*", None),
        ("kserve-v1", "/v1/models/a/b:predict", None),
        ("open-inference-v2", "/v2/models/fraud/infer", "/v2/health/ready"),
        ("mlflow", "/invocations", "/ping"),
        ("openai", "/v1/chat/completions", "/v1/models"),
        ("json", "/predict", None),
    ],
)
def test_ready_path_is_the_protocols_own(
    protocol: str, match_path: str, ready_path: str | None
) -> None:
    assert defaults(protocol, match_path).ready_path == ready_path


def test_plain_json_compares_whole_bodies() -> None:
    assert defaults("json", "/predict").prediction is None


@pytest.mark.parametrize(("answer", "prediction"), OTHERS)
def test_openai_prediction_is_found_in_every_kind_of_answer(
    answer: dict[str, object], prediction: object
) -> None:
    expression = defaults("openai", "/v1/*").prediction
    assert expression is not None
    assert jmespath.search(expression, answer) == prediction


def test_declared_paths_replace_the_protocols_own_or_stand_beside_them() -> None:
    own = inference("mlflow", None)
    assert own == ("POST /invocations",)
    assert inference("mlflow", ["/score", "GET /rank/*"]) == ("POST /score", "GET /rank/*")
    assert inference("mlflow", ["protocol", "/score"]) == ("POST /invocations", "POST /score")
    assert inference("mlflow", ["protocol", "/invocations", "protocol"]) == own


@pytest.mark.parametrize(
    ("protocol", "path", "may"),
    [
        ("kserve-v1", "/v1/models/fraud:predict", True),
        ("kserve-v1", "/v1/models/*", True),
        ("kserve-v1", "/v1/models/fra*", True),
        ("kserve-v1", "/*", True),
        ("kserve-v1", "/predict", False),
        ("kserve-v1", "/v1/models/a/b:predict", False),
        ("tf-serving", "/v1/models/fraud/versions/3:predict", True),
        ("openai", "/v1/*", True),
        ("openai", "/v1/models", False),
        ("open-inference-v2", "/v2/health/*", False),
        ("json", "/anything", True),
        ("json", "/any/*", True),
    ],
)
def test_route_without_any_inference_is_found_out(protocol: str, path: str, may: bool) -> None:
    assert may_match(inference(protocol, None), path) is may
