"""Kind divergence: how far are both answers of a pair apart? Needs no label. Pure."""

from typing import Any

from msgspec import Struct

from evaluator.benchmark import Benchmark, BenchmarkState
from evaluator.confseq import Interval
from evaluator.finding import Finding
from evaluator.kind import Check, How, Paired
from evaluator.metric import MetricSpec, is_failed
from evaluator.number import distance_of

LARGEST = {"absolute": 1.0, "total_variation": 1.0, "cosine": 2.0}
"""Distances are held to this, unless a range is declared for ``absolute``."""
DEFAULT_AT_MOST = 0.1


class DivergenceState(Struct):
    """All that a DivergenceCheck remembers."""

    benchmark: BenchmarkState | None
    refused: int = 0
    """Pairs with an answer of the challenger that has no distance from the champion's: they count
    as farthest apart."""


class DivergenceCheck(Check):
    """Compares the mean distance within pairs with a declared number.

    Null:    claim: the mean distance is ``at_most`` or more; breach: it is that or less.
    Process: Benchmark on 1 - distance / largest.
    Promise: exact. A pair whose champion failed or gave nothing to compare with is left out.
    Cost:    O(size of the answers) per pair.
    Source:  evaluator/benchmark.py; distances: evaluator/number.py.
    """

    STATE = DivergenceState

    def __init__(self, spec: MetricSpec, how: How, state: DivergenceState | None):
        super().__init__(spec, how)
        self._measure = spec.measure or "absolute"
        self._path = (spec.value if spec.value is not None else how.prediction) or ""
        is_ranged = spec.range is not None and self._measure == "absolute"
        self._largest = (
            spec.range[1] - spec.range[0]
            if is_ranged and spec.range is not None
            else LARGEST[self._measure]
        )
        self._at_most = DEFAULT_AT_MOST if spec.at_most is None else spec.at_most
        if state is None:
            state = DivergenceState(None)
        self._refused = state.refused
        target = 1.0 - min(1.0, self._at_most / self._largest)
        self._benchmark = (
            Benchmark.fresh(target, None, is_clustered=how.is_clustered)
            if state.benchmark is None
            else Benchmark(target, None, state.benchmark)
        )

    def pair(self, seen: Paired) -> None:
        """Measure how far both answers are apart."""
        one = seen.champion_fields.get(self._path)
        if one is None or seen.is_cut or is_failed(seen.champion):
            return
        self._benchmark.observe(1.0 - self._share(one, seen), seen.unit)

    def finding(self) -> Finding:
        """Return the evidence now."""
        state = self._benchmark.state
        if not state.n:
            return Finding(0.0, 0.0, "no pair to compare yet", 0, is_blind=True)
        mean = (1.0 - state.total / state.n) * self._largest
        told = f"{mean:.4g} apart on average of {state.n} pairs, at most {self._at_most:g} wanted"
        if self._refused:
            told += f"; {self._refused} without a distance"
        found = self._benchmark.interval(self.how.alpha)
        if found is not None:
            ends = (found.effect, found.low, found.high)
            found = Interval(*(self._largest * end for end in ends))
        return Finding(
            log_e=self._benchmark.claim_log_e(),
            log_e_harm=self._benchmark.breach_log_e(),
            told=told,
            n=state.n,
            interval=found,
            growth=self._benchmark.growth(),
        )

    def save(self) -> DivergenceState:
        """Return the state."""
        return DivergenceState(self._benchmark.state, self._refused)

    def merge(self, other: Check) -> None:
        """Add another one's sums."""
        assert isinstance(other, DivergenceCheck)
        self._benchmark.merge(other._benchmark)
        self._refused += other._refused

    def _share(self, one: Any, seen: Paired) -> float:
        """Return the distance as a share of the largest."""
        if is_failed(seen.challenger):
            return 1.0
        distance = distance_of(self._measure, one, seen.challenger_fields.get(self._path))
        if distance is None:
            self._refused += 1
            return 1.0
        return min(1.0, distance / self._largest)
