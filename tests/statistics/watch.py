"""After the promotion: how soon a change is noticed, and how often there is a false alarm.

The e-SR procedure sums a fresh copy of each bet for every moment at which the change may have come:
M <- (M + 1) * (1 + bet * h). Its mean time to a false alarm is at least the number at which it
alarms. Source: Shin, Ramdas & Rinaldo (2022), arXiv 2203.03532.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluator.eprocess.mixture import GRID, log_weights
from tests.statistics import streams
from tests.statistics.simulate import Floats, Ints, clipped
from tests.statistics.streams import Block, Bools, Method, Rates

SEED = 20_261_124
FULL_RUNS = 400
TARGET = 1e5
CHANGE = 20_000
BEFORE, AFTER = 0.08, 0.10
PERIOD = 20_000
"""Length of a season, in requests."""


@dataclass(frozen=True)
class Detector:
    """The mixture e-SR on h, alarm at ``target``."""

    values: tuple[float, float, float, float]
    """h of the four cells; its mean is 0 or less as long as all is well."""
    bets: tuple[float, ...]
    target: float = TARGET
    ends_at: float = math.inf

    def start(self, runs: int) -> "_Detecting":
        """Begin."""
        return _Detecting(self, runs)


class _Detecting:
    def __init__(self, how: Detector, runs: int) -> None:
        self._how = how
        self._table = np.log1p(np.outer(how.values, how.bets))
        self._weights = np.exp(log_weights())
        self._copies = np.zeros((runs, len(how.bets)))
        self._counts = np.zeros((runs, 4))

    def look(self, block: Block, is_open: Bools) -> Ints:
        cells = np.stack([c - b[:, None] for c, b in zip(block.cells, self._counts.T, strict=True)])
        logs = np.moveaxis(cells, 0, -1) @ self._table
        # M_t = exp(L_t) (M_0 + sum over s < t of exp(-L_s)), with L_0 = 0.
        shrunk = np.exp(-logs)
        copies = shrunk.cumsum(axis=1) - shrunk
        copies += self._copies[:, None, :] + 1.0
        copies /= shrunk
        self._copies = copies[:, -1].copy()
        self._counts = self._counts + cells[:, :, -1].T
        alarm = copies @ self._weights >= self._how.target
        return np.where(alarm.any(axis=1), alarm.argmax(axis=1) + 1, 0)

    def keep(self, rows: Bools) -> None:
        self._copies, self._counts = self._copies[rows], self._counts[rows]


@dataclass(frozen=True)
class Cusum:
    """The CUSUM that knows both rates, alarm at ``height``."""

    height: float
    ends_at: float = math.inf

    def start(self, runs: int) -> "_Summing":
        """Begin."""
        return _Summing(self.height, runs)


class _Summing:
    def __init__(self, height: float, runs: int) -> None:
        self._height = height
        self._level, self._bad = np.zeros(runs), np.zeros(runs)

    def look(self, block: Block, is_open: Bools) -> Ints:
        bad = np.diff(block.s_b, axis=1, prepend=self._bad[:, None])
        step = np.where(bad > 0, math.log(AFTER / BEFORE), math.log((1 - AFTER) / (1 - BEFORE)))
        walk = step.cumsum(axis=1)
        lowest = np.minimum(np.minimum.accumulate(walk, axis=1), -self._level[:, None])
        level = walk - lowest
        self._level, self._bad = level[:, -1].copy(), block.s_b[:, -1].copy()
        alarm = level >= self._height
        return np.where(alarm.any(axis=1), alarm.argmax(axis=1) + 1, 0)

    def keep(self, rows: Bools) -> None:
        self._level, self._bad = self._level[rows], self._bad[rows]


def single(rate: Rates, horizon: int) -> streams.Stream:
    """Return one variant's failures; the first of ``rate``'s two values is used."""

    def draw(rng: np.random.Generator, runs: int, at: Floats, pi: float) -> dict[str, Floats]:
        p, _ = rate(at)
        bad = rng.random((runs, len(at)), dtype=np.float32) < p.astype(np.float32)
        nothing = np.zeros_like(bad)
        return {"s_a": nothing, "s_b": bad, "both": nothing}

    return streams.Stream(((horizon, -1.0),), draw)


def against_baseline(target: float = TARGET) -> Detector:
    """Return the detector that knows the rate before the change."""
    h = np.array([-BEFORE, 1 - BEFORE, 0.0, 0.0])
    effect, variance = AFTER - BEFORE, BEFORE * (1 - BEFORE)
    bets = clipped(effect * np.array(GRID) / variance, h.min())
    return Detector(tuple(h.tolist()), tuple(bets.tolist()), target)


def against_holdback(holdback: float, target: float = TARGET) -> Detector:
    """Return the detector that compares with the old champion's ``holdback`` at the same time."""
    pi, m = 1 - holdback, BEFORE  # h of (champion fine, champion failed, new fine, new failed)
    h = np.array([pi * m, -pi * (1 - m), -(1 - pi) * m, (1 - pi) * (1 - m)])
    bets = clipped((AFTER - BEFORE) * np.array(GRID) / (m * (1 - m)), h.min())
    return Detector(tuple(h.tolist()), tuple(bets.tolist()), target)


def season(worse_by: float = 0.0) -> Rates:
    """Return failure rates of both variants that go up and down; the argument is in requests."""

    def rates(t: Floats) -> tuple[Floats, Floats]:
        rate = BEFORE + 0.015 * np.sin(2 * np.pi * t / PERIOD)
        return rate, rate + worse_by

    return rates


def measure(scale: float) -> dict[str, Any]:
    """Return mean times to a false alarm, and delays."""
    runs = max(20, round(FULL_RUNS * scale))
    heights = np.arange(4.0, 8.1, 0.25)
    flat = single(lambda t: (np.full_like(t, BEFORE), t), 2_000_000)
    ways: dict[str, Method] = {"ours": against_baseline()}
    ways |= {f"{h:g}": Cusum(float(h)) for h in heights}
    ways = {name: way for name, way in ways.items() if name == "ours" or float(name) <= 7.0}
    false = {name: float(at.mean()) for name, at in _times(flat, ways, runs).items()}
    known = sorted((arl, float(name)) for name, arl in false.items() if name != "ours")
    height = float(np.interp(math.log(false["ours"]), [math.log(a) for a, _ in known],
                             [h for _, h in known]))  # fmt: skip
    return {
        "runs": runs,
        "target": TARGET,
        "false_alarm": round(false["ours"]),
        "delay": {
            "runs": 5 * runs,
            **_delays({"ours": against_baseline(), "oracle": Cusum(height)}, 5 * runs),
        },
        "holdback": {f"{share:.0%}": _with_holdback(share, runs) for share in (0.05, 0.10, 0.25)},
    }


def _times(stream: streams.Stream, ways: dict[str, Method], runs: int) -> dict[str, Floats]:
    stops = streams.first_stops(stream, ways, runs, SEED)
    return {name: np.where(at == 0, stream.horizon, at) for name, at in stops.items()}


def _delays(ways: dict[str, Method], runs: int) -> dict[str, float]:
    """Return the mean delay of those that had no false alarm before the change."""
    horizon = CHANGE + 60_000
    stream = single(lambda t: (np.where(t < CHANGE, BEFORE, AFTER), t), horizon)
    return {
        name: float(f"{(at[at > CHANGE] - CHANGE).mean():.5g}")
        for name, at in _times(stream, ways, runs).items()
    }


def _with_holdback(holdback: float, runs: int) -> dict[str, float]:
    """Return the mean time to a false alarm through seasons, and to +2 points found."""
    horizon = 1_500_000
    found = {}
    for name, worse_by in (("false_alarm", 0.0), ("delay", AFTER - BEFORE)):
        rates = season(worse_by)
        stream = streams.split(lambda t, r=rates: r(t * horizon), (horizon, 1 - holdback))
        at = _times(stream, {"ours": against_holdback(holdback)}, runs)["ours"]
        found[name] = float(f"{at.mean():.5g}")
    return found
