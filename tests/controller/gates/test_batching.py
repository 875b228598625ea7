import json

import pytest

from controller.gates.batching import NoBatch, batch_of, predictions_in

TENSOR = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("protocol", "sample", "batch"),
    [
        ("kserve-v1", {"instances": [[1], [2]]}, {"instances": [[1], [1], [1]]}),
        ("mlflow", {"inputs": [[1]]}, {"inputs": [[1], [1], [1]]}),
        (
            "mlflow",
            {"dataframe_split": {"columns": ["a"], "index": [0], "data": [[5]]}},
            {"dataframe_split": {"columns": ["a"], "data": [[5], [5], [5]]}},
        ),
        ("openai", {"model": "m", "input": ["a"]}, {"model": "m", "input": ["a", "a", "a"]}),
        ("json", [7], [7, 7, 7]),
        (
            "open-inference-v2",
            {"inputs": [TENSOR]},
            {"inputs": [TENSOR | {"shape": [3, 2], "data": [1.0, 2.0] * 3}]},
        ),
    ],
)
def test_a_sample_becomes_a_batch_of_its_first(protocol, sample, batch):
    assert json.loads(batch_of(protocol, json.dumps(sample).encode(), 3)) == batch


@pytest.mark.parametrize(
    ("protocol", "sample"),
    [
        ("kserve-v1", {}),
        ("kserve-v1", {"instances": []}),
        ("json", 7),
        ("openai", {"messages": []}),
        ("open-inference-v2", {"inputs": []}),
        ("open-inference-v2", {"inputs": [{"name": "x", "shape": [1]}]}),
        ("open-inference-v2", {"inputs": [TENSOR | {"shape": [3]}]}),
    ],
)
def test_what_cannot_be_repeated_is_said(protocol, sample):
    with pytest.raises(NoBatch, match="sample"):
        batch_of(protocol, json.dumps(sample).encode(), 3)


def test_a_sample_that_is_no_json_is_said():
    with pytest.raises(NoBatch, match="not JSON"):
        batch_of("json", b"{", 2)


@pytest.mark.parametrize(
    ("protocol", "answer", "n"),
    [
        ("kserve-v1", {"predictions": [1, 2]}, 2),
        ("tf-serving", {"predictions": {"class": [1, 2, 3]}}, 3),
        ("openai", {"data": [{}]}, 1),
        ("open-inference-v2", {"outputs": [{"shape": [4, 1]}]}, 4),
        ("open-inference-v2", {"outputs": []}, None),
        ("json", [1, 2], 2),
        ("json", {"answer": 1}, None),
        ("json", 7, None),
    ],
)
def test_predictions_are_counted_where_the_protocol_has_them(protocol, answer, n):
    assert predictions_in(protocol, answer) == n
