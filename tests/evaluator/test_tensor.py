"""JSON with raw tensors behind it, read as if it were JSON altogether."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.extract import Extractor, parsed
from evaluator.tensor import MAX_ELEMENTS, TensorError, joined
from router.observation import Outcome


def answer(*tensors: tuple[str, bytes]) -> tuple[bytes, int]:
    outputs = [
        {"name": f"o{k}", "datatype": kind, "parameters": {"binary_data_size": len(raw)}}
        for k, (kind, raw) in enumerate(tensors)
    ]
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    return head + b"".join(raw for _, raw in tensors), len(head)


def data_of(*tensors: tuple[str, bytes]) -> list[Any]:
    body, size = answer(*tensors)
    return [output["data"] for output in joined(body, size, parsed)["outputs"]]


@pytest.mark.parametrize(
    ("kind", "form", "values"),
    [
        ("FP32", "f", [0.5, -1.0]), ("FP64", "d", [0.1]), ("FP16", "e", [1.5]),
        ("INT64", "q", [-(2**40), 3]), ("UINT8", "B", [0, 255]), ("INT8", "b", [-1]),
        ("UINT16", "H", [65535]), ("INT32", "i", []), ("BOOL", "?", [True, False]),
    ],
)  # fmt: skip
def test_numbers_are_read_as_their_datatype_says(kind: str, form: str, values: list[Any]) -> None:
    assert data_of((kind, struct.pack(f"<{len(values)}{form}", *values))) == [values]


def test_texts_have_their_length_before_them() -> None:
    raw = b"".join(struct.pack("<I", len(one)) + one for one in (b"cat", b"", b"\xff\xd8"))
    (texts,) = data_of(("BYTES", raw))
    assert texts[:2] == ["cat", ""]
    assert texts[2].startswith("sha256:")


def test_tensors_follow_each_other_and_one_in_the_json_stays() -> None:
    assert data_of(("UINT8", b"\x01"), ("UINT8", b"\x02\x03")) == [[1], [2, 3]]
    body = b'{"outputs":[{"datatype":"FP32","data":[7]}]}'
    assert joined(body, len(body), parsed)["outputs"][0]["data"] == [7]


def test_large_and_unknown_tensors_are_compared_by_their_digest() -> None:
    (large,) = data_of(("UINT8", bytes(MAX_ELEMENTS + 1)))
    (same,) = data_of(("UINT8", bytes(MAX_ELEMENTS + 1)))
    (other,) = data_of(("BF16", b"\x00\x00"))
    assert large == same and large.startswith("sha256:") and other.startswith("sha256:")


@pytest.mark.parametrize(
    ("body", "size", "why"),
    [
        (b"{}", 3, "shorter than its JSON"),
        (b"{}x", 2, "after the last tensor"),
        (*answer(("FP32", b"abc")), "no whole number"),
        (answer(("FP32", b"abcd"))[0][:-1], answer(("FP32", b"abcd"))[1], "than its tensors"),
        (*answer(("BYTES", b"\x09\x00\x00\x00a")), "longer than its tensor"),
        (*answer(("BYTES", b"\x09")), "longer than its tensor"),
    ],
)
def test_answer_that_contradicts_itself_is_none(body: bytes, size: int, why: str) -> None:
    with pytest.raises(TensorError, match=why):
        joined(body, size, parsed)
    found = Extractor("outputs[].data").read(outcome(body, f"json:{size}"))
    assert found.text is None and why in found.reason


@pytest.mark.parametrize("size", ["-1", "true", "1.5", '"1"'])
def test_odd_size_of_a_tensor_is_refused(size: str) -> None:
    head = b'{"outputs":[{"parameters":{"binary_data_size":%b}}]}' % size.encode()
    with pytest.raises(TensorError, match="no number of bytes"):
        joined(head, len(head), parsed)


def outcome(body: bytes, form: str) -> Outcome:
    return Outcome("v", 200, 0.1, "", body, len(body), "", form)


def test_one_expression_reads_a_binary_answer_and_one_in_json() -> None:
    body, size = answer(("FP32", struct.pack("<2f", 1.0, 0.5)))
    read = Extractor("outputs[].data").read
    plain = b'{"outputs": [{"data": [1, 0.5]}]}'
    assert read(outcome(body, f"json:{size}")) == read(outcome(plain, ""))


@given(st.binary(max_size=200), st.integers(0, 250))
def test_nothing_that_a_server_sends_gets_past_the_reader(body: bytes, size: int) -> None:
    for raw in (body, b'{"outputs":[{"parameters":{"binary_data_size":3}}]}' + body):
        found = Extractor("outputs").read(outcome(raw, f"json:{size}"))
        assert not found.reason.startswith("not readable")
