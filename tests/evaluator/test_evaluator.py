"""Everything together, from observations to evidence."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

from evaluator.binary import BinaryState
from evaluator.evaluator import COUNTS, Evaluator
from evaluator.evidence import CheckState, Evidence, Reading, Role
from evaluator.join import Judgable, Mode
from evaluator.latency import LatencyState
from evaluator.metric import ExperimentPlan, MetricSpec
from evaluator.rates import CorrectState
from router.observation import Exposure, MirroredPair, Observation, Outcome
from router.token import Served
from tests.evaluator.builders import ACCURACY, AGREES, ERRORS, answer, exposure, failure, pair, plan

BAR = math.log(20.0)


def read(evaluator: Evaluator, check: str) -> Reading:
    reading = evaluator.evidence(1.0).reading(check)
    assert reading is not None
    return reading


def live(evaluator: Evaluator, observation: Observation, label: str = "7") -> None:
    judgable = evaluator.observe(observation)
    if judgable is not None:
        evaluator.judge(judgable, label)


class Traffic:
    """Requests with the true class 7; each variant answers it with its accuracy."""

    def __init__(self, seed: int, *, champion: float = 0.85, challenger: float = 0.85) -> None:
        self._rng = random.Random(seed)
        self._right = {False: champion, True: challenger}
        self._number = 0

    def outcome(self, is_challenger: bool, *, fails: float = 0.0) -> Outcome:
        if self._rng.random() < fails:
            return failure()
        is_right = self._rng.random() < self._right[is_challenger]
        latency_s = self._rng.lognormvariate(-4.0, 0.4)
        return answer(7 if is_right else 8, latency_s=latency_s)

    def pair(self, *, fails: float = 0.0) -> MirroredPair:
        self._number += 1
        champion, challenger = self.outcome(False), self.outcome(True, fails=fails)
        return pair(self._number, champion=champion, challenger=challenger)

    def exposure(self, propensity: float, *, fails: float = 0.0) -> Exposure:
        self._number += 1
        a = self._rng.random() < propensity
        outcome = self.outcome(a, fails=fails if a else 0.0)
        return exposure(self._number, is_challenger=a, outcome=outcome, propensity=propensity)


def test_better_challenger_passes_in_shadow() -> None:
    evaluator, traffic = Evaluator(plan()), Traffic(1, champion=0.8, challenger=0.95)
    for _ in range(1500):
        live(evaluator, traffic.pair())
    evidence = evaluator.evidence(1.0)
    states = {reading.check: reading.state for reading in evidence.readings}
    assert states["accuracy"] is states["errors"] is states["latency"] is CheckState.PASSED
    assert states["harm"] is states["readable"] is CheckState.PASSED
    assert evidence.counts["pairs"] == evidence.counts["judged"] == 1500


def test_evidence_of_shadow_and_canary_adds_in_one_mixture() -> None:
    together, traffic = Evaluator(plan()), Traffic(2, champion=0.85, challenger=0.93)
    for _ in range(300):
        live(together, traffic.pair())
    shadow = read(together, "accuracy")
    together.roll_epoch("canary")
    for _ in range(900):
        live(together, traffic.exposure(0.5))
    both = read(together, "accuracy")
    assert shadow.state is CheckState.UNDECIDED
    assert both.state is CheckState.PASSED
    assert both.n == 1200


def test_healthy_challenger_passes_the_error_guardrail_in_600_to_1500_pairs() -> None:
    evaluator, traffic, pairs = Evaluator(plan()), Traffic(3), 0
    while read(evaluator, "errors").state is not CheckState.PASSED:
        live(evaluator, traffic.pair())
        pairs += 1
        assert pairs <= 1500
    assert pairs >= 600  # log(20) / .005: no test can know it earlier


def test_challenger_that_fails_every_request_is_harm_within_fifteen_of_them() -> None:
    for healthy in (0, 500, 5000):
        evaluator, traffic = Evaluator(plan(ACCURACY, ERRORS)), Traffic(4)
        for _ in range(healthy):
            live(evaluator, traffic.exposure(0.25))
        failed = 0
        while read(evaluator, "harm").state is not CheckState.TRIPPED:
            seen = traffic.exposure(0.25, fails=1.0)
            live(evaluator, seen)
            failed += seen.is_challenger
        assert failed <= 15
        assert read(evaluator, "errors").state is CheckState.TRIPPED
        assert read(evaluator, "errors").log_e_harm >= BAR


def test_challenger_with_errors_within_its_margin_is_not_harm() -> None:
    evaluator, traffic = Evaluator(plan(ERRORS)), Traffic(5)
    for _ in range(8000):
        live(evaluator, traffic.exposure(0.5, fails=0.003))
    assert read(evaluator, "errors").log_e_harm < BAR


def test_worse_challenger_trips_by_its_accuracy() -> None:
    evaluator, traffic = Evaluator(plan(ACCURACY, ERRORS)), Traffic(6, champion=0.9, challenger=0.7)
    for _ in range(400):
        live(evaluator, traffic.pair())
    assert read(evaluator, "accuracy").state is CheckState.TRIPPED
    assert "worse than allowed" in read(evaluator, "accuracy").because


def test_nothing_but_unlabelled_answers_proves_nothing() -> None:
    evaluator, traffic = Evaluator(plan()), Traffic(7, challenger=1.0)
    for _ in range(500):
        judgable = evaluator.observe(traffic.pair())
        assert judgable is not None
        evaluator.judge(judgable, None)
    reading = read(evaluator, "accuracy")
    assert (reading.state, reading.n, reading.log_e) == (CheckState.UNDECIDED, 0, 0.0)
    assert reading.because == "no labelled answer to compare yet"
    assert evaluator.evidence(1.0).counts["unlabelled"] == 500


def test_fallback_counts_as_failure_of_the_challenger() -> None:
    """Intention to treat: the user was well served, by the champion; that is not to its credit."""
    evaluator = Evaluator(plan(ACCURACY, ERRORS))
    seen = exposure(1, is_challenger=True, outcome=failure("timeout"), fallback=answer())
    judgable = evaluator.observe(seen)
    assert judgable is not None and judgable.challenger is not None
    assert judgable.challenger.is_failed and judgable.is_challenger
    evaluator.judge(judgable, "7")
    counts = evaluator.evidence(1.0).counts
    assert (counts["fallbacks"], counts["errors_challenger"]) == (1, 1)
    assert "challenger 1 of 1" in read(evaluator, "errors").because
    assert "challenger 0.0 % of 1" in read(evaluator, "accuracy").because


def test_resting_challenger_counts_as_failed_too() -> None:
    evaluator = Evaluator(plan(ACCURACY, ERRORS))
    live(evaluator, exposure(1, is_challenger=True, outcome=answer(), loss="circuit_open"))
    assert "challenger 1 of 1" in read(evaluator, "errors").because
    assert "challenger 0.0 % of 1" in read(evaluator, "accuracy").because
    assert evaluator.evidence(1.0).counts["lost"] == 1


@pytest.mark.parametrize("is_challenger", [False, True])
def test_request_outside_the_experiment_is_lost_for_both_variants_alike(
    is_challenger: bool,
) -> None:
    evaluator = Evaluator(plan())
    seen = exposure(1, is_challenger=is_challenger, loss="body_too_large")
    assert evaluator.observe(seen) is None
    assert read(evaluator, "errors").n == 0
    assert read(evaluator, "srm").n == 1  # but it was assigned
    assert evaluator.evidence(1.0).counts["lost"] == 1


def test_aborted_request_is_neither_good_nor_bad() -> None:
    evaluator = Evaluator(plan())
    gone = failure("aborted")
    assert evaluator.observe(exposure(1, is_challenger=True, outcome=gone)) is None
    assert evaluator.observe(pair(2, challenger=gone)) is None
    assert evaluator.observe(pair(3, champion=gone)) is None
    counts = evaluator.evidence(1.0).counts
    assert (counts["aborted"], counts["pairs"], counts["errors_challenger"]) == (3, 0, 0)
    assert read(evaluator, "errors").n == 0


def test_lost_pair_is_counted_and_teaches_only_the_champion() -> None:
    evaluator = Evaluator(plan())
    lost = MirroredPair("digits", "x1", "q2", 1, 1, 5, answer(), None, "queue_full")
    judgable = evaluator.observe(lost)
    assert judgable is not None and judgable.mode is Mode.HISTORY
    assert evaluator.evidence(1.0).counts["lost"] == 1


@pytest.mark.parametrize("propensity", [0.0, 1.0])
def test_certain_assignment_proves_nothing(propensity: float) -> None:
    evaluator = Evaluator(plan())
    for i in range(300):
        live(evaluator, exposure(i, is_challenger=propensity == 1.0, propensity=propensity))
    readings = [read(evaluator, name) for name in ("accuracy", "errors", "latency", "srm")]
    assert all((r.n, r.log_e, r.log_e_harm) == (0, 0.0, 0.0) for r in readings)


def test_champions_history_sets_the_first_bets_of_the_experiment() -> None:
    evaluator = Evaluator(plan())
    for i in range(300):
        live(evaluator, exposure(i, propensity=0.0))
    evaluator.roll_epoch("canary begins")
    live(evaluator, exposure(301, propensity=0.25))
    assert read(evaluator, "latency").n == 1  # thresholds were there


def test_observation_of_another_experiment_changes_nothing_but_a_count() -> None:
    evaluator = Evaluator(plan())
    assert evaluator.observe(pair(1, experiment="old")) is None
    counts = evaluator.evidence(1.0).counts
    assert (counts["foreign"], counts["pairs"]) == (1, 0)


def test_late_label_meets_the_bets_of_the_epoch_it_was_seen_in() -> None:
    evaluator = Evaluator(plan(ACCURACY))
    judgable = evaluator.observe(pair(1))
    assert judgable is not None and judgable.epoch == 0
    evaluator.roll_epoch("daily")
    evaluator.judge(judgable, "7")
    assert read(evaluator, "accuracy").n == 1


def test_judgable_of_an_epoch_that_never_was_is_counted_not_used() -> None:
    one, other = Evaluator(plan(ACCURACY)), Evaluator(plan(ACCURACY))
    other.roll_epoch("daily")
    judgable = other.observe(pair(1))
    assert judgable is not None
    one.judge(judgable, "7")
    assert read(one, "accuracy").n == 0
    assert one.evidence(1.0).counts["foreign"] == 1


def test_epochs_end_by_themselves_and_double() -> None:
    evaluator = Evaluator(plan(ERRORS), first_epoch=4)
    ends = []
    for i in range(40):
        before = evaluator.evidence(1.0).counts["epochs"]
        evaluator.observe(pair(i))
        if evaluator.evidence(1.0).counts["epochs"] > before:
            ends.append(i + 1)
    assert ends == [4, 8, 16, 32]


def test_plan_without_prediction_waits_for_no_labels_but_compares_bodies() -> None:
    evaluator = Evaluator(plan(AGREES, ERRORS, prediction=None))
    assert evaluator.observe(pair(1)) is None
    assert evaluator.observe(pair(2, challenger=answer(8))) is None
    assert read(evaluator, "agrees").n == 2


def test_failing_challenger_does_not_agree_and_failing_champion_asks_nothing() -> None:
    evaluator = Evaluator(plan(AGREES))
    evaluator.observe(pair(1, challenger=failure()))
    evaluator.observe(pair(2, champion=failure()))
    evaluator.observe(pair(3))
    assert read(evaluator, "agrees").because.startswith("50.0 % of 2 pairs agree")


def test_unreadable_answers_freeze_the_promotion() -> None:
    evaluator = Evaluator(plan())
    for i in range(40):
        evaluator.observe(pair(i, challenger=Outcome("v", 200, 0.01, "", b"<html>", 6)))
    assert read(evaluator, "readable").state is CheckState.UNKNOWN
    assert evaluator.evidence(1.0).counts["unreadable"] == 40


def test_client_errors_do_not_count_as_unreadable() -> None:
    evaluator = Evaluator(plan())
    for i in range(40):
        evaluator.observe(pair(i, champion=answer(status=400), challenger=answer(status=400)))
    assert evaluator.evidence(1.0).counts["unreadable"] == 0


def test_evidence_names_every_check_and_count_from_the_start() -> None:
    evidence = Evaluator(plan()).evidence(12.0)
    names = [reading.check for reading in evidence.readings]
    assert names == [
        "accuracy",
        "errors",
        "latency",
        "agrees",
        "harm",
        "srm",
        "readable",
        "delivery",
    ]
    assert set(evidence.counts) == set(COUNTS)
    assert (evidence.at_s, evidence.last_observation_s) == (12.0, None)
    assert not any(reading.state is CheckState.PASSED for reading in evidence.readings)


def test_evidence_says_when_it_last_saw_something() -> None:
    evaluator = Evaluator(plan())
    evaluator.observe(pair(1, at_ns=3_000_000_000))
    evaluator.observe(pair(2, at_ns=2_000_000_000))
    assert evaluator.evidence(9.0).last_observation_s == 3.0


def test_plan_without_metrics_still_reads() -> None:
    empty = ExperimentPlan("x1", "digits", "a", "b", (), None)
    evaluator = Evaluator(empty)
    assert evaluator.observe(pair(1)) is None
    assert isinstance(evaluator.evidence(1.0), Evidence)


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
    for check in evaluator._checks.values():
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
    evaluator._integrity.state.read[:] = [0, 0, 0, 0]
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


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 999),
            st.sampled_from([0.0, 1e-9, 0.5, 1e9]),
            st.binary(max_size=12),
            st.sampled_from(["", "gzip", "br"]),
            st.sampled_from(["", "timeout", "aborted"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=30, deadline=None)
def test_no_outcome_makes_it_raise_or_read_anything_but_numbers(events) -> None:  # type: ignore[no-untyped-def]  # drawn above
    evaluator = Evaluator(plan(), first_epoch=8)
    for i, (is_pair, status, latency_s, body, encoding, fault) in enumerate(events):
        outcome = Outcome("v", status, latency_s, fault, body, len(body), encoding)
        if is_pair:
            live(evaluator, pair(i, challenger=outcome))
        else:
            live(evaluator, exposure(i, is_challenger=True, outcome=outcome))
    for reading in evaluator.evidence(1.0).readings:
        assert math.isfinite(reading.log_e) and math.isfinite(reading.log_e_harm)
        assert reading.because


def test_proxy_may_hold_but_reads_by_the_same_rules() -> None:
    proxy = MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.8)
    evaluator = Evaluator(plan(proxy))
    for i in range(200):
        evaluator.observe(pair(i))
    assert read(evaluator, "agrees").role is Role.PROXY
    assert read(evaluator, "agrees").state is CheckState.PASSED


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


def test_equal_answers_are_not_missing_a_label_where_disagreements_are_wanted() -> None:
    evaluator = Evaluator(plan(ACCURACY, labels_wanted="disagreements"))
    for number, challenger in enumerate((7, 8, 8)):
        waiting = evaluator.observe(pair(number, challenger=answer(challenger)))
        assert waiting is not None
        evaluator.judge(waiting, "7" if number == 1 else None)
    counts = evaluator.evidence(1.0).counts
    assert (counts["judged"], counts["needless"], counts["unlabelled"]) == (3, 1, 1)


def told(number: int, prediction: object = 7, **fields: object) -> Served:
    """A token of what ``exposure(number, is_challenger=True)`` tells."""
    seen = exposure(number, is_challenger=True)
    one = Served(
        seen.route, seen.experiment, seen.request_id, seen.unit, "digits-2", seen.propensity,
        seen.table_version, seen.at_ns, "value", Raw(json.dumps(prediction).encode()),
    )  # fmt: skip
    return structs.replace(one, **fields)


def test_a_token_belongs_to_the_epoch_in_which_it_was_served() -> None:
    evaluator = Evaluator(plan(ACCURACY), first_epoch=0)
    evaluator.observe(exposure(10))
    evaluator.roll_epoch("a share changed")
    evaluator.observe(exposure(20))
    evaluator.roll_epoch("a share changed")
    epochs = [evaluator.exposed(told(n), "7") for n in (5, 10, 11, 20, 21)]
    assert [one.epoch for one in epochs if one is not None] == [0, 0, 1, 1, 2]
    again = Evaluator.restore(plan(ACCURACY), evaluator.snapshot(), first_epoch=0)
    assert [again.exposed(told(n), "7") for n in (5, 10, 11, 20, 21)] == epochs


def test_an_epoch_begins_behind_the_newest_request_that_was_judged() -> None:
    """Labels by token may be judged before the observations of their time have come."""
    evaluator = Evaluator(plan(ACCURACY), first_epoch=0)
    first = evaluator.exposed(told(100), "7")
    assert first is not None
    evaluator.judge(first, "7")
    evaluator.roll_epoch("a new day")
    found = [evaluator.exposed(told(n), "7") for n in (100, 101)]
    assert [one.epoch for one in found if one is not None] == [0, 1]


def test_a_token_tells_too_little_where_metrics_read_more_than_the_prediction() -> None:
    loss = MetricSpec("loss", "loss", Role.OBJECTIVE, detect=0.1, measure="absolute", value="score")
    assert Evaluator(plan(loss)).exposed(told(1), "7") is None
    assert Evaluator(plan(ERRORS)).exposed(told(1), "7") is None  # needs no label at all


def test_how_labels_come_is_no_part_of_a_snapshot() -> None:
    evaluator = Evaluator(plan(ACCURACY))
    evaluator.observe(exposure(1))
    raw = evaluator.snapshot()
    assert Evaluator.restore(plan(ACCURACY, joins_by_token=True), raw).snapshot() == raw


def test_labels_that_come_back_for_one_variant_alone_freeze_promotion() -> None:
    """With tokens nobody knows which labels are missing, but of whom is seen."""
    evaluator = Evaluator(plan(ACCURACY))
    for number in range(400):
        is_challenger = number % 2 == 0
        evaluator.observe(exposure(number, is_challenger=is_challenger))
        if is_challenger or number % 8 == 1:
            variant = "digits-2" if is_challenger else "digits-1"
            found = evaluator.exposed(told(number, variant=variant), "7")
            assert found is not None
            evaluator.judge(found, "7")
    reading = evaluator.evidence(0.0).reading("delivery")
    assert reading is not None and reading.state is CheckState.UNKNOWN
    assert "labels go missing" in reading.because


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=20)
def test_evidence_by_token_is_evidence_by_the_store_to_the_last_bit(seed: int, age: int) -> None:
    """Where every label comes back, whatever the epochs: requests mature ``age`` requests later."""
    rng = random.Random(seed)
    stored, by_token = Evaluator(plan(ACCURACY)), Evaluator(plan(ACCURACY))
    waiting: list[tuple[Judgable, int, bool]] = []
    for number in range(400):
        is_challenger, prediction = rng.random() < 0.5, rng.choice([7, 8])
        seen = exposure(number, is_challenger=is_challenger, outcome=answer(prediction))
        kept = stored.observe(seen)
        by_token.observe(seen)
        assert kept is not None
        waiting.append((kept, prediction, is_challenger))
        if rng.random() < 0.01:
            stored.roll_epoch("a share changed")
            by_token.roll_epoch("a share changed")
        if number >= age:
            old, answered, was_challenger = waiting[number - age]
            variant = "digits-2" if was_challenger else "digits-1"
            found = by_token.exposed(told(number - age, answered, variant=variant), "7")
            assert found == old
            by_token.judge(found, "7")
            stored.judge(old, "7")
    assert by_token.snapshot() == stored.snapshot()
