"""Several challengers against one champion."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.holm import alpha_beside, passed

LOGS = st.dictionaries(st.sampled_from("abcdef"), st.floats(-20, 20), min_size=1, max_size=6)


def by_closure(log_es: dict[str, float], alpha: float) -> set[str]:
    """Return what full closed testing rejects: every set of names, the slow way."""
    names = set(log_es)
    for size in range(1, len(log_es) + 1):
        for group in itertools.combinations(log_es, size):
            mean = math.fsum(math.exp(log_es[name]) for name in group) / size
            if mean < 1.0 / alpha:
                names -= set(group)
    return names


@given(log_es=LOGS)
def test_it_equals_closed_testing_over_every_set(log_es: dict[str, float]) -> None:
    assert passed(log_es, 0.05) == by_closure(log_es, 0.05)


def test_one_challenger_alone_needs_what_it_always_needs() -> None:
    assert passed({"a": math.log(20.0) + 1e-9}, 0.05) == {"a"}
    assert passed({"a": 2.9}, 0.05) == frozenset()


def test_company_raises_the_bar_and_strong_evidence_lowers_it_for_others() -> None:
    assert passed({"a": math.log(25.0), "b": -9.0}, 0.05) == frozenset()
    assert passed({"a": math.log(41.0), "b": -9.0}, 0.05) == {"a"}
    assert passed({"a": math.log(1e6), "b": math.log(21.0)}, 0.05) == {"a", "b"}


def test_evidence_too_large_for_a_float_is_fine() -> None:
    assert passed({"a": 1e6, "b": -1e6}, 0.05) == {"a"}


@given(others=st.lists(st.floats(-20, 20) | st.just(-math.inf), max_size=5))
def test_the_level_beside_others_is_where_e_holm_begins_to_pass(others: list[float]) -> None:
    log_e = -math.log(alpha_beside(others, 0.05))
    family = dict(zip("bcdef", others, strict=False))
    assert "a" in passed({"a": log_e + 1e-9, **family}, 0.05)
    assert "a" not in passed({"a": log_e - 1e-6, **family}, 0.05)


def test_one_after_the_other_five_useless_challengers_pass_no_more_often_than_alpha() -> None:
    """4,000 runs of five e-processes in turn, each stopped when it passes or after 300 steps."""
    rng, rejected, uncorrected, bet = np.random.default_rng(2), 0, 0, 0.2
    for _ in range(4000):
        d = rng.normal(0, 1, (5, 300))
        best = (bet * d - 0.5 * bet**2).cumsum(axis=1).max(axis=1)
        uncorrected += bool((best >= math.log(20.0)).any())
        claims: list[float] = []
        for turn in range(5):
            unknown = [-math.inf] * (4 - turn)
            needed = -math.log(alpha_beside([*claims, *unknown], 0.05))
            claims.append(needed if best[turn] >= needed else -math.inf)
        rejected += max(claims) > 0.0
    assert rejected / 4000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert uncorrected / 4000 > 0.12


@pytest.mark.parametrize(("log_es", "alpha"), [({"a": math.nan}, 0.05), ({"a": 1.0}, 0.0)])
def test_what_is_no_evidence_is_refused(log_es: dict[str, float], alpha: float) -> None:
    with pytest.raises(ValueError):
        passed(log_es, alpha)


def test_a_level_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        alpha_beside([], 1.0)


def test_five_useless_challengers_pass_falsely_no_more_often_than_alpha() -> None:
    """2,000 runs, a look after each of 300 steps, all five against one champion."""
    rng, rejected = np.random.default_rng(1), 0
    bets = 0.2
    for _ in range(2000):
        champion = rng.normal(0, 1, 300)
        d = rng.normal(0, 1, (5, 300)) - champion
        logs = (bets * d - 0.5 * bets**2 * 2.0).cumsum(axis=1)
        near = np.flatnonzero(logs.max(axis=0) >= math.log(20.0))
        rejected += any(passed(dict(zip("abcde", logs[:, t], strict=True)), 0.05) for t in near)
    assert rejected / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
