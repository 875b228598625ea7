"""Samples into the history, and the last minute's traffic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from router.counters import Counters
from sidecar.dashboard.recorder import Recorder
from sidecar.dashboard.sample import columns
from sidecar.history import History, HistoryError
from tests.sidecar.double import ROUTE, STATUS

NOW_S = 1_800_000_000.0


class Bench:
    """A recorder whose clock, status and counts a test sets."""

    def __init__(self, folder: Path) -> None:
        self.history = History(folder / "history.db")
        self.counters = Counters()
        self.now_s = 0.0
        self.n_asked = 0
        self.content: dict[str, Any] = dict(STATUS)
        self.recorder = Recorder(
            self.history,
            self.status,
            self.counts,
            wall_s=lambda: NOW_S + self.now_s,
            monotonic_s=lambda: self.now_s,
        )

    async def status(self) -> dict[str, Any]:
        self.n_asked += 1
        return self.content

    def counts(self) -> Mapping[str, float]:
        return self.counters.values()

    async def turn(self, n: int = 10) -> None:
        for _ in range(n):
            self.counters.calls("digits", "digits-1", "champion").add(200, 0.02)
        await self.recorder.turn()
        self.now_s += 10.0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_turns_become_a_history(bench: Bench) -> None:
    for _ in range(4):
        await bench.turn()
    rows = bench.history.rows("digits", "1h", NOW_S + 100)
    found = columns(rows)
    assert found["checks"]["accuracy"]["effect"] == [0.05] * 4
    assert found["variants"]["digits-1"]["per_s"] == [None, 1.0, 1.0, 1.0]
    bench.history.close()


async def test_recent_traffic_is_of_a_minute_at_most(bench: Bench) -> None:
    assert bench.recorder.recent("digits") == {"seconds": 0.0, "variants": {}}
    for _ in range(12):
        await bench.turn()
    found = bench.recorder.recent("digits")
    assert found["seconds"] == 70.0
    assert found["variants"]["digits-1"]["requests"] == 60
    assert bench.recorder.recent("other") == {"seconds": 70.0, "variants": {}}
    bench.history.close()


async def test_an_old_status_makes_no_sample(bench: Bench) -> None:
    bench.content = STATUS | {"stale_s": 3.0}
    await bench.turn()
    bench.content = {}  # the controller is starting
    await bench.turn()
    assert bench.history.rows("digits", "1h", NOW_S + 100) == []
    bench.history.close()


async def test_of_many_routes_fewer_samples_are_kept(bench: Bench) -> None:
    bench.content = STATUS | {"routes": [ROUTE | {"name": f"r{k}"} for k in range(500)]}
    for _ in range(21):
        await bench.turn(0)
    assert len(bench.history.rows("r1", "1h", NOW_S + 300)) == 3
    assert bench.n_asked == 3  # and no status is asked for in between
    bench.history.close()


async def test_a_file_that_refuses_is_no_error_of_the_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise HistoryError("full")

    monkeypatch.setattr(bench.history, "add", refuse)
    await bench.turn()
    monkeypatch.undo()
    await bench.turn()
    assert len(bench.history.rows("digits", "1h", NOW_S + 100)) == 1
    bench.history.close()
