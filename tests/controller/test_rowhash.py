import csv
import io
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.rowhash import columns_of, flat, normal, row_hash

NAMES = st.text("abcdé_", min_size=1, max_size=5)
CELLS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.booleans(),
    st.none(),
    st.floats(allow_infinity=False, width=32).map(lambda x: float(f"{x:.5g}")),
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8),
)
ROWS = st.dictionaries(NAMES, CELLS, min_size=1, max_size=6)


def as_csv(row: dict[str, Any]) -> dict[str, str]:
    """The row as a CSV reader gives it back: nothing but texts."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    text.seek(0)
    return next(csv.DictReader(text))


@given(ROWS)
def test_row_has_one_hash_whether_it_comes_from_csv_or_json(row: dict[str, Any]) -> None:
    assert row_hash(as_csv(row)) == row_hash(json.loads(json.dumps(row))) == row_hash(row)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_columns_and_absent_ones_change_nothing(row: dict[str, Any], dice: Any) -> None:
    names = list(row)
    dice.shuffle(names)
    assert row_hash({name: row[name] for name in names} | {"none": None}) == row_hash(row)


@given(st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.5g}")))
def test_float32_of_a_number_with_few_digits_is_the_number(value: float) -> None:
    (narrow,) = struct.unpack("f", struct.pack("f", value))
    assert normal(narrow) == normal(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1000001}, {"a": 1000002}),
        ({"a": 0.12345}, {"a": 0.12346}),
        ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": "true"}, {"a": "yes"}),
        ({"a": 1}, {"a": 1, "b": 1}),
    ],
)
def test_rows_that_differ_have_other_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert row_hash(one) != row_hash(other)


def test_only_the_named_columns_count() -> None:
    golden = {"age": 41, "country": "CH", "label": 1}
    assert row_hash(golden, {"age", "country"}) == row_hash({"country": "CH", "age": "41"})


def test_row_without_a_value_has_no_hash() -> None:
    assert row_hash({"a": None, "b": "", "c": float("nan")}) is None
    assert row_hash({"a": 1}, {"b"}) is None


def test_nested_objects_become_dotted_names() -> None:
    nested = {"person": {"age": 41, "name": "A"}, "n": 1}
    assert dict(flat(nested)) == {"person.age": 41, "person.name": "A", "n": 1}
    assert columns_of(nested | {"gone": None}) == {"person.age", "person.name", "n"}
    assert row_hash(nested) == row_hash({"person.age": "41", "person.name": "A", "n": 1.0})


def test_hash_is_the_same_in_every_process_and_version() -> None:
    """Sets of hashes are kept on disk: a change of the normal form makes them worthless."""
    assert row_hash({"age": 41, "country": "CH", "score": 0.25}) == 18181840216369498683
