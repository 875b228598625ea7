"""What is measured, part by part: each returns plain values for tests/statistics/measured.json.

A part takes the number of runs as a multiple of the full one, so that the same code serves the
quick form in the tests. Bars B1 to B14 (``bars.py``) read what is here.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evaluator.binary import BinaryCheck
from evaluator.check import correct_question
from evaluator.eprocess.normal import tn_log_e
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from evaluator.question import Question
from tests.statistics import (
    adjustment,
    cases,
    maturing,
    methods,
    peers,
    rollback,
    streams,
    traps,
    watch,
)
from tests.statistics.simulate import Base, Floats, Ints
from tests.statistics.streams import Method, Stream

SEED = 20_261_124
H1_RUNS = 4_000
H0_RUNS = 4_000
H0_OBSERVATIONS = 100_000
RAMP_RUNS = 2_000
CHECK_RUNS, CHECK_OBSERVATIONS = 2_000, 10_000
CHECK_SEED = 20_261_123
POINTS = 41
"""Times at which the share of runs that have stopped is kept, evenly in the logarithm."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """Two variants' rates; for pairs also their correlation."""

    name: str
    a: float
    b: float
    detect: float
    phi: float | None = None

    @property
    def only(self) -> tuple[float, float]:
        """Shares of the pairs on which only the champion, and only the challenger, is good."""
        assert self.phi is not None
        a, b = self.a, self.b
        both = a * b + self.phi * math.sqrt(a * (1 - a) * b * (1 - b))
        return a - both, b - both

    @property
    def variance(self) -> float:
        """Of one observation: of an answer, or of a pair's difference."""
        if self.phi is None:
            return 0.5 * (self.a * (1 - self.a) + self.b * (1 - self.b))
        return sum(self.only)

    @property
    def n80(self) -> int:
        """Sample size of a fixed-horizon one-sided 5 % test with 80 % power for ``detect``."""
        spread = math.sqrt(self.variance) * (2.0 if self.phi is None else 1.0)
        return math.ceil(peers.fixed_size(self.detect, spread))

    @property
    def n_oracle(self) -> float:
        """What the oracle needs on average, from theory: log(20) over its rate of growth."""
        if self.phi is None:
            rate = 0.25 * self.detect**2 / (2 * self.variance)
        else:
            rate = self.detect**2 / (2 * self.variance)
        return math.log(20) / rate


SPLITS = (
    Scenario("10 % to 11 %", 0.10, 0.11, 0.01),
    Scenario("10 % to 12 %", 0.10, 0.12, 0.02),
    Scenario("90 % to 92 %", 0.90, 0.92, 0.02),
    Scenario("92 % to 93 %", 0.92, 0.93, 0.01),
)
PAIRS = (
    Scenario("92 % to 93 %, correlation .7", 0.92, 0.93, 0.01, 0.7),
    Scenario("92 % to 93 %, independent", 0.92, 0.93, 0.01, 0.0),
    Scenario("10 % to 11 %, correlation .7", 0.10, 0.11, 0.01, 0.7),
    Scenario("10 % to 12 %, correlation .7", 0.10, 0.12, 0.02, 0.7),
    Scenario("90 % to 92 %, correlation .7", 0.90, 0.92, 0.02, 0.7),
    Scenario("90 % to 92 %, independent", 0.90, 0.92, 0.02, 0.0),
)
SPLIT_NULLS = (
    Scenario("both 1 %", 0.01, 0.01, 0.005),
    Scenario("both 10 %", 0.10, 0.10, 0.02),
    Scenario("both 90 %", 0.90, 0.90, 0.02),
)
PAIR_NULLS = (
    Scenario("both 92 %, correlation .7", 0.92, 0.92, 0.01, 0.7),
    Scenario("both 10 %, independent", 0.10, 0.10, 0.02, 0.0),
)
GAUSS_EFFECT = 0.1


def question(detect: float | None) -> Question:
    """Return what the shipped objective asks."""
    return correct_question(MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=detect))


def ours(s: Scenario) -> dict[str, Method]:
    """Return our ways of deciding about ``s``.

    Of a challenger that is better, hardly any is given up after three N80, and most have passed:
    there it is not looked for any longer, because it takes time.
    """
    known = Base(s.a, s.variance if s.phi is not None else 0.1, s.detect, s.detect)
    asked = question(s.detect)
    wide = Question(**(_fields(asked) | {"is_vague": True}))
    bet = s.detect / (s.variance if s.phi is not None else s.a * (1 - s.a))
    v_end = s.n80 * s.variance * (0.25 if s.phi is None else 1.0)
    return {
        "ours, learning": methods.Bets(asked),
        "ours": methods.Bets(asked, known=known),
        "ours, wide": methods.Bets(wide, known=known),
        "ours, no effect declared": methods.Bets(question(None), known=known),
        "ours, effect stated twice too large": methods.Bets(question(2 * s.detect), known=known),
        "ours, effect stated twice too small": methods.Bets(question(s.detect / 2), known=known),
        "ours, from sums": methods.Normal(s.a, bet),
        "futility": methods.Bets(
            asked, known=known, is_futility=True, alpha=0.2, ends_at=3 * s.n80
        ),
        "ours, fixed horizon": methods.Horizon(s.a, v_end, 2 * s.n80),
    }


def split_methods(s: Scenario, horizon: int) -> dict[str, Method]:
    """Return everything that runs on a split."""
    phi = s.a * (1 - s.a) / s.detect**2
    return ours(s) | {
        "oracle": methods.split_oracle(cases.flat(s.a, s.b), horizon),
        **sequential_peers(s.n_oracle, phi),
        "usual test, every 100": methods.naive(),
        "usual test, once": methods.fixed(s.n80),
    }


def sequential_peers(tuning: float, phi: float) -> dict[str, Method]:
    """Return the peers at equal terms (5 % false promotions) and as shipped (two-sided 5 %)."""
    return {
        "GrowthBook, tuned": methods.growthbook(tuning, one_sided=True),
        "GrowthBook, as shipped": methods.growthbook(5_000, one_sided=False),
        "savvi regression, tuned": methods.savvi_regression(phi, 0.1),
        "savvi regression, as shipped": methods.savvi_regression(1.0, 0.05),
        "Statsig, one-sided": methods.statsig(one_sided=True),
        "Statsig, as shipped": methods.statsig(one_sided=False),
    }


def pair_methods(s: Scenario) -> dict[str, Method]:
    """Return everything that runs on pairs."""
    return ours(s) | {
        "oracle": methods.pair_oracle(*s.only),
        "GrowthBook's formula on differences, tuned": methods.growthbook_on_pairs(
            s.n_oracle, one_sided=True
        ),
        "GrowthBook's formula on differences, as shipped": methods.growthbook_on_pairs(
            5_000, one_sided=False
        ),
        "savvi multinomial, tuned": methods.savvi_multinomial_on_pairs(
            (s.variance / s.detect) ** 2, 0.1
        ),
        "savvi multinomial, as shipped": methods.savvi_multinomial_on_pairs(100.0, 0.05),
        "usual test, every 100": methods.naive(is_paired=True),
        "usual test, once": methods.fixed(s.n80, is_paired=True),
    }


def gaussian_methods(effect: float) -> dict[str, Method]:
    """Return everything that runs on values with standard deviation 1."""
    n80 = math.ceil(peers.fixed_size(GAUSS_EFFECT, 2.0))
    tuning = 8 * math.log(20) / GAUSS_EFFECT**2
    found: dict[str, Method] = {
        "ours, from sums": methods.Normal(0.0, GAUSS_EFFECT),
        "ours, fixed horizon": methods.Horizon(0.0, 0.25 * n80, 2 * n80),
        **sequential_peers(tuning, 1 / GAUSS_EFFECT**2),
        "usual test, every 100": methods.naive(),
        "usual test, once": methods.fixed(n80),
    }
    if effect > 0:
        found["oracle"] = methods.gaussian_oracle(effect)
    return found


# Parts.


def split_gain(s: Scenario, scale: float) -> Result:
    """Measure sample sizes on a 50/50 split."""
    horizon = round(14 * s.n_oracle)
    stream = streams.split(cases.flat(s.a, s.b), (horizon, 0.5))
    return gain(stream, split_methods(s, horizon), s.n80, scale)


def pair_gain(s: Scenario, scale: float) -> Result:
    """Measure sample sizes on pairs."""
    assert s.phi is not None
    stream = streams.pairs(s.a, s.b, s.phi, round(14 * s.n_oracle))
    found = gain(stream, pair_methods(s), s.n80, scale)
    return found | {"differing": sum(s.only)}


def gaussian_gain(scale: float) -> Result:
    """Measure sample sizes on values with standard deviation 1."""
    n80 = math.ceil(peers.fixed_size(GAUSS_EFFECT, 2.0))
    return gain(streams.gaussian(GAUSS_EFFECT, 34_000), gaussian_methods(GAUSS_EFFECT), n80, scale)


def gain(stream: Stream, ways: Mapping[str, Method], n80: int, scale: float) -> Result:
    """Return sample sizes of every method, as they are and as multiples of the oracle's."""
    runs = _runs(H1_RUNS, scale)
    stops = streams.first_stops(stream, ways, runs, SEED)
    oracle = _capped(stops["oracle"], stream.horizon)
    found: Result = {"runs": runs, "n80": n80, "horizon": stream.horizon, "methods": {}}
    for name, at in stops.items():
        if name != "futility":
            # A test with a horizon ends there, whatever it says: its mean counts that.
            last = n80 if ways[name].ends_at < math.inf else stream.horizon
            found["methods"][name] = sizes(at, oracle, last, n80)
    if "futility" in stops:
        found["methods"]["ours, with futility"] = with_futility(
            stops["ours"], stops["futility"], oracle, stream.horizon
        )
    return found


def sizes(at: Ints, oracle: Floats, horizon: int, n80: int) -> Result:
    """Summarise stopping times; a run that never stopped counts as its horizon, and is told."""
    n = _capped(at, horizon)
    ratio = float(n.mean() / oracle.mean())
    error = float((n - ratio * oracle).std() / math.sqrt(len(n)) / oracle.mean())
    return {
        "mean": _short(n.mean()),
        "ratio": _short(ratio),
        "error": _short(error),
        "q50": _short(np.quantile(n, 0.5)),
        "q80": _short(np.quantile(n, 0.8)),
        "q95": _short(np.quantile(n, 0.95)),
        "power": _short(((at > 0) & (at <= n80)).mean()),
        "never": _short((at == 0).mean()),
    }


def with_futility(claim: Ints, futile: Ints, oracle: Floats, horizon: int) -> Result:
    """Summarise what happens when the rollout also ends as soon as nothing is to be hoped for."""
    yes, no = _capped(claim, horizon), _capped(futile, horizon)
    n = np.minimum(yes, no)
    return {
        "mean": _short(n.mean()),
        "ratio": _short(n.mean() / oracle.mean()),
        "power": _short(((claim > 0) & (yes <= no)).mean()),
        "q80": _short(np.quantile(n, 0.8)),
    }


def split_null(s: Scenario, scale: float) -> Result:
    """Measure false promotions on a 50/50 split, a look after every observation."""
    horizon = H0_OBSERVATIONS
    stream = streams.split(cases.flat(s.a, s.b), (horizon, 0.5))
    ways = split_methods(s, horizon)
    ways["oracle"] = methods.split_oracle(cases.flat(s.a, s.a + s.detect), horizon)
    return null(stream, ways, s.n80, scale)


def pair_null(s: Scenario, scale: float) -> Result:
    """Measure false promotions on pairs, a look after every observation."""
    assert s.phi is not None
    stream = streams.pairs(s.a, s.b, s.phi, H0_OBSERVATIONS)
    better = Scenario(s.name, s.a, s.a + s.detect, s.detect, s.phi)
    ways = pair_methods(s) | {"oracle": methods.pair_oracle(*better.only)}
    return null(stream, ways, s.n80, scale)


def gaussian_null(scale: float) -> Result:
    """Measure false promotions on values with standard deviation 1."""
    n80 = math.ceil(peers.fixed_size(GAUSS_EFFECT, 2.0))
    return null(streams.gaussian(0.0, H0_OBSERVATIONS), gaussian_methods(0.0), n80, scale)


def null(stream: Stream, ways: Mapping[str, Method], n80: int, scale: float) -> Result:
    """Return how often every method rejects what is true, by the end and over time."""
    runs = _runs(H0_RUNS, scale)
    if "futility" in ways:  # what is never given up would count as the horizon
        futility = ways["futility"]
        assert isinstance(futility, methods.Bets)
        ways = {**ways, "futility": replace(futility, ends_at=math.inf)}
    stops = streams.first_stops(stream, ways, runs, SEED + 1)
    found: Result = {
        "runs": runs,
        "n80": n80,
        "horizon": stream.horizon,
        "at": [round(t) for t in times(stream.horizon)],
        "methods": {},
    }
    for name, at in stops.items():
        if name != "futility":
            found["methods"][name] = rejections(at, stream.horizon)
    if "futility" in stops:
        yes = _capped(stops["ours"], stream.horizon)
        no = _capped(stops["futility"], stream.horizon)
        found["methods"]["ours, with futility"] = {
            "rejected": _short(((stops["ours"] > 0) & (yes <= no)).mean()),
            "mean": _short(np.minimum(yes, no).mean()),
        }
    return found


def rejections(at: Ints, horizon: int) -> Result:
    """Summarise rejections of a true null."""
    done = np.sort(at[at > 0])
    share = np.searchsorted(done, times(horizon), side="right") / len(at)
    return {"rejected": _short(len(done) / len(at)), "over": [_short(x) for x in share]}


RAMP = ((20_000, 0.01), (20_000, 0.05), (20_000, 0.25), (100_000, 0.5))


def ramp(start: float, end: float, effect: float, scale: float) -> Result:
    """Measure a ramp while both rates drift from ``start`` to ``end``."""
    runs, horizon = _runs(RAMP_RUNS, scale), sum(length for length, _ in RAMP)

    def rates(t: Floats) -> tuple[Floats, Floats]:
        a = start + (end - start) * t
        return a, a + effect

    ways: dict[str, Method] = {
        "ours, learning": methods.Bets(question(0.02)),
        "GrowthBook, tuned": methods.growthbook(6_000, one_sided=True),
        "Statsig, one-sided": methods.statsig(one_sided=True),
        "usual test, every 100": methods.naive(),
        "usual test, once": methods.fixed(horizon),
    }
    if effect > 0:
        ways["oracle"] = methods.split_oracle(rates, horizon)
    stops = streams.first_stops(streams.split(rates, *RAMP), ways, runs, SEED + 2)
    if effect > 0:
        oracle = _capped(stops["oracle"], horizon)
        return {
            "runs": runs,
            "methods": {name: sizes(at, oracle, horizon, horizon) for name, at in stops.items()},
        }
    found: Result = {"runs": runs, "at": [round(20.0 * i) * 40 for i in range(1, 201)]}
    found["methods"] = {}
    for name, at in stops.items():
        done = np.sort(at[at > 0])
        share = np.searchsorted(done, found["at"], side="right") / runs
        found["methods"][name] = {
            "rejected": _short(len(done) / runs),
            "over": [_short(x) for x in share],
        }
    return found


def checks(scale: float) -> Result:
    """Measure the shipped checks, each in a situation in which it should hold still, and faster."""
    runs = _runs(CHECK_RUNS, scale)
    found: Result = {"runs": runs, "observations": CHECK_OBSERVATIONS, "nulls": []}
    for case in (*cases.NULLS, cases.NAIVE):
        count = max(1, int(runs * case.runs))
        share = cases.rejected(case, count, CHECK_OBSERVATIONS, CHECK_SEED)
        found["nulls"].append([case.name, case.error, case.alpha, _short(share), count])
    found["waits"], found["runs_waits"] = [], min(50, runs)
    for wait in cases.WAITS:
        rng = np.random.default_rng(CHECK_SEED)
        mean = float(np.mean([wait.mean(rng) for _ in range(found["runs_waits"])]))
        found["waits"].append([wait.name, wait.unit, _short(mean)])
    return found


def merged(scale: float) -> Result:
    """Measure how far 64 shards, added up in any order, are from one stream."""
    rng = np.random.default_rng(SEED)
    n, worst = _runs(20_000, max(scale, 0.1)), 0.0
    for asked in (question(0.02), cases.ERRORS):
        whole = BinaryCheck.fresh(asked, is_clustered=False)
        shards = [BinaryCheck.fresh(asked, is_clustered=False) for _ in range(64)]
        a, y = rng.random(n) < 0.25, rng.random(n) < 0.92
        for i, (is_challenger, is_good) in enumerate(zip(a.tolist(), y.tolist(), strict=True)):
            for check in (whole, shards[i * 7919 % 64]):
                check.observe_split(0, 0.25, is_challenger, is_good, i)
        total = BinaryCheck.fresh(asked, is_clustered=False)
        for i in rng.permutation(64).tolist():
            total.merge(shards[i])
        for read in (BinaryCheck.claim_log_e, BinaryCheck.harm_log_e):
            worst = max(worst, abs(read(total) - read(whole)))
    return {"observations": n, "worst": worst}


def cost(scale: float) -> Result:
    """Measure what one evaluation costs, in microseconds, on this machine."""
    check = BinaryCheck.fresh(question(0.02), is_clustered=False)
    rng = np.random.default_rng(SEED)
    for epoch in range(10):
        for is_good in (rng.random(200) < 0.9).tolist():
            check.observe_split(epoch, 0.5, bool(rng.random() < 0.5), is_good, 0)
        check.roll()

    def binary() -> None:
        check.observe_split(10, 0.5, True, True, 0)
        check.claim_log_e()

    turns = _runs(200, max(scale, 0.05))
    return {
        "binary_us": _short(_best_us(binary, turns)),
        "sums_us": _short(_best_us(lambda: tn_log_e(12.0, 300.0, 0.1, 0.05), turns)),
        "epochs": 11,
    }


def _best_us(act: Callable[[], object], turns: int) -> float:
    """Return the time of one call: the best of short turns, because others use the machine too."""
    best = math.inf
    for _ in range(turns):
        begun = time.perf_counter()
        for _ in range(50):
            act()
        best = min(best, time.perf_counter() - begun)
    return best / 50 * 1e6


PARTS: dict[str, Callable[[float], Result]] = {
    **{f"split gain: {s.name}": (lambda scale, s=s: split_gain(s, scale)) for s in SPLITS},
    "split gain: normal, effect .1": gaussian_gain,
    **{f"pair gain: {s.name}": (lambda scale, s=s: pair_gain(s, scale)) for s in PAIRS},
    **{f"split null: {s.name}": (lambda scale, s=s: split_null(s, scale)) for s in SPLIT_NULLS},
    "split null: normal": gaussian_null,
    **{f"pair null: {s.name}": (lambda scale, s=s: pair_null(s, scale)) for s in PAIR_NULLS},
    "ramp null: rising": lambda scale: ramp(0.10, 0.14, 0.0, scale),
    "ramp null: flat": lambda scale: ramp(0.10, 0.10, 0.0, scale),
    "ramp null: falling": lambda scale: ramp(0.14, 0.10, 0.0, scale),
    "ramp gain": lambda scale: ramp(0.10, 0.14, 0.02, scale),
    "rollback": rollback.measure,
    "watch": watch.measure,
    "adjustment": adjustment.measure,
    "latency": traps.latency,
    "delays": traps.delays,
    "maturity": maturing.measure,
    "sticky": traps.sticky,
    "checks": checks,
    "merge": merged,
    "cost": cost,
}
"""Name -> measurement; the argument is the number of runs as a multiple of the full one."""


def chosen(words: Iterable[str]) -> list[str]:
    """Return the parts whose name contains one of ``words``, or all; ValueError if none does."""
    words = list(words)
    found = [name for name in PARTS if not words or any(word in name for word in words)]
    if not found:
        raise ValueError(f"no part is called like {words}; there are {', '.join(PARTS)}")
    return found


def times(horizon: int) -> Floats:
    """Return the observation numbers at which shares are kept."""
    return np.geomspace(100, horizon, POINTS)


def _runs(full: int, scale: float) -> int:
    return max(1, round(full * scale))


def _capped(at: Ints, horizon: int) -> Floats:
    return np.where(at == 0, horizon, at).astype(np.float64)


def _short(x: Any) -> float:
    """Round to six digits, so that the file changes only when a number does."""
    return float(f"{float(x):.6g}")


def _fields(asked: Question) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Question.__slots__}
