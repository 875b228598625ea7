"""The mixture on the effect itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.eprocess.effect import SPREAD, effect_log_e, restarted_effect_log_e


@given(s=st.floats(-50, 10), v=st.floats(0, 200))
def test_closed_form_equals_the_integral(s: float, v: float) -> None:
    bets = np.linspace(1e-9, 12.0, 200_001)
    prior = np.exp(-0.5 * ((bets - 1.0) / SPREAD) ** 2)
    value = np.exp(bets * s - 0.5 * bets**2 * v) * prior
    expected = math.log(np.trapezoid(value, bets) / np.trapezoid(prior, bets))
    assert effect_log_e(s, v) == pytest.approx(expected, abs=1e-3)


def test_one_epoch_from_the_start_costs_a_quarter_of_the_mixture() -> None:
    plain = effect_log_e(10.0, 3.0)
    restarted = restarted_effect_log_e([(0, 10.0, 3.0)])
    assert math.exp(restarted) == pytest.approx(0.75 * math.exp(plain) + 0.25)


def test_late_harm_is_not_protected_by_a_healthy_past() -> None:
    past, late = (0, -500.0, 500.0), (6, 12.0, 4.0)
    assert effect_log_e(-488.0, 504.0) < 0.0
    assert restarted_effect_log_e([past, late]) > 3.0


def test_nothing_seen_is_no_evidence() -> None:
    assert restarted_effect_log_e([]) == 0.0
    assert effect_log_e(0.0, 0.0) == pytest.approx(0.0, abs=1e-12)


@given(s=st.floats(-1e9, 1e9), v=st.floats(0, 1e9), vague=st.booleans())
def test_evidence_is_always_a_number(s: float, v: float, vague: bool) -> None:
    assert math.isfinite(effect_log_e(s, v, is_vague=vague))
