"""Numbers as people read them."""

import math

import pytest

from evaluator.finding import milliseconds, odds, percent, points


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.1234, "12.3 %"), (0.0004, "0.04 %"), (1.0, "100.0 %")]
)
def test_shares_read_as_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.013, "+1.3"), (-0.0004, "-0.04"), (0.0, "0.00"), (-1e-9, "0.00")]
)
def test_differences_read_as_signed_points(share: float, text: str) -> None:
    assert points(share) == text


@pytest.mark.parametrize(
    ("e", "text"), [(20.0, "20:1"), (3.3, "3.3:1"), (4.0, "4:1"), (0.25, "1:4"), (1.0, "1:1")]
)
def test_evidence_reads_as_odds(e: float, text: str) -> None:
    assert odds(math.log(e)) == text


def test_overwhelming_odds_stay_a_number() -> None:
    assert odds(1e6).endswith(":1")


@pytest.mark.parametrize(("seconds", "text"), [(0.0123, "12.3 ms"), (1.5, "1.5 s")])
def test_durations_read_in_milliseconds_or_seconds(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
