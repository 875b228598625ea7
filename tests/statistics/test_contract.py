"""What every e-process must keep, whatever it is about."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.benchmark import Benchmark
from evaluator.contrast import Contrast
from evaluator.eprocess.bounded import BoundedEProcess, Side
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.eprocess.mixture import MixtureEProcess, grid_bets, log_weights
from evaluator.eprocess.normal import NormalEProcess
from evaluator.eprocess.relative_risk import RelativeRiskEProcess
from evaluator.eprocess.restart import RestartedEProcess
from evaluator.ground import Asked
from evaluator.running import Moments, SignedHistogram
from evaluator.srm import SrmEProcess

BETS = grid_bets(0.02, 0.1, -1.0)


@dataclass(frozen=True)
class Family:
    """One kind of e-process, fed with a whole number from 0 to 7 for each observation."""

    make: Callable[[], Any]
    feed: Callable[[Any, int], None]
    read: Callable[[Any], float] = lambda process: process.log_e
    count: Callable[[Any], int] = lambda process: process.n


def forty(process: ClusteredEProcess, x: int) -> None:
    """Feed forty units, so that there are enough buckets to be read."""
    for i in range(40):
        process.update((i * 8 + x) << 50, float(x - 3), 1.0)


BOUNDED = Asked(margin=0.0, effect=0.1, is_bounded=True, detect=0.1)


def winsorised() -> Contrast:
    """Return one that knows where the champion's numbers lie, and has forgotten the numbers."""
    contrast = Contrast.fresh(Asked(margin=0.0, effect=0.5), is_clustered=False)
    for i in range(200):
        contrast.learn(float(i % 8))
    contrast.roll()
    contrast.state.ground.champion, contrast.state.ground.history = Moments(), SignedHistogram({})
    return contrast


FAMILIES = {
    "mixture": Family(
        lambda: MixtureEProcess(log_weights()), lambda p, x: p.update((x - 3.5) / 3.5, BETS)
    ),
    "restarted": Family(
        lambda: RestartedEProcess(log_weights()),
        lambda p, x: p.update(x % 3, (x - 3.5) / 3.5, BETS),
    ),
    "relative risk": Family(
        lambda: RelativeRiskEProcess(0.005),
        lambda p, x: p.update(0, 0.25, [x == 0, x in (1, 2), x == 3, x > 3]),
    ),
    "bounded claim": Family(lambda: BoundedEProcess(0.8, Side.CLAIM), lambda p, x: p.update(x / 7)),
    "bounded breach": Family(
        lambda: BoundedEProcess(0.8, Side.BREACH), lambda p, x: p.update(x / 7)
    ),
    "normal": Family(lambda: NormalEProcess(0.1), lambda p, x: p.update(float(x - 3), 20)),
    "clustered": Family(
        ClusteredEProcess.empty,
        forty,
        lambda p: p.claim_log_e(0.1, 0.0),
    ),
    "bounded contrast": Family(
        lambda: Contrast.fresh(BOUNDED, is_clustered=False),
        lambda p, x: p.observe_split(0, 0.25, x % 2 == 0, x / 7, x),
        lambda p: p.log_e("claim"),
        lambda p: p.n(),
    ),
    "harm of a bounded contrast": Family(
        lambda: Contrast.fresh(BOUNDED, is_clustered=False),
        lambda p, x: p.observe_pair(0, x / 7, 0.5, x),
        lambda p: p.log_e("harm"),
        lambda p: p.n(),
    ),
    "winsorised contrast": Family(
        winsorised,
        lambda p, x: [p.observe_pair(1, float(x), 3.0, i) for i in range(30)],
        lambda p: p.log_e("claim"),
        lambda p: p.n(),
    ),
    "benchmark": Family(
        lambda: Benchmark.fresh(0.6, 0.1, is_clustered=False),
        lambda p, x: p.observe(x / 7, x),
        lambda p: p.claim_log_e(),
        lambda p: p.state.n,
    ),
    "srm": Family(SrmEProcess, lambda p, x: p.update(0.1, x != 0, x == 0)),
}

family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
STREAM = st.lists(st.integers(0, 7), max_size=40)


def after(family: Family, stream: list[int]) -> Any:
    process = family.make()
    for x in stream:
        family.feed(process, x)
    return process


@family
def test_it_starts_without_evidence(family: Family) -> None:
    assert family.read(family.make()) == 0.0


@family
@given(stream=STREAM, rng=st.randoms())
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter(family: Family, stream: list[int], rng: Any) -> None:
    before = family.read(after(family, stream))
    rng.shuffle(stream)
    assert family.read(after(family, stream)) == pytest.approx(before, abs=1e-9)


@family
@given(stream=STREAM, cut=st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_merged_parts_equal_the_whole(family: Family, stream: list[int], cut: int) -> None:
    whole, part = after(family, stream), after(family, stream[:cut])
    part.merge(after(family, stream[cut:]))
    assert family.read(part) == pytest.approx(family.read(whole), abs=1e-9)
    assert family.count(part) == family.count(whole)


@family
@pytest.mark.parametrize("x", range(8))
def test_no_run_of_equal_observations_makes_it_anything_but_a_number(
    family: Family, x: int
) -> None:
    process = after(family, [x] * 3000 if family.make is not ClusteredEProcess.empty else [x] * 30)
    assert math.isfinite(family.read(process))


@family
def test_memory_does_not_grow_with_observations(family: Family) -> None:
    few, many = (after(family, list(range(8)) * n) for n in (1, 20))
    assert held(few) == held(many)


def held(process: Any) -> int:
    """Return how many numbers a process keeps."""
    if isinstance(process, list | tuple):
        return sum(held(inner) for inner in process)
    if isinstance(process, dict):
        return sum(held(inner) for inner in process.values())
    names = getattr(type(process), "__slots__", ()) or getattr(process, "__struct_fields__", ())
    return sum(held(getattr(process, name)) for name in names) or 1
