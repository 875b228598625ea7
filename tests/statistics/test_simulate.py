"""The vectorised formulas equal the shipped classes on sample paths."""

import random
from typing import Any

import numpy as np
import pytest

from evaluator.binary import BinaryCheck
from evaluator.check import correct_question, error_question
from evaluator.eprocess.bounded import BoundedEProcess, Side
from evaluator.eprocess.clustered import ClusteredEProcess
from evaluator.latency import LatencyCheck, _question
from evaluator.question import PAIRED, Question
from evaluator.srm import SrmEProcess
from tests.evaluator.builders import ACCURACY, ERRORS, LATENCY, answer
from tests.statistics import simulate

STAGES = [(400, PAIRED), (300, 0.05), (700, 0.25), (512, 0.5)]


def drawn(rng: np.random.Generator, plan: list[simulate.Epoch], good: float) -> simulate.Ints:
    cells = np.zeros(plan[-1].stop, dtype=np.int64)
    for epoch in plan:
        n = epoch.stop - epoch.start
        pi = 0.5 if epoch.propensity == PAIRED else epoch.propensity
        first = rng.random(n) < (good if epoch.propensity == PAIRED else pi)
        cells[epoch.start : epoch.stop] = 2 * first + (rng.random(n) < good)
    return cells


@pytest.mark.parametrize(
    ("question", "good"), [(correct_question(ACCURACY), 0.85), (error_question(ERRORS), 0.98)]
)
def test_binary_paths_equal_the_shipped_check(question: Question, good: float) -> None:
    plan = list(simulate.epochs(STAGES))
    cells = drawn(np.random.default_rng(1), plan, good)
    base = simulate.bases(question, cells, plan)
    claim = simulate.claim_path(question, cells, plan, base)
    harm = simulate.harm_path(question, cells, plan, base)
    check, number = BinaryCheck.fresh(question, is_clustered=False), 0
    for epoch in plan:
        while number < epoch.number:
            check.roll()
            number += 1
        for t in range(epoch.start, epoch.stop):
            first, second = bool(cells[t] >= 2), bool(cells[t] % 2)
            if epoch.propensity == PAIRED:
                check.observe_pair(number, first, second, 1)
            else:
                check.observe_split(number, epoch.propensity, first, second, 1)
            if t % 37 == 0 or t == epoch.stop - 1:
                assert check.claim_log_e() == pytest.approx(claim[t], abs=1e-9)
                assert check.harm_log_e() == pytest.approx(harm[t], abs=1e-9)


def test_epochs_are_those_of_the_evaluator() -> None:
    plan = list(simulate.epochs([(400, PAIRED), (700, 0.25)]))
    assert [(e.number, e.start, e.stop) for e in plan] == [
        (0, 0, 64),
        (1, 64, 128),
        (2, 128, 256),
        (3, 256, 400),
        (4, 400, 800),
        (5, 800, 1100),
    ]


def test_srm_path_equals_the_shipped_process() -> None:
    plan = list(simulate.epochs(STAGES[1:]))
    rng = np.random.default_rng(2)
    assigned = (rng.random(plan[-1].stop) < 0.3).astype(np.int64)
    path, process = simulate.srm_path(assigned, plan), SrmEProcess()
    for epoch in plan:
        for t in range(epoch.start, epoch.stop):
            process.update(epoch.propensity, int(1 - assigned[t]), int(assigned[t]))
            assert process.log_e == pytest.approx(path[t], abs=1e-9)


@pytest.mark.parametrize("side", list(Side))
def test_bounded_path_equals_the_shipped_process(side: Side) -> None:
    agreed = (np.random.default_rng(3).random(800) < 0.85).astype(np.int64)
    path, process = simulate.bounded_path(agreed, 0.8, side), BoundedEProcess(0.8, side)
    for t, x in enumerate(agreed):
        process.update(float(x))
        assert process.log_e == pytest.approx(path[t], abs=1e-9)


def test_latency_paths_equal_the_shipped_check() -> None:
    plan = list(simulate.epochs([(1500, 0.5)]))
    rng = np.random.default_rng(4)
    seconds, assigned = rng.lognormal(-4, 0.6, 1500), (rng.random(1500) < 0.5).astype(np.int64)
    claim, harm = (
        simulate.latency_path(
            _question(), seconds, assigned, plan, margin=0.25, quantile=0.95, is_harm=is_harm
        )
        for is_harm in (False, True)
    )
    check, number = LatencyCheck.fresh(LATENCY, 0.05, is_clustered=False), 0
    for epoch in plan:
        while number < epoch.number:
            check.roll()
            number += 1
        for t in range(epoch.start, epoch.stop):
            outcome = answer(latency_s=float(seconds[t]))
            check.observe_split(number, 0.5, bool(assigned[t]), outcome, t)
            if t % 50 == 0 or t == epoch.stop - 1:
                finding = check.finding()
                assert finding.log_e == pytest.approx(claim[t], abs=1e-8)
                assert finding.log_e_harm == pytest.approx(harm[t], abs=1e-8)


def test_clustered_path_equals_the_shipped_process() -> None:
    rng: Any = random.Random(5)
    units = np.array([rng.getrandbits(63) for _ in range(300)], dtype=np.uint64).repeat(4)
    g = np.random.default_rng(5).normal(0.05, 1.0, len(units))
    weight = np.full(len(units), 0.9)
    path = simulate.clustered_path(units, g, weight, effect=0.1, margin=0.02, every=100)
    process = ClusteredEProcess.empty()
    for t, unit in enumerate(units):
        process.update(int(unit), float(g[t]), 0.9)
        if (t + 1) % 100 == 0:
            assert process.claim_log_e(0.1, 0.02) == pytest.approx(path[t // 100], abs=1e-9)
