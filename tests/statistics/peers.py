"""The tests that other systems run, written from their published formulas.

They run in the same streams as ours (``methods.py``) so that sample sizes and error rates can be
compared. Every formula is held against numbers of the real package in ``test_vectors.py``, except
where it says otherwise. All take arrays; ``alpha`` is the declared level.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]


def growthbook_threshold(n: ArrayLike, alpha: float, tuning: float, *, one_sided: bool) -> Floats:
    """Return the |z| at which GrowthBook's sequential test rejects after ``n`` units in all.

    Source: asymptotic confidence sequence of Waudby-Smith et al. (2021), arXiv 2103.06476, as in
    growthbook/growthbook, packages/stats (gbstats 0.8.0). ``tuning`` is the n at which the interval
    is narrowest; shipped: 5000, two-sided. One-sided: level doubled in rho, log(1 + x) for log(x).
    """
    level = 2.0 * alpha if one_sided else alpha
    rho_squared = (-2.0 * math.log(level) + math.log(-2.0 * math.log(level) + 1.0)) / tuning
    x = np.asarray(n, dtype=np.float64) * rho_squared
    root = np.sqrt(x + 1.0)
    logs = np.log1p(root / (2.0 * alpha)) if one_sided else np.log(root / alpha)
    threshold: Floats = np.sqrt(2.0 * (1.0 + 1.0 / x) * logs)
    return threshold


def statsig_threshold(
    n_a: ArrayLike,
    n_b: ArrayLike,
    var_a: ArrayLike,
    var_b: ArrayLike,
    alpha: float,
    *,
    one_sided: bool,
) -> Floats:
    """Return the |z| at which Statsig's sequential test rejects.

    Source: mixture SPRT as published in Statsig's documentation ("Sequential Testing"): with V the
    variance of the difference and tau = z^2 (var_a + var_b) / (n_a + n_b), reject when
    z^2 >= (V + tau) / tau * (-2 log(alpha / 2) - log(V / (V + tau))). One-sided: alpha for alpha/2.
    The engine itself is closed: checked against the formula's values only.
    """
    a, b = np.asarray(n_a, dtype=np.float64), np.asarray(n_b, dtype=np.float64)
    side = alpha if one_sided else alpha / 2.0
    quantile = float(special.ndtri(1.0 - side))
    v = np.asarray(var_a) / a + np.asarray(var_b) / b
    ratio = quantile**2 * (np.asarray(var_a) + np.asarray(var_b)) / (a + b) / v  # tau / V
    threshold: Floats = np.sqrt((1.0 + 1.0 / ratio) * (-2.0 * math.log(side) + np.log1p(ratio)))
    return threshold


def regression_log_bf(t_squared: ArrayLike, dof: ArrayLike, zz: ArrayLike, phi: float) -> Floats:
    """Return the log Bayes factor of savvi's anytime-valid regression t-test.

    ``t_squared``: of the coefficient; ``dof``: observations less coefficients less one, as savvi
    counts; ``zz``: squared norm of its column after the others are projected out; ``phi``: prior
    precision (shipped: 1).
    Source: Lindon, Ham, Tingley & Bojinov (2022), arXiv 2210.08589, section 3; savvi 0.3.1.
    """
    t2, nu = np.asarray(t_squared, dtype=np.float64), np.asarray(dof, dtype=np.float64)
    kept = phi / (phi + np.asarray(zz, dtype=np.float64))
    log_bf: Floats = 0.5 * np.log(kept) - 0.5 * (nu + 1.0) * (
        np.log1p(kept * t2 / nu) - np.log1p(t2 / nu)
    )
    return log_bf


def dirichlet_log_marginal(counts: ArrayLike, prior: ArrayLike) -> Any:
    """Return log P(a sequence with these ``counts``) under a Dirichlet ``prior`` on the shares.

    The last axis holds the classes. Source: sequential multinomial tests of Lindon & Malek (2020),
    arXiv 2011.03567; also ssrm-test 0.1.5.
    """
    n, a = np.asarray(counts, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    return (
        special.gammaln(a.sum(-1))
        - special.gammaln(a.sum(-1) + n.sum(-1))
        + (special.gammaln(a + n) - special.gammaln(a)).sum(-1)
    )


def multinomial_log_bf(counts: ArrayLike, shares: ArrayLike, k: float) -> Any:
    """Return the log Bayes factor of savvi's multinomial test against ``shares``, prior k * shares.

    Source: as ``dirichlet_log_marginal``; savvi 0.3.1 (``Multinomial``).
    """
    n, theta = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    return dirichlet_log_marginal(n, k * theta) - (n * np.log(theta)).sum(-1)


def fixed_size(effect: float, spread: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the sample size N80 of a fixed-horizon one-sided z-test.

    ``spread`` is the standard deviation of one observation's contribution to the estimated effect
    (for a 50/50 split of variance v: 2 sqrt(v)). Source: any textbook.
    """
    z = float(special.ndtri(1.0 - alpha) + special.ndtri(power))
    return (z * spread / effect) ** 2
