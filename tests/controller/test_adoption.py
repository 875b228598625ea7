from dataclasses import replace

import pytest

from controller.adoption import IntentRefused, names_of, next_challenger, reconcile
from controller.policy import Intent, StageKind, StageSpec
from controller.rollout import Phase, Rollout, hold
from controller.store import RouteState
from tests.controller.builders import FUNCTIONAL, intent, route_intent

STATE = RouteState(name="digits", declared_champion="digits-1", champion="digits-1")


def adopt(file: Intent, *states: RouteState, **parts: object):
    known = {state.name: state for state in states}
    return reconcile(file, known, **({"serving": {}, "hold_reason": ""} | parts))


def running(phase: Phase, challenger: str = "digits-2") -> RouteState:
    rollout = Rollout(challenger=challenger, champion="digits-1", experiment="x", phase=phase)
    return replace(STATE, rollout=rollout, policy=route_intent())


def test_a_new_route_is_served_by_the_champion_it_declares():
    adoption = adopt(intent())
    assert adoption.new == ("digits",)
    assert adoption.states == (STATE,)


def test_a_route_whose_state_is_lost_keeps_the_champion_that_serves_it():
    adoption = adopt(intent(), serving={"digits": "digits-2"}, hold_reason="the state was lost")
    assert adoption.states[0].champion == "digits-2"
    assert adoption.states[0].hold_reason == "the state was lost"


def test_a_serving_champion_that_the_file_does_not_know_is_not_kept():
    assert adopt(intent(), serving={"digits": "digits-9"}).states[0].champion == "digits-1"


@pytest.mark.parametrize("declared", ["digits-1", "digits-2"])
def test_the_champion_may_stay_as_declared_or_become_the_effective_one(declared):
    promoted = replace(STATE, champion="digits-2", previous_champion="digits-1")
    others = tuple({"digits-1", "digits-2"} - {declared})
    adoption = adopt(intent(route_intent(champion=declared, challengers=others)), promoted)
    assert adoption.states[0].champion == "digits-2"
    assert adoption.states[0].declared_champion == declared


def test_any_other_champion_is_refused_and_the_message_says_what_to_do():
    file = intent(route_intent(champion="digits-2", challengers=("digits-1",)))
    with pytest.raises(IntentRefused, match="Declare 'digits-2' under challengers") as refusal:
        adopt(file, STATE)
    assert refusal.value.route == "digits"


def test_the_effective_champion_must_be_declared():
    promoted = replace(STATE, champion="digits-2")
    with pytest.raises(IntentRefused, match="no longer declares it"):
        adopt(intent(route_intent(challengers=())), promoted)


@pytest.mark.parametrize(
    "stages", [(), (FUNCTIONAL,), (StageSpec(kind=StageKind.CANARY),)], ids=str
)
def test_challengers_need_a_stage_that_gives_evidence(stages):
    with pytest.raises(IntentRefused):
        adopt(intent(route_intent(stages=stages)))
    adopt(intent(route_intent(stages=stages, challengers=())))


@pytest.mark.parametrize("phase", [Phase.FUNCTIONAL, Phase.SHADOW, Phase.CANARY, Phase.WATCH])
def test_a_running_challenger_that_left_the_file_or_its_route_is_withdrawn(phase):
    without = intent(route_intent(challengers=("digits-3",)))
    assert adopt(without, running(phase)).withdrawn == ("digits",)
    elsewhere = intent(route_intent(name="other", path="/other"))
    adoption = adopt(elsewhere, running(phase))
    assert (adoption.withdrawn, adoption.removed) == (("digits",), ("digits",))


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.CANARY, Phase.WATCH, Phase.ROLLED_BACK])
def test_a_rollout_whose_variants_stay_is_left_alone(phase):
    adoption = adopt(intent(digest="d2"), running(phase))
    assert adoption.withdrawn == ()
    assert adoption.states[0].rollout == running(phase).rollout


def test_a_rollout_that_has_not_begun_gives_up_its_turn():
    assert adopt(intent(), running(Phase.QUEUED)).states[0].rollout is None


def test_a_queued_rollout_that_is_held_keeps_its_turn_while_it_is_declared():
    queued = running(Phase.QUEUED)
    assert queued.rollout is not None
    held = replace(queued, rollout=hold(queued.rollout, by="ana", reason="wait"))
    assert adopt(intent(), held).states[0].rollout == held.rollout
    without = intent(route_intent(challengers=()))
    assert adopt(without, held).states[0].rollout is None


def test_names_that_left_the_file_are_forgotten():
    tried = replace(STATE, tried=("digits-2", "digits-3"), previous_champion="digits-0")
    state = adopt(intent(), tried).states[0]
    assert (state.tried, state.previous_champion) == (("digits-2",), None)


def test_challengers_take_turns_in_the_order_of_the_file():
    route = route_intent(challengers=("digits-2", "digits-3"))
    assert next_challenger(route, STATE) == "digits-2"
    assert next_challenger(route, replace(STATE, tried=("digits-2",))) == "digits-3"
    promoted = replace(STATE, champion="digits-2")
    assert next_challenger(route, promoted) == "digits-3"
    assert next_challenger(route, replace(promoted, tried=("digits-3",))) is None


def test_names_begin_with_the_champion():
    assert names_of(route_intent()) == ("digits-1", "digits-2")
