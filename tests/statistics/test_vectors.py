"""Our formulas against numbers that independent packages computed, many from their own tests."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from evaluator.confseq import best_rho, radius
from evaluator.eprocess.mixture import MixtureEProcess, even_log_weights, mix
from evaluator.eprocess.normal import tn_log_e

VECTORS = {v["id"]: v for v in json.loads(Path(__file__).with_name("vectors.json").read_text())}


def vector(name: str) -> tuple[Any, Any]:
    return VECTORS[name]["inputs"], VECTORS[name]["computed"]


def test_covariance_bet_is_the_growth_optimal_two_sample_e_variable() -> None:
    inputs, computed = vector("identity_gro_equals_covariance_bet")
    pi, p_a, p_b = inputs["pi"], inputs["pA"], inputs["pB"]
    q = pi * p_b + (1 - pi) * p_a
    bet = (p_b - p_a) / (q * (1 - q))
    for a in (0, 1):
        for y in (0, 1):
            process = MixtureEProcess(even_log_weights(1))
            process.update((a - pi) * (y - q), (bet,))
            assert math.exp(process.log_e) == pytest.approx(computed["gro"][f"a{a}y{y}"], abs=1e-12)


def test_truncated_normal_mixture_equals_its_reference() -> None:
    inputs, computed = vector("ours_tn")
    for (s, v, mean, spread), expected in zip(inputs["cases"], computed["log_e"], strict=True):
        assert tn_log_e(s, v, mean, spread) == pytest.approx(expected, abs=1e-10)


def test_two_sided_normal_mixture_bound_equals_confseq() -> None:
    inputs, computed = vector("cs_normal_two")
    theirs = VECTORS["cs_normal_two"]["published"]["best_rho"]
    assert radius(inputs["v"], theirs, inputs["alpha"]) == pytest.approx(
        computed["bound"], abs=1e-5
    )
    # They approximate the best rho; ours is exact, so its interval is no wider.
    ours = best_rho(inputs["v_opt"], inputs["alpha_opt"])
    assert ours == pytest.approx(theirs, rel=0.04)
    assert radius(inputs["v"], ours, inputs["alpha"]) <= computed["bound"]


def test_normal_interval_and_its_tuning_equal_drconfseq() -> None:
    inputs, computed = vector("drconfseq_rho")
    rho = best_rho(inputs["t_opt"], inputs["alpha"])
    assert 1 / rho == pytest.approx(computed["rho2_exact"], rel=1e-9)
    given = inputs["margin"]
    half = radius(given["t"], 1 / given["rho2"], given["alpha"]) / given["t"]
    assert half == pytest.approx(computed["margin"], abs=1e-10)


def test_mixture_of_gaussian_bets_equals_stcp() -> None:
    inputs, computed = vector("stcp_mix")
    weights, total = [math.log(w) for w in inputs["weights"]], 0.0
    for t, (x, expected) in enumerate(zip(inputs["obs"], computed["log_e"], strict=True), start=1):
        total += x - inputs["m_pre"]
        products = [bet * total - 0.5 * t * bet * bet for bet in inputs["lambdas"]]
        assert mix(weights, products) == pytest.approx(expected, abs=1e-10)
