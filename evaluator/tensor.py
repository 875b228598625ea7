"""Answers in Open Inference's binary extension: JSON, then the raw bytes of the tensors. Pure.

The answer that comes out is the one that would have been JSON altogether, so that one expression
reads both.

Source: Triton's binary tensor data extension; ``Inference-Header-Content-Length`` is the size of
the JSON.
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

MAX_ELEMENTS = 4096
"""Of one tensor, to be written out. A larger one is compared by the digest of its bytes."""
_FORMATS = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b",
    "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


class TensorError(ValueError):
    """The bytes are not what the JSON before them says."""


def joined(body: bytes, json_bytes: int, parse: Callable[[bytes], Any]) -> Any:
    """Return the answer with its tensors as JSON; TensorError, or what ``parse`` raises, if not."""
    if json_bytes > len(body):
        raise TensorError("the answer is shorter than its JSON")
    document = parse(body[:json_bytes])
    outputs = document.get("outputs") if isinstance(document, dict) else None
    at = json_bytes
    for output in outputs if isinstance(outputs, list) else []:
        size = _size_of(output)
        if size is None:
            continue
        if size > len(body) - at:
            raise TensorError("the answer is shorter than its tensors")
        output["data"] = _elements(str(output.get("datatype")), body[at : at + size])
        at += size
    if at != len(body):
        raise TensorError("bytes after the last tensor")
    return document


def _size_of(output: Any) -> int | None:
    parameters = output.get("parameters") if isinstance(output, dict) else None
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise TensorError("a tensor whose size is no number of bytes")
    return size


def _elements(datatype: str, raw: bytes) -> Any:
    if datatype == "BYTES":
        return _texts(raw)
    form = _FORMATS.get(datatype)
    if form is None or len(raw) // struct.calcsize(form) > MAX_ELEMENTS:
        return _digest(raw)
    n, rest = divmod(len(raw), struct.calcsize(form))
    if rest:
        raise TensorError(f"{len(raw)} bytes are no whole number of {datatype}")
    return list(struct.unpack(f"<{n}{form}", raw))


def _texts(raw: bytes) -> Any:
    """Return the elements of a BYTES tensor: each has its length before it, four bytes."""
    found: list[str] = []
    at = 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at) if len(raw) - at >= 4 else (len(raw),)
        if size > len(raw) - at - 4:
            raise TensorError("an element longer than its tensor")
        one = raw[at + 4 : at + 4 + size]
        found.append(one.decode() if one.isascii() else _digest(one))
        at += 4 + size
        if len(found) > MAX_ELEMENTS:
            return _digest(raw)
    return found


def _digest(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
