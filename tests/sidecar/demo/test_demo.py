import os
from pathlib import Path

import pytest

from sidecar.demo.cast import Cast
from sidecar.demo.demo import perform
from sidecar.demo.scenario import Outcome, Scenario, complaints
from tests.sidecar.demo.conftest import Quiet, play_of
from tests.sidecar.demo.processes import descendants


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> object:
    before = descendants(os.getpid())
    yield
    assert descendants(os.getpid()) == before


async def test_better_challenger_ends_in_production(
    cast: Cast, tmp_path: Path, show: Quiet
) -> None:
    summary = await perform(play_of(Scenario.BETTER, "better", cast, tmp_path), show)
    assert complaints(summary) == []
    assert (summary.champion_before, summary.champion_after) == ("digits-1", "digits-2")
    assert summary.requests > 100
    assert summary.labels["accepted"] > 0
    assert summary.seconds_to_decision is not None and summary.seconds_to_decision > 0.0
    assert show.stages[0] == "shadow" and show.stages[-1] == "production" and show.is_over


async def test_crashing_challenger_fails_in_three_ways_and_no_user_notices(
    cast: Cast, tmp_path: Path, show: Quiet
) -> None:
    summary = await perform(play_of(Scenario.CRASH, "crash", cast, tmp_path), show)
    assert summary.outcome is Outcome.ROLLED_BACK
    assert summary.failed_requests == 0
    assert summary.failures == {"error": 3, "hang": 2, "exit": 1}
    assert summary.seconds_to_rollback is not None
    assert 0.0 <= summary.seconds_to_rollback < 5.0  # the stand-in promises no second
    assert any("killed" in words for words in show.said)
