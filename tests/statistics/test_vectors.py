"""Formulas against numbers that independent packages computed, many from their own tests.

The first half is about our own formulas, the second about those of the peers that run beside ours
in the calibration. Published numbers that are left out are listed at the end, with the reason.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.confseq import best_rho, radius
from evaluator.eprocess.mixture import MixtureEProcess, even_log_weights, log_mean, mix
from evaluator.eprocess.normal import tn_log_e
from tests.statistics import peers

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


def test_single_bets_on_a_gaussian_equal_the_safe_z_test() -> None:
    """Their two-sided statistic is the mean of a bet up and one down."""
    inputs, computed = vector("safeZ")
    bet, n = inputs["phiS"] / inputs["sigma"], inputs["n1"]
    total = math.sqrt(n) * inputs["z"]
    up, down = (sign * bet * total - 0.5 * n * bet * bet for sign in (1.0, -1.0))
    assert math.exp(mix([0.0], [up])) == pytest.approx(computed["greater"], rel=1e-12)
    assert math.exp(log_mean([up, down])) == pytest.approx(computed["twoSided"], rel=1e-11)


def test_interval_with_an_estimated_variance_equals_drconfseq_at_every_n() -> None:
    inputs, computed = vector("drconfseq_asymp")
    rho = best_rho(inputs["t_opt"], inputs["alpha"])
    for t in range(2, len(inputs["x"]) + 1):
        seen = np.array(inputs["x"][:t])
        half = float(seen.std(ddof=1)) * radius(t, rho, inputs["alpha"]) / t
        assert seen.mean() - half == pytest.approx(computed["lower"][t - 1], abs=1e-9)
        assert seen.mean() + half == pytest.approx(computed["upper"][t - 1], abs=1e-9)


# The peers.


def relative(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float]:
    """Return the relative difference of two samples (n, sum, sum of squares) and its error."""
    (n_a, s_a, q_a), (n_b, s_b, q_b) = a, b
    mean_a, mean_b = s_a / n_a, s_b / n_b
    var_a, var_b = (
        (q - n * m * m) / (n - 1) for n, m, q in ((n_a, mean_a, q_a), (n_b, mean_b, q_b))
    )
    error = var_b / n_b / mean_a**2 + var_a / n_a * mean_b**2 / mean_a**4
    return (mean_b - mean_a) / mean_a, math.sqrt(error)


def counts(sample: list[int]) -> tuple[float, float, float]:
    """Return (n, sum, sum of squares) of successes among trials, with the plain variance."""
    k, n = sample
    share = k / n
    return n, k, n * share**2 + (n - 1) * share * (1 - share)


def test_growthbook_thresholds_give_its_published_intervals() -> None:
    inputs, computed = vector("gb_seq_prop_abs")
    n = inputs["A"][1] + inputs["B"][1]
    two, one = (
        peers.growthbook_threshold(n, inputs["alpha"], inputs["tuning"], one_sided=one_sided)
        for one_sided in (False, True)
    )
    effect, error = computed["est"], computed["se"]
    assert [effect - two * error, effect + two * error] == pytest.approx(computed["two_sided"])
    assert effect - one * error == pytest.approx(computed["greater"][0])


@pytest.mark.parametrize("name", ["gb_seq_prop", "gb_seq_mean"])
def test_growthbook_threshold_gives_its_relative_intervals(name: str) -> None:
    inputs, computed = vector(name)
    a, b = (
        (s["n"], s["sum"], s["sumsq"]) if isinstance(s, dict) else counts(s)
        for s in (inputs["A"], inputs["B"])
    )
    effect, error = relative(a, b)
    assert effect == pytest.approx(computed["expected"])
    assert error == pytest.approx(computed["stddev"], rel=1e-6)
    half = error * peers.growthbook_threshold(
        a[0] + b[0], inputs["alpha"], inputs["tuning"], one_sided=False
    )
    assert [effect - half, effect + half] == pytest.approx(computed["ci"], rel=1e-6)


def test_growthbook_one_sided_threshold_gives_its_relative_interval() -> None:
    inputs, computed = vector("gb_seq_one_sided")
    a, b = ((s["n"], s["sum"], s["sumsq"]) for s in (inputs["A"], inputs["B"]))
    effect, error = relative(a, b)
    threshold = peers.growthbook_threshold(
        a[0] + b[0], inputs["alpha"], inputs["tuning"], one_sided=True
    )
    assert effect - error * threshold == pytest.approx(computed["ci"][0], rel=1e-6)


def test_statsig_threshold_equals_the_published_formula() -> None:
    inputs, computed = vector("statsig_z")
    for case, expected in zip(inputs["cases"], computed["z"], strict=True):
        threshold = peers.statsig_threshold(
            case["n_c"],
            case["n_t"],
            case["var_c"],
            case["var_t"],
            case["alpha"],
            one_sided=case["sided"] == 1,
        )
        assert threshold == pytest.approx(expected, rel=1e-12)


def test_regression_bayes_factor_equals_savvi() -> None:
    """Theirs is recursive and starts from a variance of 1e6, so the last digits differ."""
    inputs, computed = vector("savvi_linreg")
    n, rng = 5000, np.random.RandomState(1)
    x, z = rng.normal(size=n), rng.binomial(1, 0.5, n)
    design = np.column_stack([np.ones(n), x, z])
    y = (design @ np.array(inputs["beta"]) + rng.normal(size=n))[: computed["n"]]
    design = design[: computed["n"]]
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    freedom = len(y) - design.shape[1]
    scale = np.diag(np.linalg.inv(design.T @ design))
    t_squared = beta**2 / (((y - design @ beta) ** 2).sum() / freedom * scale)
    p = np.exp(-peers.regression_log_bf(t_squared, freedom - 1, 1 / scale, inputs["phi"]))
    assert p[1:] == pytest.approx(computed["p"][1:], rel=1e-6)


def test_multinomial_bayes_factor_equals_savvi() -> None:
    inputs, computed = vector("savvi_multinomial")
    log_bf = peers.multinomial_log_bf(computed["counts"], inputs["theta_0"], inputs["k"])
    assert log_bf == pytest.approx(computed["log_odds"], abs=1e-10)
    assert math.exp(-log_bf) == pytest.approx(computed["p"], rel=1e-10)


def test_dirichlet_marginal_equals_ssrm() -> None:
    inputs, computed = vector("ssrm_posteriors")
    seen = np.array(inputs["data"]).cumsum(axis=0)
    found = peers.dirichlet_log_marginal(seen, np.array(inputs["dirichlet_alpha"]))
    assert found == pytest.approx(computed["logM1"], abs=1e-12)
    assert seen @ np.log(inputs["theta0"]) == pytest.approx(computed["logM0"], abs=1e-12)


LEFT_OUT = {
    "cs_gamma_exp": "a mixture for exponential tails; no check assumes one",
    "cs_gamma_poisson": "a mixture for Poisson counts; errors are compared by their ratio instead",
    "cs_betabin_two": "two-sided beta-binomial; ours bets on a grid, which adds up over shares",
    "cs_polystitch": "stitched bounds are wider than mixtures at every sample size that matters",
    "cs_lil": "a bound over all quantiles at once; we compare five thresholds fixed beforehand",
    "cs_double_stitch": "the same",
    "cs_bernoulli_ci": "interval of a share by a beta-binomial; agreement's inverts its own test",
    "cs_predmix_lambda": "adaptive bets depend on the order of arrival and do not add up",
    "cs_akelly_lambda": "the same",
    "cs_betting_mart": "the same",
    "cs_hedged_cs": "the same",
    "cs_predmix_eb": "the same",
    "spotify_gst5": "group-sequential bounds need a horizon and a number of looks",
    "spotify_gst20": "the same",
    "ville_ebh": "controls the false discovery rate; one promotion needs the error rate of any",
    "ville_p2e": "no p-value is turned into evidence",
    "ville_bernoulli": "one sample with a Beta prior; ours bets on a grid (agreement)",
    "safe2x2_doc": "bets learned on the way, in blocks of one each; needs a 50/50 split",
    "safe2x2_64": "the same",
}
"""Numbers that independent packages publish and that nothing here computes, and why."""


def test_what_is_left_out_is_not_tested_by_accident() -> None:
    assert not LEFT_OUT.keys() & VECTORS.keys()
    assert all(LEFT_OUT.values())
