"""Intervals that hold at all times at once, and how long a decision will take. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from evaluator.eprocess.normal import log_ndtr

_STEPS = 50


@dataclass(frozen=True, slots=True)
class Interval:
    """An effect and the ends of its confidence sequence."""

    effect: float
    low: float
    high: float


def best_rho(v_opt: float, alpha: float) -> float:
    """Return the rho at which the normal-mixture interval is narrowest at V = ``v_opt``.

    Solves x - log(1 + x) = 2 log(1/alpha) for x = V/rho (setting the derivative of the radius to
    zero); Waudby-Smith et al. (2021), arXiv 2103.06476, give the same by Lambert's W.
    """
    target = 2.0 * math.log(1.0 / alpha)
    x = target + math.log1p(target)
    for _ in range(_STEPS):
        x -= (x - math.log1p(x) - target) * (1.0 + x) / x  # Newton; convex, starts left of it
    return v_opt / x


def radius(v: float, rho: float, alpha: float) -> float:
    """Return the half-width, on the scale of S, of the normal-mixture confidence sequence."""
    return math.sqrt((v + rho) * (math.log((v + rho) / rho) + 2.0 * math.log(1.0 / alpha)))


def normal_interval(
    s: float, v: float, weight: float, *, detect: float, alpha: float, limit: float = 1.0
) -> Interval | None:
    """Return effect = S / W with a confidence sequence at level 1 - alpha; None when W is 0.

    Input:   S = sum of g, V = sum of g^2 (or more), W = sum of weights, E[g] = weight * effect;
             ``detect`` > 0 is the effect at which the interval is to be narrowest; effects lie
             in [-limit, limit].
    Promise: P(it ever misses the weighted mean effect) <= alpha, asymptotically; the weights are
             those of least variance over the shares that were in force. A value picked because a
             test just stopped is biased away from 0: read the interval, not the middle.
    Source:  two-sided normal mixture, Howard, Ramdas, McAuliffe & Sekhon (2021), Ann. Statist.
             49(2), equation 14, on S / W.
    """
    if weight <= 0.0:
        return None
    rho = best_rho(2.0 * math.log(1.0 / alpha) / (detect * detect), alpha)
    half = radius(v, rho, alpha) / weight
    effect = s / weight
    return Interval(effect, max(-limit, effect - half), min(limit, effect + half))


def invert(log_e: Callable[[float], float], inside: float, outside: float, limit: float) -> float:
    """Return where ``log_e`` crosses ``limit`` between ``inside`` (below it) and ``outside``.

    ``log_e(x)`` is the evidence against the value x and must grow from inside to outside; if it
    never crosses, ``outside`` is returned: the interval ends at the end of the range.
    """
    if log_e(inside) >= limit:
        return inside
    if log_e(outside) < limit:
        return outside
    for _ in range(_STEPS):
        middle = 0.5 * (inside + outside)
        if log_e(middle) < limit:
            inside = middle
        else:
            outside = middle
    return outside  # rounded outwards, so that the interval never shrinks below what is proved


def waiting_factor(q: float, log_threshold: float) -> float:
    """Return quantile ``q`` of a sequential test's sample size, as a multiple of its mean.

    The time at which a random walk with drift d and variance 2d first reaches a is close to
    inverse Gaussian with mean a/d and shape a^2/(2d), so only a = ``log_threshold`` matters.
    Source: Wald (1947), appendix A.6; Chhikara & Folks (1989) for the distribution.
    """
    shape = log_threshold / 2.0  # over the mean
    low, high = 1e-6, 100.0
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        if _inverse_gaussian_cdf(middle, shape) < q:
            low = middle
        else:
            high = middle
    return high


def n_expected(n: int, log_e: float, alpha: float, growth: float) -> int | None:
    """Return observations in all at which 80 % of runs have decided; None if nothing grows.

    ``growth`` is the mean gain of log_e per observation if the effect is as declared. The mixture
    needs about 5 % more than the test that knows the effect (docs/statistics.md).
    """
    threshold = -math.log(alpha)
    missing = threshold - log_e
    if missing <= 0.0:
        return n
    if growth <= 1e-12:
        return None
    wait = 1.05 * missing / growth * waiting_factor(0.8, missing)
    return n + math.ceil(wait) if wait < 1e15 else None


def _inverse_gaussian_cdf(x: float, shape: float) -> float:
    """Return P(T <= x) for mean 1."""
    root = math.sqrt(shape / x)
    first = math.exp(log_ndtr(root * (x - 1.0)))
    return first + math.exp(2.0 * shape + log_ndtr(-root * (x + 1.0)))
