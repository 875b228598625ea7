"""Who serves a unit."""

import math
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.choose import bucket_of, choose, hash_unit
from router.table import BUCKETS
from tests.router.cases import parts
from tests.router.strategies import a_route, many, salts, shares, units

KNOWN_HASH = 2742863029455913794
N_UNITS = 20_000
SIGMAS = 5.0
"""A fixed set of units under a fixed salt: this either holds for ever or never did."""


def unit(number: int) -> bytes:
    return b"user-%d" % number


@many
@given(unit=units, salt=salts, low=shares, high=shares)
def test_raising_share_never_moves_unit_back(unit: bytes, salt: bytes, low: int, high: int) -> None:
    low, high = sorted((low, high))
    before = choose(a_route(buckets=low, salt=salt), unit)
    after = choose(a_route(buckets=high, salt=salt), unit)
    assert after.is_challenger >= before.is_challenger
    assert before.bucket == after.bucket


@many
@given(unit=units, low=shares, high=shares)
def test_raising_mirror_share_never_stops_copying_a_unit(unit: bytes, low: int, high: int) -> None:
    low, high = sorted((low, high))
    before = choose(a_route(mirror_buckets=low), unit)
    after = choose(a_route(mirror_buckets=high), unit)
    assert (after.mirror is not None) >= (before.mirror is not None)


@many
@given(unit=units, salt=salts, buckets=shares, mirror_buckets=st.none() | shares)
def test_decision_agrees_with_its_bucket(
    unit: bytes, salt: bytes, buckets: int, mirror_buckets: int | None
) -> None:
    route = a_route(buckets=buckets, mirror_buckets=mirror_buckets, salt=salt)
    decision = choose(route, unit)
    assert parts(decision) == parts(choose(route, unit))
    assert decision.bucket == bucket_of(unit, salt) == decision.unit % BUCKETS
    assert 0 <= decision.unit < 2**63
    assert decision.is_challenger is (decision.bucket < buckets)
    assert decision.serve == ("b" if decision.is_challenger else "a")
    assert decision.propensity == buckets / BUCKETS
    is_copied = mirror_buckets is not None and decision.bucket < mirror_buckets
    assert decision.mirror == ("b" if is_copied and not decision.is_challenger else None)


@many
@given(unit=units, salt=salts)
def test_whoever_serves_gets_no_copy(unit: bytes, salt: bytes) -> None:
    decision = choose(a_route(buckets=BUCKETS, mirror_buckets=BUCKETS, salt=salt), unit)
    assert (decision.serve, decision.mirror) == ("b", None)


@pytest.mark.parametrize("buckets", [1, 100, 500, 2_500, 5_000, 9_900])
def test_shares_are_met_within_binomial_error(buckets: int) -> None:
    route = a_route(buckets=buckets, salt=b"the salt of this test")
    n = sum(choose(route, unit(number)).is_challenger for number in range(N_UNITS))
    share = buckets / BUCKETS
    error = math.sqrt(N_UNITS * share * (1 - share))
    assert abs(n - N_UNITS * share) <= SIGMAS * error


def test_units_fall_evenly_into_every_hundredth() -> None:
    hundredths = Counter(bucket_of(unit(n), b"even") // 100 for n in range(N_UNITS))
    expected = N_UNITS / 100
    chi_square = sum((hundredths[k] - expected) ** 2 / expected for k in range(100))
    assert chi_square < 99 + SIGMAS * math.sqrt(2 * 99)


def test_assignments_under_two_salts_are_independent() -> None:
    one, two = a_route(buckets=5_000, salt=b"one"), a_route(buckets=5_000, salt=b"two")
    both = sum(
        choose(one, unit(n)).is_challenger and choose(two, unit(n)).is_challenger
        for n in range(N_UNITS)
    )
    assert abs(both - N_UNITS / 4) <= SIGMAS * math.sqrt(N_UNITS * 3 / 16)


def test_no_share_and_the_whole_share_are_exact() -> None:
    nobody, everybody = a_route(buckets=0), a_route(buckets=BUCKETS)
    assert not any(choose(nobody, unit(n)).is_challenger for n in range(2_000))
    assert all(choose(everybody, unit(n)).is_challenger for n in range(2_000))


def test_hash_of_a_unit_never_changes_between_releases() -> None:
    """Units would change sides in the middle of an experiment. BLAKE2b of 8 bytes, keyed."""
    assert hash_unit(b"user-1", b"salt") == KNOWN_HASH


def test_route_without_challenger_is_served_by_its_champion() -> None:
    route = a_route()
    alone = msgspec.structs.replace(
        route, split=msgspec.structs.replace(route.split, challenger=None)
    )
    decision = choose(alone, b"anyone")
    assert (decision.serve, decision.mirror, decision.propensity) == ("a", None, 0.0)
