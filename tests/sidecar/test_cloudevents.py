"""CloudEvents 1.0: three modes, one label each, and a bad event spoils no other."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.join import Label
from sidecar.cloudevents import BATCH, STRUCTURED, is_event, parse
from sidecar.labels import BodyError, Fault, Item, Parsed

EVENT: dict[str, Any] = {
    "id": "6f1c",
    "source": "/billing",
    "specversion": "1.0",
    "type": "io.understudy.label",
    "time": "2026-11-23T07:00:00Z",
    "data": {"label": 7},
}
AT_NS = 1_795_417_200_000_000_000


def structured(**changes: Any) -> Parsed:
    event = {name: value for name, value in (EVENT | changes).items() if value is not None}
    return parse({}, STRUCTURED, json.dumps(event).encode())


def test_the_id_of_the_event_is_the_request_id() -> None:
    """As KServe's payload logger has it."""
    assert structured().items == (Item(0, Label("6f1c", "7", at_ns=AT_NS)),)


def test_a_subject_goes_before_the_id_and_the_data_before_both() -> None:
    assert structured(subject="s").items[0].label.request_id == "s"
    data = {"label": 7, "request_id": "d", "route": "digits", "at": 0}
    assert structured(subject="s", data=data).items == (Item(0, Label("d", "7", "digits", 0)),)


def test_data_may_be_packed_as_base64() -> None:
    packed = base64.b64encode(b'{"label": "fraud"}').decode()
    assert structured(data=None, data_base64=packed).items[0].label.label == '"fraud"'


def test_binary_mode_has_its_attributes_in_headers() -> None:
    headers = {f"ce-{name}": value for name, value in EVENT.items() if name != "data"}
    assert is_event(headers, "application/json")
    parsed = parse(headers, "application/json", b'{"label": 7}')
    assert parsed.items == structured().items
    del headers["ce-source"]
    (fault,) = parse(headers, "application/json", b'{"label": 7}').faults
    assert "source" in fault.because and fault.request_id == "6f1c"


def test_other_extensions_do_not_matter() -> None:
    assert structured(traceparent="00-1", knativearrivaltime="now").items == structured().items


BAD: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id is missing"),
    ({"id": ""}, "id is missing"),
    ({"source": 7}, "source is missing"),
    ({"specversion": "0.3"}, "specversion"),
    ({"type": "org.kubeflow.serving.inference.response"}, "type"),
    ({"data": None}, "no label"),
    ({"data": 7}, "no label"),
    ({"data": {"prediction": 7}}, "no label"),
    ({"data": {"label": None}}, "label"),
    ({"data": {"label": 7, "lable": 7}}, "unknown key"),
    ({"data": None, "data_base64": "###"}, "data_base64"),
    ({"data": None, "data_base64": "MQ=="}, "no label"),
    ({"data_base64": "MQ=="}, "data_base64"),
    ({"time": "yesterday"}, "at"),
    ({"id": "x" * 5_000}, "request_id"),
]


@pytest.mark.parametrize(("changes", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_event_is_answered_by_itself(changes: dict[str, Any], said: str) -> None:
    bad = {name: value for name, value in (EVENT | changes).items() if value is not None}
    parsed = parse({}, BATCH, json.dumps([EVENT, bad, EVENT | {"id": "b"}]).encode())
    assert [item.index for item in parsed.items] == [0, 2]
    (fault,) = parsed.faults
    assert fault.index == 1 and said in fault.because


@pytest.mark.parametrize("element", [1, None, "x", [], {}])
def test_what_is_no_event_is_a_fault_of_its_own(element: object) -> None:
    parsed = parse({}, BATCH, json.dumps([element, EVENT]).encode())
    assert len(parsed.items) == len(parsed.faults) == 1


@pytest.mark.parametrize(
    ("kind", "body"), [(BATCH, b"[]"), (BATCH, b"{}"), (BATCH, b"["), (STRUCTURED, b"x")]
)
def test_a_body_that_holds_no_events_is_refused_as_a_whole(kind: str, body: bytes) -> None:
    with pytest.raises(BodyError):
        parse({}, kind, body)


def test_a_batch_has_a_limit() -> None:
    with pytest.raises(BodyError, match="10000"):
        parse({}, BATCH, b"[" + b"1," * 10_000 + b"1]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*EVENT, "subject", "data_base64"]), JSON))
def test_no_event_at_all_breaks_the_reader(changes: dict[str, Any]) -> None:
    parsed = parse({}, BATCH, json.dumps([EVENT | changes]).encode())
    assert len(parsed.items) + len(parsed.faults) == 1
    assert all(isinstance(one, Fault) for one in parsed.faults)
