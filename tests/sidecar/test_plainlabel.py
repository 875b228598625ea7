"""The fast way to read a label says what the reference says, or nothing."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.join import Label
from sidecar import labels, plainlabel
from sidecar.labels import Item, parse

PRINTABLE = st.text(string.printable, max_size=12)
LABELS = (
    st.integers(-(10**35), 10**35)
    | st.booleans()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=8)
    | PRINTABLE
    | st.none()
    | st.just([1])
)
PIECES = st.sampled_from(
    [
        *('{"request_id"', ":", ",", " ", '"a"', '"label"', "1", "-0", "0.50", "-0.0", "1e5", "}"),
        *('"x y"', "true", "null", '"route"', '"\\u0041"', "007", "1.", ".5", "\t", '"é"', "{"),
    ]
)


def reference(raw: bytes) -> Label | None:
    """What sidecar/labels.py says without the fast way; None if it is no label."""
    try:
        value = labels.decoded(raw)
    except labels.BodyError:
        return None
    found = labels.read_value(0, value)
    return found.label if isinstance(found, Item) else None


@settings(deadline=None)
@given(PRINTABLE, LABELS, st.none() | PRINTABLE, st.booleans())
def test_what_it_reads_is_what_the_reference_reads(
    request_id: str, label: object, route: str | None, is_tight: bool
) -> None:
    fields = {"request_id": request_id, "label": label}
    fields |= {} if route is None else {"route": route}
    raw = json.dumps(fields, separators=(",", ":") if is_tight else None).encode()
    found = plainlabel.read(raw)
    assert found is None or found == reference(raw)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=14))
def test_no_mixture_of_pieces_is_read_otherwise(pieces: list[str]) -> None:
    raw = "".join(pieces).encode()
    found = plainlabel.read(raw)
    assert found is None or found == reference(raw)


@pytest.mark.parametrize(
    "label", ["7", "-7", "0", "true", "false", "0.5", "-0.0", "1.50", '"fraud"', '"a b"', '""']
)
@pytest.mark.parametrize("more", ["", ', "route": "digits"'])
def test_common_forms_are_read_here_and_alike(label: str, more: str) -> None:
    raw = f'{{"request_id": "6f1c", "label": {label}{more}}}'.encode()
    found = plainlabel.read(raw)
    assert found is not None
    assert found == reference(raw)


@pytest.mark.parametrize(
    "raw",
    [
        '{"request_id": "a", "label": -0}',
        '{"request_id": "a", "label": 01}',
        '{"request_id": "a", "label": 1, "label": 2}',
        '{"request_id": "a", "label": 1, "at": 5}',
        '{"request_id": "", "label": 1}',
        '{"request_id": "a\\u0062", "label": 1}',
        '{"request_id": "a", "label": "é"}',
        '{"request_id": "a", "label": 1.' + "1" * 21 + "}",
        '{"request_id": "a", "label": 1}x',
    ],
)
def test_everything_else_is_left_to_the_reference(raw: str) -> None:
    assert plainlabel.read(raw.encode()) is None


def test_a_body_of_both_kinds_keeps_its_order() -> None:
    body = b'{"request_id":"a","label":1}\n{"label":2,"request_id":"b"}\n{"request_id":"c"}\n'
    parsed = parse(body)
    assert [(item.index, item.label.label) for item in parsed.items] == [(0, "1"), (1, "2")]
    assert [fault.index for fault in parsed.faults] == [2]
