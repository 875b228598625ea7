"""What a pickle would import is known without importing it, however it is written."""

import collections
import io
import os
import pickle
import pickletools
import random
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from controller.gates import pickletrace
from controller.gates.pickletrace import UNKNOWN_GLOBAL, Trace, trace

SYSTEM = ("posix", "system")


class Runs:
    """Would run a command when it is loaded; nothing here loads it."""

    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def read(raw: bytes, **how: bool) -> Trace:
    return trace(io.BytesIO(raw), **how)


def dumped(value: object) -> bytes:
    raw = io.BytesIO()
    joblib.dump(value, raw)
    return raw.getvalue()


@pytest.fixture(scope="module")
def model() -> object:
    rows, labels = load_iris(return_X_y=True)
    return make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(rows, labels)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_model_is_read_to_its_end_in_every_protocol(model: object, protocol: int) -> None:
    found = read(pickle.dumps(model, protocol))
    assert (found.whole, found.fault) == (1, "")
    assert ("sklearn.ensemble._forest", "RandomForestClassifier") in found.imports


def test_a_model_of_joblib_is_read_past_its_arrays(model: object) -> None:
    found = read(dumped(model))
    assert (found.whole, found.fault, found.has_arrays) == (1, "", True)
    assert ("sklearn.tree._tree", "Tree") in found.imports


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_command_is_found_in_every_protocol(protocol: int) -> None:
    assert SYSTEM in read(pickle.dumps([1, Runs()], protocol)).imports


def test_a_command_behind_an_array_of_joblib_is_found() -> None:
    """The scanner's own reader stops at the array, for its bytes are no opcodes."""
    assert SYSTEM in read(dumped([np.arange(100.0), Runs()])).imports


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": Runs()}, None], dtype=object),
        np.array([(1.0, Runs())], dtype=[("a", "f8"), ("b", "O")]),
    ],
    ids=["objects", "a field of objects"],
)
def test_a_command_inside_an_array_of_objects_is_found(array: object) -> None:
    found = read(dumped([array, "after"]))
    assert (found.whole, found.fault) == (1, "")
    assert SYSTEM in found.imports


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.array(["ab", "c"]),
        np.array([b"ab"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2026-01-01"], dtype="M8[s]"),
        np.array([True, False]),
        np.asfortranarray(np.ones((4, 5), dtype="c16")),
        np.arange(3, dtype=">i2"),
        np.array(7.0),
    ],
    ids=lambda array: str(array.dtype),
)
def test_every_kind_of_array_is_passed_at_its_right_length(array: object) -> None:
    found = read(dumped([array, collections.OrderedDict()]))
    assert (found.whole, found.fault) == (1, "")
    assert ("collections", "OrderedDict") in found.imports


def test_opcodes_dressed_as_an_array_are_found_by_reading_them_as_opcodes() -> None:
    """joblib would pass over them; a plain unpickler runs them."""
    hidden = pickle.dumps(Runs(), 0)[:-1] + b"0N."  # the command, dropped, then a whole pickle
    array = np.frombuffer(hidden, dtype=np.uint8).copy()
    whole = dumped(array)
    # joblib aligns the array with padding bytes: without them the opcodes come next.
    at = whole.index(hidden)
    bare = whole[: at - 1 - _padding(whole, at)] + hidden
    assert SYSTEM in read(bare, passes_arrays=False).imports


def _padding(whole: bytes, at: int) -> int:
    """How many bytes joblib has put before the array at ``at``."""
    return next(n for n in range(64) if whole[at - 1 - n] == n)


def test_a_stack_of_several_pickles_is_read_to_the_last() -> None:
    found = read(pickle.dumps(1) + pickle.dumps(2) + pickle.dumps(Runs()))
    assert found.whole == 3 and SYSTEM in found.imports


def test_a_name_out_of_the_memo_is_found() -> None:
    raw = b"\x80\x04\x8c\x05posix\x940\x8c\x06system\x940h\x00h\x01\x93."
    pickletools.dis(raw, io.StringIO())  # it is a pickle
    assert read(raw).imports == {SYSTEM}


def test_a_name_that_is_computed_is_unknown() -> None:
    raw = b"\x80\x04cbuiltins\nstr\nU\x05posix\x85R\x8c\x06system\x93."
    assert UNKNOWN_GLOBAL in read(raw).imports


def test_a_name_by_number_is_unknown() -> None:
    assert read(b"\x80\x02\x82\x01.").imports == {UNKNOWN_GLOBAL}


def test_a_command_in_a_pickle_that_breaks_off_is_found() -> None:
    found = read(pickle.dumps(Runs(), 0)[:-1])
    assert SYSTEM in found.imports and found.calls == 1 and found.whole == 0 and found.fault


@pytest.mark.parametrize(
    "raw", [b"", b"hello world\n", b"country,name\n1,2\n", b"country\nname\nRed\n", b"\x00" * 100]
)
def test_what_is_no_pickle_calls_nothing(raw: bytes) -> None:
    found = read(raw)
    assert (found.whole, found.calls) == (0, 0)


@pytest.mark.parametrize(
    "make",
    [
        b"cbuiltins\nmap\ncjoblib.numpy_pickle\nNumpyArrayWrapper\n\x85R",
        b"cjoblib\nnumpy_pickle.NumpyArrayWrapper\n)\x81",
    ],
    ids=["handed to a function", "another name"],
)
def test_an_array_of_joblib_that_is_made_oddly_is_not_followed(make: bytes) -> None:
    """Who hides where the array's bytes begin could hide opcodes behind them."""
    found = read(b"\x80\x04" + make + b"}b.")
    assert found.whole == 0 and "joblib's array" in found.fault


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [(b"K\x04", b"N"), (b"(K\x02NtK\x00", b"N"), (b"K\x01\x85", b"N")],
    ids=["no tuple", "not of numbers", "no dtype"],
)
def test_an_array_of_joblib_of_unknown_size_is_not_followed(shape: bytes, dtype: bytes) -> None:
    raw = (
        b"\x80\x04cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
        b"X\x05\x00\x00\x00shape" + shape + b"X\x05\x00\x00\x00dtype" + dtype + b"ub."
    )
    found = read(raw)
    assert found.whole == 0 and found.fault


def test_too_many_opcodes_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickletrace, "MAX_OPCODES", 100)
    assert "more than 100 opcodes" in read(pickle.dumps(list(range(200)))).fault


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(value=VALUES, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_read_whole(value: object, protocol: int) -> None:
    found = read(pickle.dumps(value, protocol))
    assert (found.whole, found.fault) == (1, "")
    assert {module for module, _ in found.imports} <= {"builtins", "__builtin__", "_codecs"}


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_read_without_an_exception(raw: bytes) -> None:
    read(raw)
    read(b"\x80\x04" + raw)


def test_a_model_with_a_byte_changed_is_read_without_an_exception(model: object) -> None:
    whole = dumped(model)
    dice = random.Random(7)
    for _ in range(100):
        spoilt = bytearray(whole)
        spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        read(bytes(spoilt))
        read(bytes(spoilt), passes_arrays=False)
