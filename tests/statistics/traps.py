"""Ways in which a right formula gives a wrong answer: late labels, sticky users; and latency."""

import math
from typing import Any

import numpy as np

from evaluator.eprocess.mixture import GRID, log_weights
from evaluator.latency import _question
from tests.statistics import cases, peers, simulate
from tests.statistics.simulate import Floats, Ints, clipped, log_sum

SEED = 20_261_124
ALPHA = 0.05

# Labels that arrive later.

DAYS, LOOKS_A_DAY, REQUESTS_A_DAY = 30, 4, 5_000
RATE = 0.10
SOON_DAYS, LATE_DAYS, SPREAD = 2.0, 4.0, 0.35
"""Median time to conversion, log-normal: the challenger's and the champion's."""
MATURITIES_DAYS = (0, 1, 7, 14)
DELAY_RUNS = 1_000


def delays(scale: float) -> dict[str, Any]:
    """Return false promotions when the challenger only converts sooner, by maturity."""
    runs = max(20, round(DELAY_RUNS * scale))
    rng, looks = np.random.default_rng(SEED), DAYS * LOOKS_A_DAY
    crossed = {(way, m): np.zeros(looks) for way in ("ours", "GrowthBook") for m in MATURITIES_DAYS}
    for _ in range(runs):
        n, converted = _cohorts(rng)
        for maturity in MATURITIES_DAYS:
            counts = _seen(n, converted, maturity * LOOKS_A_DAY)
            for way, path in (("ours", _ours(counts)), ("GrowthBook", _growthbook(counts))):
                crossed[way, maturity] += np.maximum.accumulate(path)
    return {
        "runs": runs,
        "days": [(i + 1) / LOOKS_A_DAY for i in range(looks)],
        "methods": {
            f"{way}, {_age(maturity)}": {
                "rejected": float(f"{total[-1] / runs:.4g}"),
                "over": [float(f"{x:.4g}") for x in total / runs],
            }
            for (way, maturity), total in crossed.items()
        },
    }


def _age(days: int) -> str:
    return f"{days} days old" if days > 1 else "1 day old" if days else "as arrived"


def _cohorts(rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return requests (2, cohorts) and conversions (2, cohorts, age in looks) of one experiment."""
    looks = DAYS * LOOKS_A_DAY
    size = REQUESTS_A_DAY // LOOKS_A_DAY
    n_b = rng.binomial(size, 0.5, looks)
    n = np.stack([size - n_b, n_b])
    converted = np.zeros((2, looks, looks + 1), dtype=np.int64)
    for arm, median_days in enumerate((LATE_DAYS, SOON_DAYS)):
        total = rng.binomial(n[arm], RATE)
        cohort = np.repeat(np.arange(looks), total)
        age = median_days * LOOKS_A_DAY * rng.lognormal(0.0, SPREAD, len(cohort))
        np.add.at(converted[arm], (cohort, np.minimum(age, looks).astype(np.int64)), 1)
    return n, converted


def _seen(n: Ints, converted: Ints, maturity: int) -> Floats:
    """Return (champion no, yes, challenger no, yes) at each look (4, looks).

    A cohort counts once it is ``maturity`` looks old; then with what it has by the look (0) or by
    that age.
    """
    looks = n.shape[1]
    by_age = converted.cumsum(axis=2)
    out = np.zeros((4, looks))
    for look in range(looks):
        cohorts = np.arange(max(0, look + 1 - maturity))
        age = np.full(len(cohorts), maturity) if maturity else look - cohorts
        for arm in (0, 1):
            yes = by_age[arm, cohorts, age].sum()
            out[2 * arm : 2 * arm + 2, look] = n[arm, cohorts].sum() - yes, yes
    return out


def _ours(counts: Floats) -> Floats:
    """Return 1 where the mixture with the champion's final rate known is at 20 or more."""
    h = 0.5 * np.array([RATE, -(1 - RATE), -RATE, 1 - RATE])
    bets = clipped(0.02 * np.array(GRID) / (RATE * (1 - RATE)), h.min())
    paths = counts.T @ np.log1p(np.outer(h, bets)) + np.array(log_weights())
    return (log_sum(paths) >= -math.log(ALPHA)).astype(np.float64)


def _growthbook(counts: Floats) -> Floats:
    """Return 1 where GrowthBook's one-sided test rejects."""
    n_a, n_b = counts[0] + counts[1], counts[2] + counts[3]
    has = (n_a > 0) & (n_b > 0)
    a, b = counts[1] / np.maximum(n_a, 1), counts[3] / np.maximum(n_b, 1)
    error = np.sqrt(a * (1 - a) / np.maximum(n_a, 1) + b * (1 - b) / np.maximum(n_b, 1))
    threshold = peers.growthbook_threshold(np.maximum(n_a + n_b, 1), ALPHA, 5_000, one_sided=True)
    return (has & (b - a >= threshold * np.maximum(error, 1e-9))).astype(np.float64)


# Users who keep their variant.

STICKY_RUNS = 1_000
STICKY_OBSERVATIONS = 10_000
STICKY_EVERY = 50


def sticky(scale: float) -> dict[str, Any]:
    """Return false promotions with 20 requests a user, by what is treated as a unit."""
    runs = max(20, round(STICKY_RUNS * scale))
    found: dict[str, Any] = {
        "runs": runs,
        "at": list(range(STICKY_EVERY, STICKY_OBSERVATIONS + 1, STICKY_EVERY)),
        "methods": {},
    }
    for icc in (0.05, 0.2):
        for by_unit in (False, True):
            path = cases.clustered(icc=icc, by_unit=by_unit)
            rng, total = np.random.default_rng(SEED), 0.0
            for _ in range(runs):
                over = path(rng, STICKY_OBSERVATIONS) >= -math.log(ALPHA)
                if not by_unit:
                    over = over.reshape(-1, STICKY_EVERY).any(axis=1)
                total = total + np.maximum.accumulate(over)
            unit = "users" if by_unit else "requests"
            found["methods"][f"by {unit}, ICC {icc:g}"] = {
                "rejected": float(f"{total[-1] / runs:.4g}"),
                "over": [float(f"{x:.4g}") for x in total / runs],
            }
    return found


# Latency.

LATENCY_RUNS = 400


def latency(scale: float) -> dict[str, Any]:
    """Return false alarms about latency, and requests until +10 % is found, margin 0."""
    runs = max(10, round(LATENCY_RUNS * scale))

    def path(rng: np.random.Generator, n: int, factor: float) -> Floats:
        plan = list(simulate.epochs([(n, 0.5)]))
        b = (rng.random(n) < 0.5).astype(np.int64)
        seconds = rng.lognormal(-4.0, 0.8, n) * np.where(b == 1, factor, 1.0)
        return simulate.latency_path(
            _question(), seconds, b, plan, margin=0.0, quantile=0.95, is_harm=True
        )

    rng = np.random.default_rng(SEED)
    false = sum(simulate.first_crossing(path(rng, 30_000, 1.0), ALPHA) is not None
                for _ in range(runs))  # fmt: skip
    waits = [simulate.first_crossing(path(rng, 20_000, 1.1), ALPHA) or 20_000 for _ in range(runs)]
    return {
        "runs": runs,
        "observations": 30_000,
        "rejected": float(f"{false / runs:.4g}"),
        "shift": float(f"{np.mean(waits):.5g}"),
        "shift_error": float(f"{np.std(waits) / math.sqrt(runs):.3g}"),
    }
