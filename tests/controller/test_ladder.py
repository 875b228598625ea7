"""The ladder as people see it: each rung is done, present or ahead."""

from dataclasses import replace

import pytest

from controller.ladder import ladder_json
from controller.rollout import Phase, Rollout
from tests.controller.builders import CANARY, FUNCTIONAL, PRODUCTION, SHADOW, route_intent

ROLLOUT = Rollout(
    challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.QUEUED, began_at_s=0.0,
    entered_at_s=0.0,
)  # fmt: skip


def states(phase: Phase, step: int = 0, **parts: object) -> list[str]:
    policy = route_intent(**parts)  # type: ignore[arg-type]
    return [rung["state"] for rung in ladder_json(policy, replace(ROLLOUT, phase=phase, step=step))]


@pytest.mark.parametrize(
    ("phase", "step", "n_done", "is_on_it"),
    [
        (Phase.QUEUED, 0, 0, False),
        (Phase.FUNCTIONAL, 0, 0, True),
        (Phase.SHADOW, 0, 1, True),
        (Phase.CANARY, 0, 2, True),
        (Phase.CANARY, 2, 4, True),
        (Phase.WATCH, 0, 5, True),
        (Phase.PROMOTED, 0, 6, False),
        (Phase.ROLLED_BACK, 0, 0, False),
    ],
)
def test_rungs_below_the_present_one_are_done_and_those_above_ahead(
    phase: Phase, step: int, n_done: int, is_on_it: bool
) -> None:
    rest = 6 - n_done - int(is_on_it)
    wanted = ["done"] * n_done + ["present"] * is_on_it + ["ahead"] * rest
    assert states(phase, step) == wanted


def test_without_a_rollout_everything_is_ahead() -> None:
    assert {rung["state"] for rung in ladder_json(route_intent(), None)} == {"ahead"}


def test_a_stage_that_the_file_leaves_out_is_before_the_next_one() -> None:
    assert states(Phase.FUNCTIONAL, stages=(SHADOW, CANARY)) == [
        *("present", "ahead", "ahead", "ahead")
    ]
    assert states(Phase.WATCH, stages=(FUNCTIONAL, SHADOW)) == ["done", "done"]


def test_each_rung_says_its_share_and_what_it_asks() -> None:
    rungs = ladder_json(route_intent(stages=(SHADOW, CANARY, PRODUCTION)), None)
    assert [rung["stage"] for rung in rungs] == ["shadow", *["canary"] * 3, "production"]
    assert [rung["share"] for rung in rungs] == [1.0, 0.05, 0.25, 0.5, 0.99]
    assert rungs[0]["at_least"] == 50 and rungs[0]["for_at_least_s"] == 5.0
    assert rungs[-1]["for_at_least_s"] == 30.0
