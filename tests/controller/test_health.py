"""What is asked for beside a broken champion: nothing that compares, but the service limit."""

from dataclasses import replace

import pytest

from controller.health import Ailment, eased, is_passable, soundness
from controller.judge import Action, judge
from controller.policy import BrokenSpec
from controller.rollout import Phase, Rollout
from evaluator.evidence import CheckState, Evidence, Reading, Role
from evaluator.health import Health
from evaluator.metric import MetricSpec
from tests.controller.builders import METRICS, evidence, reading, route_intent

POLICY = replace(
    route_intent(
        metrics=(
            *METRICS,
            MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.9),
            MetricSpec("floor", "correct", Role.GUARDRAIL, at_least=0.5),
        )
    ),
    champion_broken=BrokenSpec(max_failed=0.2, for_s=300.0),
)
SOUND = Health(is_broken=False, sound_log_e=9.0, n=500, failed=1, limit=0.2)
SICK = Ailment("the champion is broken (90 of 100)", 300.0)


def beside(challenger: Health | None, *readings: Reading) -> tuple[Reading, ...]:
    found: Evidence = replace(evidence(*readings), challenger_health=challenger)
    return eased(POLICY, found, readings)


def standing(phase: Phase) -> Rollout:
    return Rollout("b", "a", "x", phase)


def test_comparisons_that_wait_for_the_champion_are_not_asked() -> None:
    waiting = [
        reading("accuracy", CheckState.UNKNOWN, Role.OBJECTIVE),
        reading("errors", CheckState.UNDECIDED),
        reading("delivery", CheckState.UNKNOWN, Role.INTEGRITY),
        reading("harm", CheckState.UNDECIDED, Role.INTEGRITY),
        reading("readable", CheckState.UNDECIDED, Role.INTEGRITY),
        reading("time", CheckState.UNDECIDED, Role.INTEGRITY),
        replace(reading("agrees", CheckState.TRIPPED, Role.PROXY), kind="agreement"),
    ]
    kept = beside(SOUND, *waiting)
    assert [one.check for one in kept] == ["healthy"]
    assert judge(kept).action is Action.PROMOTE


@pytest.mark.parametrize(
    "kept",
    [
        reading("floor", CheckState.UNDECIDED),  # an absolute check
        reading("fresh", CheckState.UNKNOWN, Role.INTEGRITY),
        reading("exposures_challenger", CheckState.UNDECIDED, Role.INTEGRITY),
        reading("srm", CheckState.UNKNOWN, Role.INTEGRITY),
        reading("errors", CheckState.TRIPPED),  # even worse than the broken one
    ],
    ids=lambda one: f"{one.check} {one.state.value}",
)
def test_what_the_challenger_shows_by_itself_is_asked_still(kept: Reading) -> None:
    found = beside(SOUND, kept)
    assert kept in found
    assert judge(found).action is not Action.PROMOTE


def test_challenger_must_be_shown_below_the_limit_by_itself() -> None:
    assert beside(None)[-1].state is CheckState.UNKNOWN
    unsure = beside(replace(SOUND, sound_log_e=1.0))[-1]
    assert unsure.state is CheckState.UNDECIDED and "1 of 500 answers failed" in unsure.because
    assert soundness(POLICY, replace(evidence(), challenger_health=SOUND)).state is (
        CheckState.PASSED
    )
    assert judge(beside(replace(SOUND, is_broken=True))).action is Action.ROLLBACK


@pytest.mark.parametrize(
    ("phase", "ailment", "passable"),
    [
        (Phase.CANARY, SICK, True),
        (Phase.SHADOW, SICK, True),
        (Phase.WATCH, SICK, False),
        (Phase.FUNCTIONAL, SICK, False),
        (Phase.CANARY, replace(SICK, lasts_s=299.0), False),
        (Phase.CANARY, None, False),
    ],
)
def test_path_is_open_in_traffic_and_after_the_declared_time(
    phase: Phase, ailment: Ailment | None, passable: bool
) -> None:
    assert is_passable(POLICY, standing(phase), ailment) is passable
    assert not is_passable(route_intent(), standing(phase), ailment)  # nobody declared it
