import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import trace
from router.trace import complement, copied, is_sampled, leg, served

TRACE = b"0af7651916cd43dd8448eb211c80319c"
PARENT = b"b7ad6b7169203331"
CLIENT = b"00-" + TRACE + b"-" + PARENT + b"-01"
SPAN = b"00000000000000a0"
ids = st.integers(1, 2**128 - 1).map(lambda number: b"%032x" % number)


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (CLIENT, True),
        (b"cc-" + TRACE + b"-" + PARENT + b"-03", True),
        (CLIENT[:-2] + b"00", False),
        (CLIENT[:-2] + b"02", False),
        (b"ff" + CLIENT[2:], False),
        (b"00-" + b"0" * 32 + b"-" + PARENT + b"-01", False),
        (b"00-" + TRACE + b"-" + b"0" * 16 + b"-01", False),
        (CLIENT.upper(), False),
        (CLIENT + b"-more", False),
        (b"", False),
    ],
)
def test_only_what_the_client_records_is_traced(value: bytes, sampled: bool) -> None:
    """W3C Trace Context, 3.2: all zeroes and version ff are invalid; bit 0 of the flags decides."""
    assert is_sampled(value) is sampled


def test_variant_that_serves_is_in_the_clients_trace() -> None:
    assert served(CLIENT, SPAN) == b"00-" + TRACE + b"-" + SPAN + b"-01"


@given(ids)
def test_copy_is_in_another_valid_trace(name: bytes) -> None:
    made = copied(b"00-" + name + b"-" + PARENT + b"-01", SPAN)
    assert is_sampled(made)
    assert made[3:35] != name and made[36:52] == SPAN


@given(ids, ids)
def test_copies_of_different_traces_are_not_mixed(one: bytes, other: bytes) -> None:
    edge = b"%032x" % (2**128 - 2)  # its complement is 1, as is that of all ones
    if one != other and edge not in (one, other):
        assert complement(one) != complement(other)


def test_legs_have_names_of_their_own() -> None:
    assert len({SPAN, *(leg(SPAN, number) for number in (1, 2, 3))}) == 4


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(trace)
    assert result.attempted > 0 and result.failed == 0
