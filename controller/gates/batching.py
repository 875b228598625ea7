"""A batch made of one sample request, and how many predictions its answer holds. Pure.

Protocols: KServe v1 and TensorFlow Serving repeat ``instances`` and answer ``predictions``; MLflow
takes the same or a data frame; Open Inference repeats the first dimension of every tensor; OpenAI
has batches of embeddings (``input``) only. Plain JSON: a list is a batch.
"""

import json
from typing import Any

from evaluator.extract import parsed


class NoBatch(Exception):
    """The sample cannot be made a batch; the message says what it lacks."""


def batch_of(protocol: str, sample: bytes, size: int) -> bytes:
    """Return what ``sample`` asks about first, ``size`` times over; NoBatch if it is unclear."""
    try:
        document = parsed(sample)
    except (ValueError, RecursionError) as error:
        raise NoBatch("the sample is not JSON") from error
    return json.dumps(_repeated(protocol, document, size), separators=(",", ":")).encode()


def predictions_in(protocol: str, answer: Any) -> int | None:
    """Return how many predictions an answer holds; None if that cannot be told."""
    if isinstance(answer, list):
        return len(answer)
    if not isinstance(answer, dict):
        return None
    if protocol == "open-inference-v2":
        return _first_dimension(answer.get("outputs"))
    found = answer.get("data" if protocol == "openai" else "predictions")
    if isinstance(found, dict):  # TensorFlow Serving's named outputs, column by column
        found = next(iter(found.values()), None)
    return len(found) if isinstance(found, list) else None


def _repeated(protocol: str, document: Any, size: int) -> Any:
    if isinstance(document, list) and document:
        return [document[0]] * size
    if isinstance(document, dict):
        if protocol == "open-inference-v2":
            return document | {"inputs": [_tensor(one, size) for one in _inputs(document)]}
        for key in ("instances", "dataframe_records", "inputs", "input"):
            if isinstance(document.get(key), list) and document[key]:
                return document | {key: [document[key][0]] * size}
        frame = document.get("dataframe_split")
        if isinstance(frame, dict) and isinstance(frame.get("data"), list) and frame["data"]:
            split = {key: value for key, value in frame.items() if key != "index"}
            return document | {"dataframe_split": split | {"data": [frame["data"][0]] * size}}
    raise NoBatch(f"the first sample has nothing that {protocol} repeats in a batch")


def _inputs(document: dict[str, Any]) -> list[Any]:
    found = document.get("inputs")
    if not isinstance(found, list) or not found:
        raise NoBatch("the first sample has no inputs")
    return found


def _tensor(tensor: Any, size: int) -> Any:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    data = tensor.get("data") if isinstance(tensor, dict) else None
    if not isinstance(shape, list) or not isinstance(data, list) or not shape:
        raise NoBatch("an input of the first sample has no shape, or its data is not in JSON")
    rows = shape[0]
    if not isinstance(rows, int) or rows < 1 or len(data) % rows:
        raise NoBatch("an input of the first sample has data that does not fit its shape")
    one = data[: len(data) // rows]
    return tensor | {"shape": [size, *shape[1:]], "data": one * size}


def _first_dimension(outputs: Any) -> int | None:
    if not isinstance(outputs, list) or not outputs or not isinstance(outputs[0], dict):
        return None
    shape = outputs[0].get("shape")
    return shape[0] if isinstance(shape, list) and shape and isinstance(shape[0], int) else None
