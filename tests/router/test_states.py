"""The table of an exchange's life holds together."""

import pytest

from router.states import OVER, TRANSITIONS, Event, State, after


def reachable(start: State) -> set[State]:
    seen, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        for (before, _), then in TRANSITIONS.items():
            if before is state and then not in seen:
                seen.add(then)
                waiting.append(then)
    return seen


def test_every_state_can_be_reached() -> None:
    assert reachable(State.ASKING) == set(State)


def test_nothing_happens_to_an_exchange_that_is_over() -> None:
    assert not [edge for edge in TRANSITIONS if edge[0] in OVER]


@pytest.mark.parametrize("state", sorted(set(State) - OVER))
def test_every_state_that_is_not_over_can_end(state: State) -> None:
    assert reachable(state) & OVER


@pytest.mark.parametrize("state", sorted(set(State) - OVER))
@pytest.mark.parametrize("event", [Event.FAIL, Event.REFUSE, Event.LEAVE])
def test_failure_refusal_and_departure_end_it_wherever_it_stands(
    state: State, event: Event
) -> None:
    assert after(state, event) in OVER


@pytest.mark.parametrize("event", list(Event))
def test_every_event_happens_somewhere(event: Event) -> None:
    assert any(edge[1] is event for edge in TRANSITIONS)


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_pair_is_a_listed_move_or_an_error(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(KeyError, match=f"(?s){state!r}.*{event!r}"):
            after(state, event)


def test_nobody_else_answers_once_a_byte_has_gone_out() -> None:
    for event in (Event.FALL_BACK, Event.RETRY, Event.HEAD):
        assert (State.ANSWERING, event) not in TRANSITIONS


def test_answer_of_ours_is_only_given_before_a_variants_has_begun() -> None:
    before = {edge[0] for edge, then in TRANSITIONS.items() if then is State.REFUSED}
    assert before == {State.ASKING}
