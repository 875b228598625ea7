"""What an evaluator remembers, in a snapshot and in shards that are merged."""

import json
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.evaluator import Evaluator
from evaluator.evidence import Role
from evaluator.latency import LatencyState
from evaluator.memory import COUNTS, decoded, empty, encoded
from evaluator.metric import MetricSpec
from evaluator.rates import CorrectState
from evaluator.tally import BinaryState
from router.observation import Observation, Outcome
from tests.evaluator.builders import ACCURACY, ERRORS, answer, exposure, failure, live, pair, plan


def test_snapshot_of_an_older_version_with_fewer_counts_and_fields_is_taken_up() -> None:
    state = empty(plan())
    state.count("pairs")
    old = msgspec.msgpack.decode(encoded(state))
    del old["counts"]["needless"], old["starts"], old["newest_judged_ns"], old["forecast"]
    found = decoded(plan(), msgspec.msgpack.encode(old))
    assert found.counts == dict.fromkeys(COUNTS, 0) | {"pairs": 1}
    assert found == state


def test_merged_counts_and_times_are_those_of_both_and_epochs_of_either() -> None:
    one, other = empty(plan()), empty(plan())
    for state, at_ns in ((one, 7), (other, 5)):
        state.count("epochs")
        state.count("judged")
        state.n, state.last_at_ns = 3, at_ns
    one.merge(other)
    assert (one.counts["epochs"], one.counts["judged"], one.n, one.last_at_ns) == (1, 2, 6, 7)
    assert list(one.counts) == list(COUNTS)


def run(evaluator: Evaluator, events: list[tuple[int, int]]) -> None:
    """Play events (kind, number) that mix pairs, lots, failures and rolls."""
    for kind, number in events:
        if kind == 0:
            live(evaluator, pair(number, challenger=answer(7 + number % 2)))
        elif kind == 1:
            live(evaluator, exposure(number, is_challenger=number % 4 == 0, propensity=0.25))
        elif kind == 2:
            live(evaluator, exposure(number, is_challenger=True, outcome=failure()))
        elif kind == 3:
            live(evaluator, exposure(number, propensity=0.0, outcome=answer(latency_s=number / 50)))
        else:
            evaluator.roll_epoch("test")


KINDS = st.integers(0, 3)


EVENTS = st.lists(st.tuples(KINDS, st.integers(0, 99)), max_size=40)


@pytest.mark.parametrize("is_clustered", [False, True])
@given(before=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99)), max_size=40), after=EVENTS)
@settings(max_examples=15, deadline=None)
def test_snapshot_goes_on_exactly_where_it_was_taken(
    is_clustered: bool, before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    through = Evaluator(plan(clustered=is_clustered), first_epoch=16)
    run(through, before)
    again = Evaluator.restore(plan(clustered=is_clustered), through.snapshot(), first_epoch=16)
    run(through, after)
    run(again, after)
    assert again.snapshot() == through.snapshot()
    assert again.evidence(1.0) == through.evidence(1.0)


@given(EVENTS, st.randoms())
@settings(max_examples=15, deadline=None)
def test_order_of_arrival_does_not_matter_within_an_epoch(events, rng) -> None:  # type: ignore[no-untyped-def]  # hypothesis' random has no public type
    one, other = (Evaluator(plan(), first_epoch=0) for _ in range(2))
    run(one, events)
    rng.shuffle(events)
    run(other, events)
    assert_alike(one, other)


def test_sixty_four_merged_shards_equal_the_single_stream() -> None:
    rng = random.Random(8)
    history = [(3, number) for number in range(100)]
    whole = Evaluator(plan(), first_epoch=0)
    run(whole, [*history, (4, 0)])
    forget_history(whole)
    start = whole.snapshot()
    shards = [Evaluator.restore(plan(), start, first_epoch=0) for _ in range(64)]
    for number in range(3000):
        event = [(rng.randrange(3), number)]
        run(whole, event)
        run(rng.choice(shards), event)
    rng.shuffle(shards)
    total = shards[0]
    for shard in shards[1:]:
        total.merge(shard)
    assert_alike(total, whole)


def forget_history(evaluator: Evaluator) -> None:
    """Keep a shard's epochs and bets, which all share, but not the sums, which would add up."""
    for check in evaluator._panel.checks.values():
        state = check.save()
        binaries = [state] if isinstance(state, BinaryState) else []
        if isinstance(state, CorrectState):
            binaries, state.binary.foreseen.n = [state.binary], 0.0
            state.binary.decided.n = state.binary.decided.hits = 0.0
        if isinstance(state, LatencyState):
            binaries = state.checks
            state.champion.bins, state.champion.n = {}, 0
        for binary in binaries:
            binary.champion.n = binary.champion.hits = 0.0
    evaluator._panel.integrity.state.read[:] = [0, 0, 0, 0]
    evaluator._state.counts.update(dict.fromkeys(COUNTS, 0))


def assert_alike(one: Evaluator, other: Evaluator) -> None:
    for mine, theirs in zip(one.evidence(1.0).readings, other.evidence(1.0).readings, strict=True):
        assert (mine.check, mine.state, mine.n) == (theirs.check, theirs.state, theirs.n)
        assert mine.log_e == pytest.approx(theirs.log_e, abs=1e-9)
        assert mine.log_e_harm == pytest.approx(theirs.log_e_harm, abs=1e-9)
    assert one.evidence(1.0).counts == other.evidence(1.0).counts


def test_evaluators_of_other_plans_or_epochs_are_not_merged() -> None:
    one, other = Evaluator(plan()), Evaluator(plan(ERRORS))
    with pytest.raises(ValueError):
        one.merge(other)
    later = Evaluator(plan())
    later.roll_epoch("daily")
    with pytest.raises(ValueError):
        one.merge(later)


def test_snapshot_of_another_plan_or_of_nothing_is_refused() -> None:
    raw = Evaluator(plan()).snapshot()
    with pytest.raises(ValueError, match="another plan"):
        Evaluator.restore(plan(ERRORS), raw)
    with pytest.raises(ValueError, match="not a snapshot"):
        Evaluator.restore(plan(), raw[:-1])


NEW_KINDS = (
    MetricSpec("score", "mean", Role.GUARDRAIL, margin=0.1, value="score", range=(0.0, 1.0)),
    MetricSpec("cost", "mean", Role.OBJECTIVE, detect=0.2, value="cost", direction="lower"),
    MetricSpec("loss", "loss", Role.GUARDRAIL, margin=1.0, measure="absolute", range=(0.0, 9.0)),
    MetricSpec("drift", "divergence", Role.PROXY, at_most=0.3, value="score"),
    MetricSpec("f1", "f1", Role.GUARDRAIL, margin=0.1, positive="7"),
    MetricSpec("recall", "recall", Role.GUARDRAIL, margin=0.1, positive="7"),
    MetricSpec("auc", "auc", Role.OBJECTIVE, detect=0.05, positive="7", value="score"),
    MetricSpec("alone", "correct", Role.OBJECTIVE, at_least=0.4),
)


def numbers(rng: random.Random) -> Outcome:
    values = {
        "prediction": rng.choice((7, 8)),
        "score": rng.random(),
        "cost": rng.lognormvariate(0, 1),
    }
    raw = json.dumps(values).encode()
    return Outcome("v", 200, 0.01, "", raw, len(raw))


@pytest.mark.parametrize("clustered", [False, True])
def test_shards_of_every_kind_in_any_order_equal_the_single_stream(clustered: bool) -> None:
    how = plan(*NEW_KINDS, clustered=clustered)
    rng, whole = random.Random(9), Evaluator(how, first_epoch=0)
    shards = [Evaluator(how, first_epoch=0) for _ in range(16)]
    for number in range(1500):
        if number % 2:
            seen: Observation = pair(number, champion=numbers(rng), challenger=numbers(rng))
        else:
            seen = exposure(number, is_challenger=number % 4 == 0, outcome=numbers(rng))
        label = rng.choice("78")
        live(whole, seen, label)
        live(rng.choice(shards), seen, label)
    again = Evaluator.restore(how, whole.snapshot(), first_epoch=0)
    assert again.evidence(1.0) == whole.evidence(1.0)
    rng.shuffle(shards)
    for shard in shards[1:]:
        shards[0].merge(shard)
    assert_alike(shards[0], whole)


def test_how_labels_come_is_no_part_of_a_snapshot() -> None:
    evaluator = Evaluator(plan(ACCURACY))
    evaluator.observe(exposure(1))
    raw = evaluator.snapshot()
    assert Evaluator.restore(plan(ACCURACY, joins_by_token=True), raw).snapshot() == raw
