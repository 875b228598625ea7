"""The situations in which error rates and sample sizes are measured."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluator.check import correct_question, error_question
from evaluator.eprocess.bounded import Side
from evaluator.evidence import Role
from evaluator.latency import _question
from evaluator.lots import CLUSTERED_TILT
from evaluator.metric import MetricSpec
from evaluator.question import PAIRED, Question
from tests.statistics import simulate
from tests.statistics.simulate import Floats, Ints

Rng = np.random.Generator

ACCURACY = correct_question(MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=0.02))
ERRORS = error_question(MetricSpec("errors", "error", Role.GUARDRAIL, margin=0.005))
RAMP = (0.01, 0.05, 0.25, 0.5)


@dataclass(frozen=True)
class Null:
    """A situation in which rejecting is an error."""

    name: str
    """What is the case."""
    error: str
    """What rejecting would mean."""
    path: Callable[[Rng, int], Floats]
    """Log evidence at every look of one run of so many observations."""
    alpha: float = 0.05
    runs: float = 1.0
    """Runs of this case as a multiple of the usual number."""


def lots(
    rng: Rng, plan: list[simulate.Epoch], rates: Callable[[Floats], tuple[Floats, Floats]]
) -> Ints:
    """Draw split-mode cells; ``rates`` gives both variants' rates of good answers over time."""
    n = plan[-1].stop
    pi = np.concatenate([np.full(e.stop - e.start, e.propensity) for e in plan])
    a = rng.random(n) < pi
    good_a, good_b = rates(np.arange(n) / n)
    y = rng.random(n) < np.where(a, good_b, good_a)
    return 2 * a.astype(np.int64) + y


def pairs(rng: Rng, n: int, good_a: float, good_b: float, phi: float) -> Ints:
    """Draw pair cells with correlation ``phi`` between the two answers' being good."""
    both = good_a * good_b + phi * math.sqrt(good_a * (1 - good_a) * good_b * (1 - good_b))
    odds = [1 - good_a - good_b + both, good_b - both, good_a - both, both]
    return rng.choice(4, size=n, p=odds)


def flat(a: float, b: float) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return constant rates."""
    return lambda t: (np.full_like(t, a), np.full_like(t, b))


def drift(start: float, end: float) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Return rates of both variants that move together from ``start`` to ``end``."""
    return lambda t: (start + (end - start) * t, start + (end - start) * t)


def split_path(
    question: Question,
    rates: Callable[[Floats], tuple[Floats, Floats]],
    *,
    shares: tuple[float, ...] = (0.5,),
    is_harm: bool = False,
) -> Callable[[Rng, int], Floats]:
    """Return the path of a split check over ``shares`` of equal length."""

    def path(rng: Rng, n: int) -> Floats:
        plan = list(simulate.epochs([(n // len(shares), share) for share in shares]))
        cells = lots(rng, plan, rates)
        base = simulate.bases(question, cells, plan)
        make = simulate.harm_path if is_harm else simulate.claim_path
        return make(question, cells, plan, base)

    return path


def pair_path(
    question: Question, a: float, b: float, phi: float, *, is_harm: bool = False
) -> Callable[[Rng, int], Floats]:
    """Return the path of a check on pairs."""

    def path(rng: Rng, n: int) -> Floats:
        plan = list(simulate.epochs([(n, PAIRED)]))
        cells = pairs(rng, n, a, b, phi)
        base = simulate.bases(question, cells, plan)
        make = simulate.harm_path if is_harm else simulate.claim_path
        return make(question, cells, plan, base)

    return path


def latency(factor: float, *, is_harm: bool) -> Callable[[Rng, int], Floats]:
    """Return the path of a latency check (p95, margin 10 %), log-normal with sigma .8."""

    def path(rng: Rng, n: int) -> Floats:
        plan = list(simulate.epochs([(n, 0.5)]))
        a = (rng.random(n) < 0.5).astype(np.int64)
        seconds = rng.lognormal(-4.0, 0.8, n) * np.where(a == 1, factor, 1.0)
        return simulate.latency_path(
            _question(), seconds, a, plan, margin=0.1, quantile=0.95, is_harm=is_harm
        )

    return path


def srm(*shares: float) -> Callable[[Rng, int], Floats]:
    """Return the path of the split check when units are shared out as asked."""

    def path(rng: Rng, n: int) -> Floats:
        plan = list(simulate.epochs([(n // len(shares), share) for share in shares]))
        pi = np.concatenate([np.full(e.stop - e.start, e.propensity) for e in plan])
        return simulate.srm_path((rng.random(len(pi)) < pi).astype(np.int64), plan)

    return path


def agreement(target: float, side: Side) -> Callable[[Rng, int], Floats]:
    """Return the path of an agreement check when exactly ``target`` of the pairs agree."""
    return lambda rng, n: simulate.bounded_path(
        (rng.random(n) < target).astype(np.int64), target, side
    )


def sticky(
    rng: Rng, n: int, *, icc: float, each: int = 20
) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint64]], Ints, Ints]:
    """Draw users who send ``each`` requests and keep their variant; rates differ between users."""
    users = n // each
    spread = 1.0 / icc - 1.0
    rate = rng.beta(0.9 * spread, 0.1 * spread, users)
    who = rng.integers(0, users, n)
    a = (rng.random(users) < 0.5)[who]
    y = rng.random(n) < rate[who]
    units = rng.integers(0, 2**63, users, dtype=np.uint64)[who]
    return units, a.astype(np.int64), y.astype(np.int64)


def clustered(*, icc: float, by_unit: bool) -> Callable[[Rng, int], Floats]:
    """Return the path of the accuracy check for sticky users, summed by unit or wrongly not."""

    def path(rng: Rng, n: int) -> Floats:
        units, a, y = sticky(rng, n, icc=icc)
        if not by_unit:
            plan = list(simulate.epochs([(n, 0.5)]))
            cells = 2 * a + y
            return simulate.claim_path(ACCURACY, cells, plan, simulate.bases(ACCURACY, cells, plan))
        g = (a - 0.5) * (y - 0.9) / 0.09
        weight = np.full(n, 0.25 / 0.09)
        return simulate.clustered_path(units, g, weight, effect=0.02, margin=0.0, every=50)

    return path


def clustered_errors(rng: Rng, n: int) -> Floats:
    """Return the path of the error claim for sticky users, exactly at the margin."""
    units, a, _ = sticky(rng, n, icc=0.05)
    failed = rng.random(n) < np.where(a == 1, 0.006, 0.001)
    variance = 0.005 * 0.995
    g: Floats = (a - 0.5) * (0.001 - failed) / variance
    weight = np.full(n, 0.25 / variance)
    return simulate.clustered_path(units, g, weight, effect=0.005, margin=0.005, every=50)


def clustered_srm(rng: Rng, n: int) -> Floats:
    """Return the path of the split check for sticky users."""
    units, a, _ = sticky(rng, n, icc=0.05)
    weight = np.full(n, 0.25)
    g: Floats = a.astype(np.float64) - 0.5
    up, down = (
        simulate.clustered_path(
            units, sign * g, weight, effect=CLUSTERED_TILT, margin=0.0, every=50
        )
        for sign in (1.0, -1.0)
    )
    both: Floats = np.logaddexp(up, down) - math.log(2.0)
    return both


def rollback(rng: Rng, n: int) -> Floats:
    """Return the path of the common evidence of harm: errors weigh 2/3, accuracy 1/3."""
    errors = split_path(ERRORS, flat(0.998, 0.993), shares=(0.25,), is_harm=True)(rng, n)
    accuracy = split_path(ACCURACY, flat(0.9, 0.9), shares=(0.25,), is_harm=True)(rng, n)
    both: Floats = np.logaddexp(errors + math.log(2 / 3), accuracy + math.log(1 / 3))
    return both


def naive(rng: Rng, n: int) -> Floats:
    """Return what a usual one-sided z-test says when it is looked at after every 100 requests.

    Not ours: it shows what the others here are for. Written as log evidence, so that z > 1.645
    reads as a rejection at 5 %.
    """
    a, y = rng.random(n) < 0.5, rng.random(n) < 0.1
    n_b, n_a = a.cumsum()[99::100], (~a).cumsum()[99::100]
    rate_b, rate_a = (a & y).cumsum()[99::100] / n_b, (~a & y).cumsum()[99::100] / n_a
    rate = y.cumsum()[99::100] / (n_a + n_b)
    error = np.sqrt(np.maximum(rate * (1 - rate), 1e-9) * (1 / n_a + 1 / n_b))
    z: Floats = (rate_b - rate_a) / error
    return np.where(z > 1.645, np.inf, 0.0)


NULLS = (
    Null("split 50/50, both 10 % correct", "false promotion", split_path(ACCURACY, flat(0.1, 0.1))),
    Null("split 50/50, both 90 % correct", "false promotion", split_path(ACCURACY, flat(0.9, 0.9))),
    Null(
        "pairs, both 92 % correct, correlation .7",
        "false promotion",
        pair_path(ACCURACY, 0.92, 0.92, 0.7),
    ),
    Null(
        "ramp 1, 5, 25, 50 %, rate 10 to 14 %",
        "false promotion",
        split_path(ACCURACY, drift(0.1, 0.14), shares=RAMP),
    ),
    Null(
        "ramp 1, 5, 25, 50 %, rate 14 to 10 %",
        "false promotion",
        split_path(ACCURACY, drift(0.14, 0.1), shares=RAMP),
    ),
    Null(
        "split 25 %, both 90 % correct",
        "false harm",
        split_path(ACCURACY, flat(0.9, 0.9), shares=(0.25,), is_harm=True),
    ),
    Null(
        "split 50/50, errors 1 % and 1.5 %, margin .5 %",
        "false pass",
        split_path(ERRORS, flat(0.99, 0.985)),
    ),
    Null(
        "pairs, errors .2 % and .7 %, margin .5 %",
        "false pass",
        pair_path(ERRORS, 0.998, 0.993, 0.2),
    ),
    Null(
        "split 25 %, errors .2 % and .7 %, margin .5 %",
        "false harm",
        split_path(ERRORS, flat(0.998, 0.993), shares=(0.25,), is_harm=True),
    ),
    Null(
        "pairs, errors .2 % and .7 %, margin .5 %",
        "false harm",
        pair_path(ERRORS, 0.998, 0.993, 0.2, is_harm=True),
    ),
    Null(
        "split 50/50, p95 at the margin of 10 %",
        "false pass",
        latency(1.1, is_harm=False),
        runs=0.5,
    ),
    Null(
        "split 50/50, latency at the margin of 10 %",
        "false harm",
        latency(1.1, is_harm=True),
        runs=0.5,
    ),
    Null("split 25 %, errors at the margin, accuracy equal", "false rollback", rollback),
    Null("90 % of pairs agree, 90 % asked", "false pass", agreement(0.9, Side.CLAIM)),
    Null("90 % of pairs agree, 90 % asked", "false harm", agreement(0.9, Side.BREACH)),
    Null("split 50/50 as asked", "false alarm", srm(0.5), alpha=0.001, runs=4.0),
    Null("ramp 1, 5, 25, 50 % as asked", "false alarm", srm(*RAMP), alpha=0.001, runs=4.0),
    Null(
        "sticky users, 20 requests each, ICC .05",
        "false promotion",
        clustered(icc=0.05, by_unit=True),
    ),
    Null(
        "sticky users, 20 requests each, ICC .2",
        "false promotion",
        clustered(icc=0.2, by_unit=True),
    ),
    Null("sticky users, errors .1 % and .6 %, margin .5 %", "false pass", clustered_errors),
    Null("sticky users, split as asked", "false alarm", clustered_srm, alpha=0.001),
)


NAIVE = Null(
    "split 50/50, both 10 %: **a usual z-test, each 100 requests**", "false promotion", naive
)


@dataclass(frozen=True)
class Wait:
    """How long until the error guardrail speaks."""

    name: str
    unit: str
    mean: Callable[[Rng], float]


def until_passed(share: float) -> Callable[[Rng], float]:
    """Return observations until the error guardrail passes when neither variant ever fails."""

    def run(rng: Rng) -> float:
        plan = list(simulate.epochs([(20_000, share)]))
        cells = (
            np.full(20_000, 3)
            if share == PAIRED
            else 2 * (rng.random(20_000) < share).astype(np.int64) + 1
        )
        path = simulate.claim_path(ERRORS, cells, plan, simulate.bases(ERRORS, cells, plan))
        return float(simulate.first_crossing(path, 0.05) or math.inf)

    return run


def until_harm(share: float, healthy: int) -> Callable[[Rng], float]:
    """Return the challenger's failures until harm, when it fails always after a healthy time."""

    def run(rng: Rng) -> float:
        n = healthy + 2_000
        plan = list(simulate.epochs([(n, share)]))
        a = (rng.random(n) < share).astype(np.int64)
        cells = 2 * a + np.where((np.arange(n) >= healthy) & (a == 1), 0, 1)
        path = simulate.harm_path(ERRORS, cells, plan, simulate.bases(ERRORS, cells, plan))
        stop = simulate.first_crossing(path, 0.05)
        return float(a[healthy:stop].sum()) if stop is not None else math.inf

    return run


WAITS = (
    Wait("no failure at all: guardrail passes, pairs", "pairs", until_passed(PAIRED)),
    Wait("no failure at all: guardrail passes, split 50 %", "requests", until_passed(0.5)),
    Wait("no failure at all: guardrail passes, split 25 %", "requests", until_passed(0.25)),
    Wait("fails always from the start, split 25 %", "its requests", until_harm(0.25, 0)),
    Wait("fails always after 1,000 healthy, split 25 %", "its requests", until_harm(0.25, 1_000)),
    Wait("fails always after 20,000 healthy, split 25 %", "its requests", until_harm(0.25, 20_000)),
    Wait("fails always after 20,000 healthy, split 1 %", "its requests", until_harm(0.01, 20_000)),
)


def rejected(null: Null, runs: int, n: int, seed: int) -> float:
    """Return the share of runs of ``n`` observations that ever reject."""
    rng = np.random.default_rng(seed)
    return (
        sum(simulate.first_crossing(null.path(rng, n), null.alpha) is not None for _ in range(runs))
        / runs
    )
