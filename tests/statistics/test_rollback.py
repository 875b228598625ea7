"""Drawing failures only says what the shipped process says of every request."""

import numpy as np
import pytest

from evaluator.eprocess.relative_risk import RelativeRiskEProcess
from tests.statistics import rollback, simulate


def test_epochs_of_requests_are_those_of_the_evaluator() -> None:
    plan = list(simulate.epochs([(5_000, 0.5)]))
    request = np.arange(1, 5_001)
    number = rollback.epoch_of(request)
    for epoch in plan:
        assert set(number[epoch.start : epoch.stop]) == {epoch.number}


def test_harm_path_equals_the_shipped_process() -> None:
    case = rollback.Failing(0.25, 5, 0.05)
    request, is_b = rollback.drawn(np.random.default_rng(1), case, 3, 60)
    paths = rollback.harm_path(case.share, request, is_b)
    for row, whose, path in zip(request, is_b, paths, strict=True):
        process, before = RelativeRiskEProcess(0.0), 0
        for at, b, log_e in zip(row.tolist(), whose.tolist(), path, strict=True):
            for t in range(before + 1, at + 1):  # the answers that are fine, then the failure
                epoch = int(rollback.epoch_of(np.array([t]))[0])
                failed = t == at
                counts = [int(failed and not b), 0, int(failed and b), int(not failed)]
                process.update(epoch, case.share, counts)
            before = at
            assert process.log_e == pytest.approx(log_e, abs=1e-9)


def test_oracle_gains_with_every_failure_of_the_challenger() -> None:
    case = rollback.Failing(0.5, 5, 0.01)
    rng = np.random.default_rng(2)
    request, is_b = rollback.drawn(rng, case, 20, 200)
    path = rollback.oracle_path(rng, case, request, is_b)
    assert (path[:, -1] > 3.0).all()
