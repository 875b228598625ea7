import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import quantity
from sidecar.quantity import (
    parse_duration_s,
    parse_share,
    parse_share_buckets,
    parse_size_bytes,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("0s", 0.0),
        ("1.5s", 1.5),
        ("30s", 30.0),
        ("10m", 600.0),
        ("12h", 43_200.0),
        ("14d", 1_209_600.0),
    ],
)
def test_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "30 s", "s", "-1s", "1e3s", "12:30:45", "1h30m", "30S", "30s\n", "٣s", "3651d"],
)
def test_duration_without_its_unit_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration_s(text)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.5%", 0.005), ("250%", 2.5)])
def test_share_is_read_as_fraction(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["5", "0.05", "%", "-5%", "5 %", "5%\n", ".5%", "nan%", "1e2%"])
def test_share_without_its_percent_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="percent sign"):
        parse_share(text)


@given(st.integers(min_value=0, max_value=10_000))
def test_every_bucket_share_survives_being_written(buckets: int) -> None:
    assert parse_share_buckets(f"{buckets // 100}.{buckets % 100:02}%") == buckets


@pytest.mark.parametrize(
    ("text", "expected"), [("100.01%", "at most 100%"), ("0.005%", "whole steps of 0.01%")]
)
def test_share_that_is_no_number_of_buckets_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_share_buckets(text)


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("1MiB", 1 << 20)]
)
def test_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["64", "64KB", "64kib", "1.5MiB", "-1B", "64KiB\n", "65GiB"])
def test_size_without_binary_unit_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size"):
        parse_size_bytes(text)


def test_examples_in_docstrings_are_true() -> None:
    result = doctest.testmod(quantity)
    assert result.attempted > 0 and result.failed == 0
