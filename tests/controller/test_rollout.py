from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.consent import Approval, Glass
from controller.judge import Action, judge, required
from controller.policy import OnHookTimeout, StageKind, StageSpec, WebhookSpec
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
    approvals_needed,
    cooling_after,
    elapse,
    hold,
    limit_s,
    move,
    resume,
    stage_for,
    way_forward,
    webhooks_asked,
)
from evaluator.evidence import CheckState, Role
from tests.controller.builders import (
    CANARY,
    FUNCTIONAL,
    NOW_S,
    PERFORMANCE,
    PRODUCTION,
    SECURITY,
    SHADOW,
    evidence,
    reading,
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


# Approvals, webhooks, broken glass.


def test_approvals_are_of_one_stage_and_outlive_its_steps():
    given = (Approval("ana", "good", 0.0),)
    stepped = moved(rollout(Phase.CANARY, approvals=given), Event.STEP_PASSED)
    assert stepped.approvals == given
    assert moved(stepped, Event.PROVEN).approvals == ()


def test_people_approve_stages_and_webhooks_steps_where_they_say_so():
    hooks = tuple(
        WebhookSpec(name, "http://h/x", 60.0, OnHookTimeout.HOLD, each_step=name == "each")
        for name in ("once", "each")
    )
    policy = route_intent(stages=(SHADOW, replace(CANARY, approvals=2, webhooks=hooks)))
    canary = rollout(Phase.CANARY)
    assert approvals_needed(policy, canary, Event.STEP_PASSED) == 0
    assert approvals_needed(policy, canary, Event.PROVEN) == 2
    assert [hook.name for hook in webhooks_asked(policy, canary, Event.STEP_PASSED)] == ["each"]
    assert webhooks_asked(policy, canary, Event.PROVEN) == hooks
    for phase in (Phase.QUEUED, *FINISHED):
        assert approvals_needed(policy, rollout(phase), Event.STARTED) == 0
        assert webhooks_asked(policy, rollout(phase), Event.STARTED) == ()


def test_broken_glass_is_over_with_the_rollout():
    forced = rollout(Phase.WATCH, glass=Glass("ana", "outage", 0.0, 10.0))
    assert moved(forced, Event.EXPIRED).glass is None
    assert after(Phase.WATCH, Event.EXPIRED) is Phase.ROLLED_BACK


# Cool-down: after a new champion was taken back, the route rests.


def test_only_a_promotion_that_is_undone_lets_the_route_cool_down():
    policy = replace(route_intent(), cool_down_s=60.0)
    for phase, edges in TRANSITIONS.items():
        for event, target in edges.items():
            is_undone = phase in (Phase.WATCH, Phase.PROMOTED) and target is Phase.ROLLED_BACK
            assert cooling_after(policy, phase, event) == (60.0 if is_undone else 0.0)


SHOWN = {
    "good": evidence(
        reading("accuracy", CheckState.PASSED, Role.OBJECTIVE),
        reading("errors", CheckState.PASSED),
        counts={"pairs": 10**6, "exposures_challenger": 10**9},
    ),
    "open": evidence(
        reading("accuracy", CheckState.UNDECIDED, Role.OBJECTIVE),
        reading("errors", CheckState.UNDECIDED),
    ),
    "harm": evidence(harm=CheckState.TRIPPED),
}


NEWS = ("good", "good", "harm", "open")  # mostly good: what is never promoted is never undone
SHORT = (replace(CANARY, shares_buckets=(5000,)), PRODUCTION)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(0.0, 20_000.0),
    st.lists(st.tuples(st.floats(10.0, 5000.0), st.sampled_from(NEWS)), min_size=20, max_size=60),
)
def test_no_news_however_it_comes_makes_a_route_flip_flop(cool_down_s, news):
    """Challengers without end, each judged by whatever is shown: between a rollback from production
    and the next promotion there is always the whole cool-down."""
    policy = replace(route_intent(stages=SHORT), cool_down_s=cool_down_s)
    now_s, left_s, undone_at_s = 0.0, 0.0, None
    present = rollout()
    for dt_s, shown in news:
        now_s, left_s = now_s + dt_s, max(0.0, left_s - dt_s)
        present = replace(elapse(present, dt_s), counts_at_entry={})
        found = SHOWN[shown]
        asked = required(policy, present, found, now_s=NOW_S, cooling_s=left_s)
        verdict = judge(asked).action if present.phase in WITH_TRAFFIC else Action.PROMOTE
        if verdict is Action.HOLD:
            continue
        event = Event.HARMED if verdict is Action.ROLLBACK else way_forward(policy, present)
        left_s = cooling_after(policy, present.phase, event) or left_s
        before, present = present.phase, moved(present, event)
        if present.phase is Phase.WATCH and undone_at_s is not None:
            assert now_s - undone_at_s >= cool_down_s - 1e-6
        if before is Phase.WATCH and present.phase is Phase.ROLLED_BACK:
            undone_at_s = now_s
        if present.phase in FINISHED:
            present = rollout()
