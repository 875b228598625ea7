"""Draws many runs at once and looks at them, with every method, after each observation.

All methods see the same observations (common random numbers). Runs are taken in chunks and time in
blocks, so that memory stays below some hundred megabytes whatever the number of runs; a run ends as
soon as every method has stopped. ``test_streams.py`` holds this against ``simulate.py``, which
``test_simulate.py`` holds against the shipped classes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluator.question import PAIRED
from tests.statistics.simulate import Epoch, Floats, Ints, epochs

Bools = NDArray[np.bool_]
Rng = np.random.Generator
Rates = Callable[[Floats], tuple[Floats, Floats]]

CHUNK = 400
WIDTH = 256
"""Runs and observations that are looked at together; measured: larger blocks leave the cache."""


@dataclass
class Block:
    """Consecutive observations of several runs: sums since the run began, after each of them.

    Arrays have one row for each run and one column for each observation.
    """

    epoch: Epoch
    start: int
    """Observations before this block."""
    n_b: Floats
    """Split: observations of the challenger. Pairs: 0."""
    s_a: Floats
    """Split: sum of the champion's values. Pairs: only the champion was good."""
    s_b: Floats
    """Split: sum of the challenger's values. Pairs: only the challenger was good."""
    q: Floats | None = None
    """Sum of squares of all values; None when they are 0 or 1."""
    both: Floats | None = None
    """Pairs: both were good."""

    @cached_property
    def n(self) -> Floats:
        """Observations so far, as one row."""
        return np.arange(self.start + 1, self.start + 1 + self.s_a.shape[1], dtype=np.float64)

    @cached_property
    def n_a(self) -> Floats:
        """Split: observations of the champion."""
        return self.n - self.n_b

    @cached_property
    def cells(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Counts as in ``evaluator.question.Table``."""
        if self.both is not None:
            return self.n - self.s_a - self.s_b - self.both, self.s_b, self.s_a, self.both
        return self.n_a - self.s_a, self.s_a, self.n_b - self.s_b, self.s_b

    @cached_property
    def effect(self) -> Floats:
        """Split: difference of the means; 0 while one of them is unknown."""
        a, b = np.maximum(self.n_a, 1.0), np.maximum(self.n_b, 1.0)
        found: Floats = np.where((self.n_a > 0) & (self.n_b > 0), self.s_b / b - self.s_a / a, 0.0)
        return found

    @cached_property
    def z(self) -> Floats:
        """Split: effect over its estimated error; 0 while that is unknown."""
        a, b = np.maximum(self.n_a, 1.0), np.maximum(self.n_b, 1.0)
        if self.q is None:
            m_a, m_b = self.s_a / a, self.s_b / b
            error = m_a * (1 - m_a) / a + m_b * (1 - m_b) / b
        else:
            error = self.residual / np.maximum(self.n - 2, 1.0) * (1 / a + 1 / b)
        known = (self.n_a > 1) & (self.n_b > 1) & (error > 1e-12)
        found: Floats = np.where(known, self.effect, 0.0) / np.sqrt(np.where(known, error, 1.0))
        return found

    @cached_property
    def residual(self) -> Floats:
        """Split: sum of squares around the two means."""
        a, b = np.maximum(self.n_a, 1.0), np.maximum(self.n_b, 1.0)
        q = self.s_a + self.s_b if self.q is None else self.q
        return q - self.s_a**2 / a - self.s_b**2 / b

    @cached_property
    def paired_z(self) -> Floats:
        """Pairs: McNemar's statistic, signed."""
        total = self.s_a + self.s_b
        found: Floats = (self.s_b - self.s_a) / np.sqrt(np.maximum(total, 1.0))
        return found


class Looking(Protocol):
    """A method while it looks at some runs."""

    def look(self, block: Block, is_open: Bools) -> Ints:
        """Return for each run the column (from 1) at which it stops in this block; 0 if not.

        What is returned for a run that is not open is not read.
        """
        ...

    def keep(self, rows: Bools) -> None:
        """Forget the other runs."""
        ...


class Method(Protocol):
    """Something that stops."""

    ends_at: float
    """Observations after which it never stops; infinite for most."""

    def start(self, runs: int) -> Looking:
        """Begin with no observation."""
        ...


@dataclass(frozen=True)
class Stream:
    """Where observations come from."""

    stages: tuple[tuple[int, float], ...]
    """(observations, propensity or PAIRED) one after the other."""
    draw: Callable[[Rng, int, Floats, float], dict[str, Floats]]
    """(dice, runs, observation numbers, propensity) -> increments of a Block's sums."""

    @property
    def horizon(self) -> int:
        """Observations of one run."""
        return sum(length for length, _ in self.stages)


def split(rates: Rates, *stages: tuple[int, float]) -> Stream:
    """Return 0/1 answers, drawn by lot; ``rates`` gives both variants' rates over time (0 to 1)."""
    horizon = sum(length for length, _ in stages)

    def draw(rng: Rng, runs: int, at: Floats, pi: float) -> dict[str, Floats]:
        p_a, p_b = (p.astype(np.float32) for p in rates(at / horizon))
        shape = (runs, len(at))
        b = rng.random(shape, dtype=np.float32) < np.float32(pi)
        y = rng.random(shape, dtype=np.float32) < np.where(b, p_b, p_a)
        return {"n_b": b, "s_a": y & ~b, "s_b": y & b}

    return Stream(stages, draw)


def pairs(good_a: float, good_b: float, phi: float, horizon: int) -> Stream:
    """Return pairs of 0/1 answers with correlation ``phi``."""
    both = good_a * good_b + phi * float(np.sqrt(good_a * (1 - good_a) * good_b * (1 - good_b)))
    only_a, only_b = good_a - both, good_b - both

    def draw(rng: Rng, runs: int, at: Floats, pi: float) -> dict[str, Floats]:
        u = rng.random((runs, len(at)), dtype=np.float32)
        edges = np.cumsum([only_a, only_b, both]).astype(np.float32)
        is_a, is_b = u < edges[0], (u >= edges[0]) & (u < edges[1])
        return {"s_a": is_a, "s_b": is_b, "both": (u >= edges[1]) & (u < edges[2])}

    return Stream(((horizon, PAIRED),), draw)


def gaussian(effect: float, horizon: int) -> Stream:
    """Return values with standard deviation 1, drawn by lot 50/50."""

    def draw(rng: Rng, runs: int, at: Floats, pi: float) -> dict[str, Floats]:
        shape = (runs, len(at))
        b = rng.random(shape, dtype=np.float32) < np.float32(pi)
        y = rng.standard_normal(shape, dtype=np.float32) + np.float32(effect) * b
        return {"n_b": b, "s_a": y * ~b, "s_b": y * b, "q": y * y}

    return Stream(((horizon, 0.5),), draw)


def first_stops(
    stream: Stream, methods: Mapping[str, Method], runs: int, seed: int
) -> dict[str, Ints]:
    """Return for each method after how many observations each run stopped; 0 if never."""
    chunks = [
        _chunk(stream, methods, min(CHUNK, runs - done), np.random.default_rng([seed, done]))
        for done in range(0, runs, CHUNK)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in methods}


def _chunk(stream: Stream, methods: Mapping[str, Method], runs: int, rng: Rng) -> dict[str, Ints]:
    stops = {name: np.zeros(runs, dtype=np.int64) for name in methods}
    looking = {name: method.start(runs) for name, method in methods.items()}
    rows = np.arange(runs)  # of the runs that go on
    sums: dict[str, Floats] = {}
    for epoch, start, stop in _blocks(stream):
        at = np.arange(start, stop, dtype=np.float64)
        steps = stream.draw(rng, len(rows), at, epoch.propensity)
        block = _block(epoch, start, steps, sums)
        goes_on = np.zeros(len(rows), dtype=bool)
        for name, method in methods.items():
            is_open = stops[name][rows] == 0
            if start < method.ends_at:
                found = looking[name].look(block, is_open)
                hit = is_open & (found > 0)
                stops[name][rows[hit]] = start + found[hit]
                is_open &= ~hit
            goes_on |= is_open & (stop < method.ends_at)
        if not goes_on.any():
            break
        if goes_on.mean() < 0.9:
            rows = rows[goes_on]
            sums = {name: column[goes_on] for name, column in sums.items()}
            for state in looking.values():
                state.keep(goes_on)
    return stops


def _blocks(stream: Stream) -> Iterator[tuple[Epoch, int, int]]:
    for epoch in epochs(list(stream.stages)):
        for start in range(epoch.start, epoch.stop, WIDTH):
            yield epoch, start, min(start + WIDTH, epoch.stop)


def _block(epoch: Epoch, start: int, steps: Mapping[str, Floats], sums: dict[str, Floats]) -> Block:
    """Add ``steps`` up, on top of ``sums``, which become those after the block."""
    totals = {}
    for name, step in steps.items():
        total = np.cumsum(step, axis=1, dtype=np.float64)
        if name in sums:
            total += sums[name][:, None]
        totals[name] = total
        sums[name] = total[:, -1].copy()
    n_b = totals.pop("n_b", None)
    if n_b is None:
        n_b = np.zeros((1, 1))
    return Block(epoch, start, n_b, **totals)
