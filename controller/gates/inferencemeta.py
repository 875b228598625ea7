"""Open Inference metadata: what a model says it takes and returns, held against requests. Pure.

Source: Open Inference Protocol v2, "Model Metadata": GET /v2/models/NAME answers ``inputs`` and
``outputs``, each with ``name``, ``datatype`` and ``shape`` (-1: of any size).
"""

from typing import Any


def fault_of_metadata(metadata: Any) -> str:
    """Return what is wrong with the metadata itself, or nothing."""
    if not isinstance(metadata, dict):
        return "the metadata is not an object"
    for side in ("inputs", "outputs"):
        tensors = metadata.get(side)
        if not isinstance(tensors, list) or not tensors:
            return f"the metadata has no {side}"
        for tensor in tensors:
            if not _is_declared(tensor):
                return f"an entry of {side} lacks name, datatype or shape"
    return ""


def fault_of(metadata: Any, side: str, document: Any) -> str:
    """Return how a request's ``inputs`` or an answer's ``outputs`` differ from it, or nothing."""
    declared = {tensor["name"]: tensor for tensor in metadata[side]}
    tensors = document.get(side) if isinstance(document, dict) else None
    if not isinstance(tensors, list):
        return f"it has no {side}"
    for tensor in tensors:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name not in declared:
            return f"{side}: {name!r} is not in the metadata"
        fault = _fault_between(declared[name], tensor)
        if fault:
            return f"{side}: {name}: {fault}"
    if side == "inputs" and (missing := declared.keys() - {t["name"] for t in tensors}):
        return f"inputs: no {', '.join(sorted(missing))}"
    return ""


def _is_declared(tensor: Any) -> bool:
    return (
        isinstance(tensor, dict)
        and isinstance(tensor.get("name"), str)
        and isinstance(tensor.get("datatype"), str)
        and isinstance(tensor.get("shape"), list)
        and all(isinstance(size, int) for size in tensor["shape"])
    )


def _fault_between(declared: dict[str, Any], tensor: dict[str, Any]) -> str:
    if tensor.get("datatype") != declared["datatype"]:
        return f"datatype {tensor.get('datatype')!r}, declared {declared['datatype']!r}"
    shape = tensor.get("shape")
    if not isinstance(shape, list) or len(shape) != len(declared["shape"]):
        return f"shape {shape!r}, declared {declared['shape']!r}"
    if any(want not in (-1, got) for want, got in zip(declared["shape"], shape, strict=True)):
        return f"shape {shape!r}, declared {declared['shape']!r}"
    return ""
