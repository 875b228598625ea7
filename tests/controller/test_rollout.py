from dataclasses import replace

import pytest

from controller.policy import StageKind, StageSpec
from controller.rollout import (
    BEFORE_TRAFFIC,
    DEFAULT_AT_MOST_S,
    FINISHED,
    TRANSITIONS,
    WITH_TRAFFIC,
    Event,
    IllegalMove,
    Phase,
    Rollout,
    after,
    elapse,
    hold,
    limit_s,
    move,
    resume,
    stage_for,
    way_forward,
)
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    PERFORMANCE,
    SECURITY,
    SHADOW,
    route_intent,
)

EVERY_PAIR = [(phase, event) for phase in Phase for event in Event]


def rollout(phase: Phase = Phase.QUEUED, **parts: object) -> Rollout:
    start = Rollout(challenger="b", champion="a", experiment="x", phase=phase)
    return replace(start, **parts)


def moved(old: Rollout, event: Event) -> Rollout:
    return move(old, event, at_s=7.0, because="so", counts={"pairs": 3})


def reachable(start: Phase) -> set[Phase]:
    seen: set[Phase] = set()
    todo = [start]
    while todo:
        for target in TRANSITIONS[todo.pop()].values():
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


@pytest.mark.parametrize(("phase", "event"), EVERY_PAIR)
def test_a_move_is_in_the_table_or_raises_with_both_names(phase, event):
    if event in TRANSITIONS[phase]:
        assert after(phase, event) is TRANSITIONS[phase][event]
    else:
        with pytest.raises(IllegalMove, match=rf"{event.name}.*{phase.name}"):
            after(phase, event)


def test_every_phase_is_in_the_table_and_reachable():
    assert set(TRANSITIONS) == set(Phase)
    assert reachable(Phase.QUEUED) | {Phase.QUEUED} == set(Phase)


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.ROLLED_BACK}, key=lambda p: p.value))
def test_every_phase_has_one_move_to_safety_that_a_person_may_order(phase):
    assert after(phase, Event.ORDERED) is Phase.ROLLED_BACK


@pytest.mark.parametrize("phase", sorted(WITH_TRAFFIC, key=lambda p: p.value))
def test_every_phase_with_traffic_falls_back_on_harm_and_on_ejection(phase):
    assert after(phase, Event.HARMED) is Phase.ROLLED_BACK
    assert after(phase, Event.EJECTED) is Phase.ROLLED_BACK
    assert after(phase, Event.WITHDRAWN) is Phase.ROLLED_BACK


def test_every_wait_has_a_time_limit_and_a_move_when_it_is_over():
    waiting = set(Phase) - FINISHED - {Phase.QUEUED}
    policy = route_intent(stages=())
    for phase in waiting:
        assert after(phase, Event.TIMED_OUT) is Phase.ROLLED_BACK
        assert 0 < limit_s(policy, phase) < float("inf")
    assert set(DEFAULT_AT_MOST_S) == waiting


def test_a_promoted_challenger_is_never_promoted_again():
    promoting = {
        (phase, event)
        for phase, edges in TRANSITIONS.items()
        for event, target in edges.items()
        if target is Phase.WATCH
    }
    assert {event for _, event in promoting} == {Event.PROVEN, Event.FORCED}
    assert Phase.WATCH not in reachable(Phase.WATCH)
    for phase in reachable(Phase.WATCH):
        assert Phase.WATCH not in TRANSITIONS[phase].values()


def test_champion_is_replaced_only_through_the_watch():
    """Where there is none there is nobody to keep warm: a first version goes there at once."""
    first = {Event.ESTABLISHED, Event.INSTALLED}
    sources = {
        phase
        for phase, edges in TRANSITIONS.items()
        if any(to is Phase.PROMOTED for event, to in edges.items() if event not in first)
    }
    assert sources == {Phase.WATCH}
    into = {edges[event] for edges in TRANSITIONS.values() for event in first & edges.keys()}
    assert into == {Phase.PROMOTED}


def test_rolled_back_is_the_end():
    assert TRANSITIONS[Phase.ROLLED_BACK] == {}


def test_step_counts_up_within_the_canary_and_starts_at_zero():
    first = moved(rollout(Phase.SHADOW), Event.CLEARED_FOR_CANARY)
    second = moved(first, Event.STEP_PASSED)
    assert (first.phase, first.step) == (Phase.CANARY, 0)
    assert (second.phase, second.step) == (Phase.CANARY, 1)
    assert moved(second, Event.PROVEN).step == 0


def test_a_move_notes_when_why_and_from_which_counts():
    after_move = moved(rollout(Phase.SHADOW), Event.CLEARED_FOR_CANARY)
    assert after_move.entered_at_s == 7.0
    assert after_move.because == "so"
    assert after_move.counts_at_entry == {"pairs": 3}


def test_a_step_keeps_the_stage_clock_and_restarts_the_step_clock():
    waited = elapse(rollout(Phase.CANARY), 10.0)
    stepped = moved(waited, Event.STEP_PASSED)
    assert (stepped.in_step_s, stepped.waited_s) == (0.0, 10.0)
    assert moved(waited, Event.PROVEN).waited_s == 0.0


def test_time_never_runs_backwards_in_a_stage():
    assert elapse(rollout(in_step_s=5.0, waited_s=5.0), -3600.0).in_step_s == 5.0


def test_a_hold_stops_the_stage_clock_and_resuming_gives_the_whole_limit_again():
    held = elapse(hold(rollout(waited_s=4.0), by="ana", reason="look"), 10.0)
    assert (held.waited_s, held.held_by, held.hold_reason) == (4.0, "ana", "look")
    free = resume(held)
    assert (free.waited_s, free.held_by, free.hold_reason) == (0.0, None, "")


def test_a_hold_ends_with_the_rollout():
    held = hold(rollout(Phase.CANARY), by="ana", reason="look")
    assert moved(held, Event.STEP_PASSED).held_by == "ana"
    assert moved(held, Event.HARMED).held_by is None


def test_declared_limit_is_used_but_never_ends_a_watch_early():
    watch = StageSpec(kind=StageKind.PRODUCTION, at_most_s=10.0, watch_s=60.0)
    assert limit_s(route_intent(), Phase.SHADOW) == SHADOW.at_most_s
    assert limit_s(route_intent(stages=(watch,)), Phase.WATCH) == 60.0


def test_undeclared_functional_stage_asks_for_a_connection_only():
    stage = stage_for(route_intent(stages=(CANARY,)), Phase.FUNCTIONAL)
    assert (stage.kind, stage.samples, stage.ready_path) == (StageKind.FUNCTIONAL, (), None)


def test_way_forward_leads_through_the_declared_stages_only():
    full = route_intent()
    no_shadow = route_intent(stages=(FUNCTIONAL, CANARY))
    no_canary = route_intent(stages=(FUNCTIONAL, SHADOW))
    assert way_forward(full, rollout(Phase.FUNCTIONAL)) is Event.CLEARED_FOR_SHADOW
    assert way_forward(no_shadow, rollout(Phase.FUNCTIONAL)) is Event.CLEARED_FOR_CANARY
    assert way_forward(full, rollout(Phase.SHADOW)) is Event.CLEARED_FOR_CANARY
    assert way_forward(no_canary, rollout(Phase.SHADOW)) is Event.PROVEN


def test_way_forward_passes_over_every_gate_that_is_not_declared():
    """From each gate to the next declared stage, whichever of the gates are declared."""
    gates = (FUNCTIONAL, PERFORMANCE, SECURITY, SHADOW, CANARY)
    phases = (Phase.FUNCTIONAL, Phase.PERFORMANCE, Phase.SECURITY, Phase.SHADOW, Phase.CANARY)
    for mask in range(2 ** len(gates)):
        declared = [n for n in range(len(gates)) if mask >> n & 1]
        if not {3, 4} & set(declared):
            continue  # no evidence: adoption refuses it
        policy = route_intent(stages=tuple(gates[n] for n in declared))
        for n, phase in enumerate(phases[:4]):
            ahead = [phases[other] for other in declared if other > n]
            event = way_forward(policy, rollout(phase))
            assert after(phase, event) is (ahead[0] if ahead else Phase.WATCH if n == 3 else ...)


def test_shadow_is_skipped_only_where_a_canary_comes():
    keen = rollout(Phase.PERFORMANCE, skips_shadow=True)
    assert way_forward(route_intent(), keen) is Event.CLEARED_FOR_CANARY
    no_canary = route_intent(stages=(PERFORMANCE, SHADOW))
    assert way_forward(no_canary, keen) is Event.CLEARED_FOR_SHADOW


def test_gate_before_traffic_may_end_the_rollout_and_never_promotes_it():
    for phase in BEFORE_TRAFFIC:
        assert after(phase, Event.REFUSED) is Phase.ROLLED_BACK
        assert Event.PROVEN not in TRANSITIONS[phase]


def test_way_forward_promotes_only_from_the_last_rung():
    ways = [way_forward(route_intent(), rollout(Phase.CANARY, step=step)) for step in range(3)]
    assert ways == [Event.STEP_PASSED, Event.STEP_PASSED, Event.PROVEN]


@pytest.mark.parametrize("phase", sorted(set(Phase) - FINISHED, key=lambda p: p.value))
def test_way_forward_is_always_a_legal_move(phase):
    for stages in ((FUNCTIONAL, SHADOW, CANARY), (CANARY,), (SHADOW,)):
        step = rollout(phase)
        assert way_forward(route_intent(stages=stages), step) in TRANSITIONS[phase]


@pytest.mark.parametrize("phase", sorted(FINISHED, key=lambda p: p.value))
def test_there_is_no_way_forward_from_the_end(phase):
    with pytest.raises(IllegalMove, match=phase.name):
        way_forward(route_intent(), rollout(phase))


def test_a_variant_cannot_challenge_itself():
    with pytest.raises(ValueError, match="cannot challenge itself"):
        Rollout(challenger="a", champion="a", experiment="x")


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="step must be >= 0, got -1"):
        rollout(step=-1)
