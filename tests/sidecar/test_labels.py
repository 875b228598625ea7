"""Label bodies: three forms, item by item, and nothing hostile gets through."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.join import Label
from sidecar import labels
from sidecar.labels import BodyError, Fault, Item, parse
from tests.pace import cpu_slowness

GOOD = b'{"request_id": "a", "label": 1}'
AT_NS = 1_795_417_200_000_000_000  # 2026-11-23T07:00:00Z


def test_object_holds_one_label() -> None:
    body = b'\n{"request_id": "a",\n "label": {"b": 1, "a": [true]},\n "route": "digits"}\n'
    assert parse(body).items == (Item(0, Label("a", '{"a":[true],"b":1}', "digits")),)


@pytest.mark.parametrize(
    "body",
    [
        b'[{"request_id":"a","label":"x,]}"},{"request_id":"b","label":0}]',
        b'{"request_id":"a","label":"x,]}"}\n{"request_id":"b","label":0}\n',
        b'{"request_id":"a","label":"x,]}"}\r\n\r\n{"request_id":"b","label":0}',
    ],
    ids=["array", "one a line", "one a line with carriage returns"],
)
def test_array_and_lines_hold_labels_in_order(body: bytes) -> None:
    assert parse(body).items == (Item(0, Label("a", '"x,]}"')), Item(1, Label("b", "0")))


BAD_ITEMS = [
    (b'{"request_id": "b", "label": NaN}', None, "NaN"),
    (b'{"request_id": "b", "label": -Infinity}', None, "Infinity"),
    (b'{"request_id": "b", "label": 1e999}', None, "out of range"),
    (b'{"request_id": "b", "label": ' + b"9" * 5000 + b"}", None, "digits"),
    (b'{"request_id": "b", "label": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "deep"),
    (b'{"request_id": "b", "label": ' + b"[" * 20 + b"]" * 20 + b"}", "b", "deeper"),
    (b'{"request_id": "b", "label": "' + b"x" * 5000 + b'"}', "b", "longer"),
    (b'{"request_id": "b", "label": null}', "b", "label is missing"),
    (b'{"request_id": "b"}', "b", "label is missing"),
    (b'{"label": 1}', None, "request_id is missing"),
    (b'{"request_id": "", "label": 1}', None, "request_id is missing"),
    (b'{"request_id": 7, "label": 1}', None, "request_id is missing"),
    (b'{"request_id": "' + b"x" * 201 + b'", "label": 1}', None, "longer"),
    (b'{"request_id": "a\\nb", "label": 1}', None, "characters"),
    (b'{"request_id": "b", "label": 1, "label": 2}', None, "twice"),
    (b'{"request_id": "b", "label": 1, "lable": 2}', "b", "lable"),
    (b'{"request_id": "b", "label": 1, "route": 3}', "b", "route"),
    (b'{"request_id": "b", "label": 1, "correct": "yes"}', "b", "neither true nor false"),
    (b'{"request_id": "b", "label": "\\ud800"}', "b", "Unicode"),
    (b'{"request_id": "b", "label": 1, "at": "yesterday"}', "b", "date"),
    (b'{"request_id": "b", "label": 1, "at": "2026-11-23T07:00:00"}', "b", "offset"),
    (b'{"request_id": "b", "label": 1, "at": "0001-01-01T00:00:00+10:00"}', "b", "1970"),
    (b'{"request_id": "b", "label": 1, "at": -1}', "b", "1970"),
    (b'{"request_id": "b", "label": 1, "at": 1e300}', "b", "1970"),
    (b'{"request_id": "b", "label": 1, "at": true}', "b", "at is neither"),
    (b'"text"', None, "not an object"),
    (b'{"request_id": "b", "label": 1', None, "not JSON"),
    (b'{"request_id": "b", "label": "\xff"}', None, "not JSON"),
    (b'{"request_id": "b", "label": +1}', None, "not JSON"),
]


@pytest.mark.parametrize(
    ("bad", "request_id", "reason"), BAD_ITEMS, ids=[str(k) for k in range(len(BAD_ITEMS))]
)
def test_bad_line_is_named_and_its_neighbours_are_kept(
    bad: bytes, request_id: str | None, reason: str
) -> None:
    parsed = parse(b"\n".join([GOOD, bad, GOOD]))
    assert [item.index for item in parsed.items] == [0, 2]
    (fault,) = parsed.faults
    assert (fault.index, fault.request_id) == (1, request_id)
    assert reason in fault.because


WHOLE = [case for case in BAD_ITEMS if case[0].count(b"{") == case[0].count(b"}")]


@pytest.mark.parametrize(
    ("bad", "request_id", "reason"), WHOLE, ids=[str(k) for k in range(len(WHOLE))]
)
def test_bad_element_is_named_and_its_neighbours_are_kept(
    bad: bytes, request_id: str | None, reason: str
) -> None:
    parsed = parse(b"[" + b",".join([GOOD, bad, GOOD]) + b"]")
    assert [item.index for item in parsed.items] == [0, 2]
    (fault,) = parsed.faults
    assert (fault.index, fault.request_id) == (1, request_id)
    assert reason in fault.because


def test_cut_array_keeps_what_was_whole() -> None:
    parsed = parse(b"[" + GOOD + b',{"request_id": "b", "la')
    assert [item.label.request_id for item in parsed.items] == ["a"]
    assert parsed.faults == (Fault(1, None, "not JSON"),)


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"[]", b"hello", b"\xff\xfe", b"a=1&b=2", b"<label/>", b"}{"]
)
def test_body_without_any_label_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(BodyError):
        parse(body)


def test_body_with_too_many_labels_is_refused_as_a_whole() -> None:
    with pytest.raises(BodyError, match=str(labels.MAX_ITEMS)):
        parse(b"\n".join([GOOD] * (labels.MAX_ITEMS + 1)))


@pytest.mark.parametrize(
    "at", ['"2026-11-23T07:00:00Z"', '"2026-11-23T09:00:00+02:00"', "1795417200", "1795417200.0"]
)
def test_date_and_seconds_mean_the_same_instant(at: str) -> None:
    (item,) = parse(f'{{"request_id": "a", "label": 1, "at": {at}}}'.encode()).items
    assert item.label.at_ns == AT_NS


def test_equal_labels_have_equal_text() -> None:
    one = parse('{"request_id":"a","label":{"é":[1, 2],"b":null}}'.encode()).items[0]
    other = parse(b'{"label":{"b":null,"\\u00e9":[1,2]},"request_id":"a"}').items[0]
    assert one == other


def test_hostile_body_costs_linear_time() -> None:
    bodies = [b"[" * 1_000_000, b'[{"a":' * 150_000, b'["\\' * 300_000, b"[" + b"1," * 9_999]
    began = time.process_time()
    for body in bodies:
        try:
            assert not parse(body).items
        except BodyError:
            pass
    assert time.process_time() - began < 5.0 * cpu_slowness()


JSON = st.recursive(
    st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON, min_size=1, max_size=4), st.sampled_from(["array", "lines"]))
def test_any_label_comes_back_as_it_was_sent(values: list[object], form: str) -> None:
    rows = [json.dumps({"request_id": f"r{k}", "label": v}) for k, v in enumerate(values)]
    body = "[" + ",".join(rows) + "]" if form == "array" else "\n".join(rows)
    assert [json.loads(item.label.label) for item in parse(body.encode()).items] == values


@given(st.binary(max_size=200))
def test_no_body_at_all_breaks_the_parser(body: bytes) -> None:
    try:
        parse(body)
    except BodyError:
        pass


def test_correction_says_so() -> None:
    bodies = (b'{"request_id":"a","label":1%s}' % rest for rest in (b"", b',"correct":true'))
    assert [parse(body).items[0].label.is_correction for body in bodies] == [False, True]


def test_a_token_may_stand_for_the_request_id() -> None:
    body = b'[{"token":"v1.a.b.c","label":1},{"token":"t","request_id":"a","label":1,"route":"d"}]'
    assert parse(body).items == (
        Item(0, Label("", "1", token="v1.a.b.c")),
        Item(1, Label("a", "1", "d", token="t")),
    )


@pytest.mark.parametrize(
    ("body", "request_id", "because"),
    [
        (b'{"token": 1, "label": 1}', None, "request_id is missing"),
        (b'{"token": 1, "request_id": "a", "label": 1}', "a", "token is not a text"),
        (b'{"token": "t", "request_id": 1, "label": 1}', None, "request_id is missing"),
        (b'{"token": "t", "request_id": "", "label": 1}', None, "request_id is missing"),
        (b'{"token": "t"}', None, "label is missing"),
    ],
)
def test_a_token_that_is_no_text_is_a_fault_of_its_item(
    body: bytes, request_id: str | None, because: str
) -> None:
    (fault,) = parse(body).faults
    assert fault.request_id == request_id
    assert because in fault.because
