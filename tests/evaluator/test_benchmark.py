"""One mean against a declared number."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.benchmark import Benchmark
from evaluator.eprocess.bounded import BoundedEProcess, Side

BAR = math.log(20.0)


def fresh(target: float = 0.9, effect: float | None = None, **how: bool) -> Benchmark:
    return Benchmark.fresh(target, effect, is_clustered=how.get("is_clustered", False))


def test_evidence_equals_that_of_the_bounded_process() -> None:
    benchmark, rng = fresh(), random.Random(1)
    claim, breach = BoundedEProcess(0.9, Side.CLAIM), BoundedEProcess(0.9, Side.BREACH)
    for i in range(300):
        x = rng.choice((0.0, 0.5, 1.0, 1.0, 1.0))
        benchmark.observe(x, i)
        claim.update(x)
        breach.update(x)
        assert benchmark.claim_log_e() == pytest.approx(claim.log_e, abs=1e-9)
        assert benchmark.breach_log_e() == pytest.approx(breach.log_e, abs=1e-9)


@pytest.mark.parametrize("x", [math.nan, math.inf, -1e-9, 1.1])
def test_what_is_not_between_0_and_1_is_refused(x: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        fresh().observe(x, 1)


@pytest.mark.parametrize("effect", [None, 0.02])
@given(xs=st.lists(st.floats(0, 1), max_size=40), rng=st.randoms())
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter_and_parts_add(
    effect: float | None, xs: list[float], rng: random.Random
) -> None:
    whole, part, rest = (fresh(0.9, effect) for _ in range(3))
    for x in xs:
        whole.observe(x, 1)
    rng.shuffle(xs)
    for i, x in enumerate(xs):
        (part if i % 2 else rest).observe(x, 1)
    part.merge(rest)
    assert part.claim_log_e() == pytest.approx(whole.claim_log_e(), abs=1e-9)
    assert part.breach_log_e() == pytest.approx(whole.breach_log_e(), abs=1e-9)


@pytest.mark.parametrize("target", [0.0, 1e-9, 0.5, 1.0])
@pytest.mark.parametrize("x", [0.0, 5e-324, 0.5, 1.0])
def test_no_run_of_equal_numbers_is_anything_but_a_number(target: float, x: float) -> None:
    benchmark = fresh(target)
    for i in range(3000):
        benchmark.observe(x, i)
    assert math.isfinite(benchmark.claim_log_e()) and math.isfinite(benchmark.breach_log_e())


def test_declared_effect_is_found_sooner_than_by_the_general_grid() -> None:
    general, tuned = fresh(0.5), fresh(0.5, 0.03)
    rng = random.Random(2)
    for i in range(6000):
        x = float(rng.random() < 0.53)
        general.observe(x, i)
        tuned.observe(x, i)
    assert tuned.claim_log_e() > general.claim_log_e()


def test_clustered_reads_nothing_below_a_hundred_buckets_then_finds_it() -> None:
    benchmark, rng = fresh(0.5, is_clustered=True), random.Random(3)
    for i in range(90):
        benchmark.observe(1.0, i << 54)
    assert benchmark.claim_log_e() == 0.0
    for _ in range(3000):
        benchmark.observe(float(rng.random() < 0.9), rng.getrandbits(63))
    assert benchmark.claim_log_e() > BAR > benchmark.breach_log_e()


def test_interval_holds_the_mean_and_is_none_at_first() -> None:
    benchmark = fresh(0.8)
    assert benchmark.interval(0.05) is None
    for i in range(1000):
        benchmark.observe(float(i % 10 != 0), i)
    found = benchmark.interval(0.05)
    assert found is not None and found.low < 0.1 < found.high
    assert found.effect == pytest.approx(0.1)


def test_only_the_same_question_can_be_merged() -> None:
    with pytest.raises(ValueError, match="merged"):
        fresh(0.9).merge(fresh(0.8))
