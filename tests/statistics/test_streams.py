"""Many runs at once say what one run at a time says."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from evaluator.eprocess.normal import NormalEProcess
from tests.statistics import cases, measure, methods, simulate, streams, watch
from tests.statistics.simulate import Floats, Ints
from tests.statistics.streams import Block, Bools, Method, Stream


@dataclass
class Recorder:
    """Keeps every cell that was drawn, and stops for nothing."""

    blocks: list[tuple[Floats, ...]] = field(default_factory=list)
    ends_at: float = math.inf

    def start(self, runs: int) -> "Recorder":
        return self

    def look(self, block: Block, is_open: Bools) -> Ints:
        self.blocks.append(tuple(np.array(cell) for cell in block.cells))
        return np.zeros(len(is_open), dtype=np.int64)

    def keep(self, rows: Bools) -> None:
        raise AssertionError("nothing ends, because the recorder never stops")

    def cells(self) -> Ints:
        """Return the cell of every observation (runs, observations)."""
        totals = np.stack([np.concatenate(part, axis=1) for part in zip(*self.blocks, strict=True)])
        steps: Ints = np.diff(totals, axis=2, prepend=0).argmax(axis=0)
        return steps


def played(stream: Stream, ways: dict[str, Method], runs: int) -> tuple[Ints, dict[str, Ints]]:
    recorder = Recorder()
    stops = streams.first_stops(stream, {"recorder": recorder} | ways, runs, seed=5)
    return recorder.cells(), stops


def crossing(path: Floats) -> int:
    return simulate.first_crossing(path, 0.05) or 0


RAMP = ((900, 0.05), (700, 0.25), (2_400, 0.5))


@pytest.mark.parametrize("detect", [0.06, None])
def test_learning_bets_stop_where_the_shipped_formula_does_on_a_ramp(detect: float | None) -> None:
    asked = measure.question(detect)
    stream = streams.split(cases.flat(0.8, 0.88), *RAMP)
    cells, stops = played(stream, {"ours": methods.Bets(asked)}, 12)
    plan = list(simulate.epochs(list(RAMP)))
    expected = [
        crossing(simulate.claim_path(asked, row, plan, simulate.bases(asked, row, plan)))
        for row in cells
    ]
    assert stops["ours"].tolist() == expected
    assert sum(stop > 0 for stop in expected) >= 6


def test_learning_bets_stop_where_the_shipped_formula_does_on_pairs() -> None:
    asked = measure.question(0.03)
    stream = streams.pairs(0.85, 0.88, 0.5, 3_000)
    cells, stops = played(stream, {"ours": methods.Bets(asked)}, 12)
    plan = list(simulate.epochs(list(stream.stages)))
    expected = [
        crossing(simulate.claim_path(asked, row, plan, simulate.bases(asked, row, plan)))
        for row in cells
    ]
    assert stops["ours"].tolist() == expected
    assert any(expected)


def test_futility_is_the_same_bet_on_less_than_the_effect() -> None:
    """A margin of -detect, seen from the other side, written down independently."""
    asked = measure.question(0.05)
    known = simulate.Base(0.8, 0.2, 0.05, 0.05)
    way = methods.Bets(asked, known=known, is_futility=True, alpha=0.2)
    cells, stops = played(streams.split(cases.flat(0.8, 0.8), (2_000, 0.5)), {"ours": way}, 8)
    h = -(simulate.values(0.5, 0.8, 0.0) - 0.25 * 0.05)
    bets = simulate.clipped(0.05 * np.array(simulate.GRID) / 0.16, h.min())
    for row, stop in zip(cells, stops["ours"], strict=True):
        steps = np.log1p(np.outer(h, bets))[row].cumsum(axis=0)
        path = simulate.log_sum(steps + np.array(simulate.log_weights()))
        assert stop == (simulate.first_crossing(path, 0.2) or 0)


def test_sums_stop_where_the_shipped_normal_process_does() -> None:
    way = methods.Normal(0.8, 0.06 / 0.16)
    cells, stops = played(streams.split(cases.flat(0.8, 0.88), (1_500, 0.5)), {"ours": way}, 8)
    for row, stop in zip(cells, stops["ours"], strict=True):
        process, found = NormalEProcess(0.06 / 0.16), 0
        for t, cell in enumerate(row.tolist(), start=1):
            process.update((cell // 2 - 0.5) * (cell % 2 - 0.8))
            if process.rejects(0.05):
                found = t
                break
        assert stop == found


def test_oracle_on_pairs_is_the_likelihood_ratio_of_wins() -> None:
    only_a, only_b = 0.03, 0.06
    way = methods.pair_oracle(only_a, only_b)
    cells, stops = played(streams.pairs(0.85, 0.88, 0.0, 2_000), {"oracle": way}, 5)
    table = np.array([0.0, math.log(2 * 2 / 3), math.log(2 / 3), 0.0])
    assert stops["oracle"].tolist() == [crossing(table[row].cumsum()) for row in cells]


def test_peers_on_a_split_see_the_statistics_of_their_formulas() -> None:
    """One look, recomputed from the raw answers of one run."""
    seen: dict[str, Any] = {}

    @dataclass
    class Spy(Recorder):
        def look(self, block: Block, is_open: Bools) -> Ints:
            seen.update(z=block.z[0, -1], effect=block.effect[0, -1], rest=block.residual[0, -1])
            return super().look(block, is_open)

    spy = Spy()
    streams.first_stops(streams.split(cases.flat(0.3, 0.5), (256, 0.4)), {"spy": spy}, 1, seed=7)
    cells = spy.cells()[0]
    a, b = (cells[cells // 2 == arm] % 2 for arm in (0, 1))
    error = a.var() / len(a) + b.var() / len(b)
    assert seen["effect"] == pytest.approx(b.mean() - a.mean())
    assert seen["z"] == pytest.approx((b.mean() - a.mean()) / math.sqrt(error))
    assert seen["rest"] == pytest.approx(a.var() * len(a) + b.var() * len(b))


def test_detector_is_the_recursion_it_says() -> None:
    way = dataclasses.replace(watch.against_baseline(), target=60.0)
    stream = watch.single(lambda t: (np.full_like(t, 0.14), t), 3_000)
    cells, stops = played(stream, {"ours": way}, 6)
    weights = np.exp(simulate.log_weights())
    for row, stop in zip(cells, stops["ours"], strict=True):
        copies, found = np.zeros(len(way.bets)), 0
        for t, cell in enumerate(row.tolist(), start=1):
            copies = (copies + 1) * (1 + np.array(way.bets) * way.values[cell])
            if copies @ weights >= 60.0:
                found = t
                break
        assert stop == found


def test_runs_do_not_depend_on_which_methods_look() -> None:
    """Common random numbers: a method sees the same stream whoever else is there.

    As long as one of them looks at all runs: those that everybody has left are drawn no more.
    """
    stream = streams.split(cases.flat(0.1, 0.1), (1_000, 0.5))
    some = {"naive": methods.naive(), "patient": methods.Plain(lambda block: block.z > 99.0)}
    alone = streams.first_stops(stream, some, 50, seed=3)
    both = streams.first_stops(stream, some | {"once": methods.fixed(900)}, 50, seed=3)
    hit = alone["naive"] > 0
    assert hit.any()
    assert (alone["naive"] == both["naive"]).all()
