"""How often each check errs, measured with fixed seeds; ``make calibrate`` is the full form."""

import math

import pytest

from tests.statistics import cases

RUNS, OBSERVATIONS = 300, 4_000


@pytest.mark.parametrize("null", cases.NULLS, ids=lambda null: f"{null.error}: {null.name}")
def test_errors_are_no_more_frequent_than_alpha(null: cases.Null) -> None:
    """At any of 4,000 looks, in 300 runs: alpha and three standard errors."""
    runs = int(RUNS * null.runs)
    allowed = null.alpha + 3 * math.sqrt(null.alpha * (1 - null.alpha) / runs)
    assert cases.rejected(null, runs, OBSERVATIONS, seed=20_261_123) <= allowed


def test_requests_of_one_user_must_be_summed_first() -> None:
    """What the clustered form is for: judged by request, sticky users promote falsely."""
    wrong = cases.Null("by request", "", cases.clustered(icc=0.2, by_unit=False))
    assert cases.rejected(wrong, 150, OBSERVATIONS, seed=1) > 0.08


def test_usual_test_looked_at_often_promotes_falsely() -> None:
    """What all of this is for; it also shows that the measurement can fail."""
    assert cases.rejected(cases.NAIVE, 300, OBSERVATIONS, seed=2) > 0.15
