"""Sums per bucket of units."""

import math
import random

import pytest

from evaluator.eprocess.clustered import BUCKETS, ClusteredEProcess, bucket_of


def test_units_spread_evenly_over_the_buckets() -> None:
    counts = [0] * BUCKETS
    rng = random.Random(5)
    for _ in range(100 * BUCKETS):
        counts[bucket_of(rng.getrandbits(63))] += 1
    assert 50 < min(counts) and max(counts) < 160  # 5 to 6 standard deviations from 100


def test_bucket_does_not_follow_the_one_that_routes_the_unit() -> None:
    """A unit below bucket 5,000 of 10,000 gets the challenger; that must not fill some buckets."""
    counts = [0] * BUCKETS
    rng = random.Random(6)
    for _ in range(100 * BUCKETS):
        unit = rng.getrandbits(63)
        counts[bucket_of(unit)] += unit % 10_000 < 5_000
    assert 20 < min(counts) and max(counts) < 90


def test_repeated_requests_of_few_units_prove_nothing() -> None:
    process = ClusteredEProcess.empty()
    for unit in range(50):
        for _ in range(1000):
            process.update(unit << 40, 1.0, 1.0)
    assert process.claim_log_e(0.1, 0.0) == 0.0


def test_effect_in_many_units_is_found_and_its_mirror_is_harm() -> None:
    better, worse = ClusteredEProcess.empty(), ClusteredEProcess.empty()
    rng = random.Random(7)
    for _ in range(4000):
        unit, g = rng.getrandbits(63), rng.gauss(0.1, 1.0)
        better.update(unit, g, 1.0)
        worse.update(unit, -g, 1.0)
    assert better.claim_log_e(0.1, 0.0) > math.log(20)
    assert worse.harm_log_e(0.1, 0.0) == pytest.approx(better.claim_log_e(0.1, 0.0))
    assert worse.claim_log_e(0.1, 0.0) < 0.0


def test_margin_is_added_to_the_effect() -> None:
    process = ClusteredEProcess.empty()
    rng = random.Random(8)
    for _ in range(2000):
        process.update(rng.getrandbits(63), rng.gauss(0.0, 1.0), 1.0)
    s, _, weight = process.moments(0.0)
    shifted, _, _ = process.moments(0.1)
    assert shifted == pytest.approx(s + 0.1 * weight)
    assert process.claim_log_e(0.1, 0.1) > process.claim_log_e(0.1, 0.0)


def test_variance_is_never_read_as_smaller_than_independent_requests_have() -> None:
    """At a share of 99 %, 1 % of failures: thirty are seen, all of the challenger, by chance .74.

    Their squares alone would pass for a tiny variance, and chance for harm.
    """
    process = ClusteredEProcess.empty()
    rng = random.Random(9)
    for i in range(3000):
        is_failure = i % 100 == 0
        process.update(rng.getrandbits(63), -0.01 / 0.01 if is_failure else 0.0, 0.0099 / 0.01)
    _, v, weight = process.moments(0.0)
    assert v == weight
    assert process.harm_log_e(1.0, 0.0) < 0.0


@pytest.mark.parametrize(
    ("g", "weight"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, 0.0), (0.0, -1.0)]
)
def test_values_out_of_range_are_refused(g: float, weight: float) -> None:
    with pytest.raises(ValueError):
        ClusteredEProcess.empty().update(1, g, weight)


def test_effect_to_detect_must_be_positive() -> None:
    with pytest.raises(ValueError):
        ClusteredEProcess.empty().claim_log_e(0.0, 0.0)
