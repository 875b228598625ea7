import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import store
from controller.intake import TIDY_AT_ONCE, Intake
from controller.opening import open_database
from controller.policy import TokenSpec
from controller.rollout import Phase, Rollout
from controller.store import StoreDamaged, StoreError
from controller.trial import experiment_plan
from evaluator.evidence import CheckState, Evidence
from evaluator.join import Label, LabelOutcome
from evaluator.metric import ExperimentPlan
from router.observation import Batch, Exposure, MirroredPair, Outcome
from router.token import Key, Served, described, sign
from tests.controller.builders import NOW_S, route_intent
from tests.router.test_keyfile import write
from tests.router.test_signer import LINES, SECRETS

AT_NS = round(NOW_S * 1e9)
ROLLOUT = Rollout(challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.SHADOW)
PLAN = experiment_plan(route_intent(), ROLLOUT)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "understudy.db")
    yield opened
    opened.close()


@pytest.fixture
def intake(connection: sqlite3.Connection) -> Intake:
    """With the experiment of PLAN begun and written."""
    made = Intake(connection)
    begin(made, connection, PLAN)
    return made


def begin(intake: Intake, connection: sqlite3.Connection, plan: ExperimentPlan) -> None:
    intake.begin(plan)
    with store.transaction(connection):
        intake.save(connection)
    intake.settled()


def pair(number: int, experiment: str = "x") -> MirroredPair:
    outcome = Outcome("digits-1", 200, 0.01, "", b'{"prediction": 1}', 17)
    return MirroredPair(
        route="digits",
        experiment=experiment,
        request_id=f"r{number}",
        unit=number,
        table_version=1,
        at_ns=AT_NS,
        champion=outcome,
        challenger=outcome,
    )


def batch(sequence: int, *numbers: int, source: str = "w0") -> Batch:
    return Batch(source, sequence, tuple(pair(number) for number in numbers))


def evidence_of(intake: Intake) -> Evidence:
    evidence = intake.evidence("digits", now_s=NOW_S)
    assert evidence is not None
    return evidence


def counts(intake: Intake) -> dict[str, int]:
    return evidence_of(intake).counts


def by(now_ns: int) -> Callable[[int], int]:
    """Ages by a clock that does not jump."""
    return lambda age_ns: now_ns - age_ns


def lock(connection: sqlite3.Connection) -> None:
    """Let every write fail, as a full disk does."""
    connection.execute("PRAGMA query_only = ON")


def unlock(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = OFF")


def test_a_batch_is_counted_once_however_often_it_comes(intake, connection):
    assert intake.take([batch(1, 1, 2), batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert intake.take([batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert intake.take([batch(1, 3, source="w1")], at_ns=AT_NS) == {"w1": 1}
    assert counts(intake)["pairs"] == 3
    again = Intake(connection)
    assert again.resume(PLAN)
    assert again.take([batch(1, 1, 2)], at_ns=AT_NS) == {"w0": 1}
    assert counts(again)["pairs"] == 3


def test_an_old_batch_behind_a_newer_one_is_not_counted_again(intake):
    intake.take([batch(1, 1), batch(2, 2)], at_ns=AT_NS)
    assert intake.take([batch(1, 1), batch(3, 3)], at_ns=AT_NS) == {"w0": 3}
    assert counts(intake)["pairs"] == 3


def test_observations_of_another_experiment_or_route_are_passed_over(intake):
    stray = Batch("w0", 1, (pair(1, "y"), pair(2, "")))
    assert intake.take([stray], at_ns=AT_NS) == {"w0": 1}
    assert counts(intake)["pairs"] == 0
    intake.end("digits")
    assert intake.take([batch(2, 3)], at_ns=AT_NS) == {"w0": 2}
    assert intake.evidence("digits", now_s=NOW_S) is None


def test_what_could_not_be_written_shows_until_it_is_reverted(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.take([batch(2, 2, 3)], at_ns=AT_NS)
    assert counts(intake)["pairs"] == 3
    intake.revert()
    assert counts(intake)["pairs"] == 1
    unlock(connection)
    assert intake.take([batch(2, 2, 3)], at_ns=AT_NS) == {"w0": 2}
    assert counts(intake)["pairs"] == 3


def test_labels_are_counted_by_what_became_of_them(intake):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    labels = [
        Label("r1", "1"),
        Label("r1", "1"),
        Label("r1", "2"),
        Label("r1", "2", is_correction=True),
        Label("nobody", "1", route="digits"),
        Label("r1", "not json", route="digits"),
    ]
    results = intake.label(labels, now_ns=AT_NS)
    assert [result.outcome for result in results] == [
        LabelOutcome.ACCEPTED,
        LabelOutcome.DUPLICATE,
        LabelOutcome.CONFLICT,
        LabelOutcome.CORRECTED,
        LabelOutcome.UNKNOWN,
        LabelOutcome.INVALID,
    ]
    expected = dict.fromkeys((outcome.value for outcome in LabelOutcome), 1)
    uncounted = {"late": 0, "forged": 0, "early": 0, "waiting": 1}
    assert intake.label_counts("digits") == expected | uncounted


def test_label_that_came_before_its_observation_is_counted_when_they_meet(intake):
    (result,) = intake.label([Label("r1", "1", route="digits")], now_ns=AT_NS)
    assert result.outcome is LabelOutcome.UNKNOWN
    intake.take([batch(1, 1)], at_ns=AT_NS)
    counted = intake.label_counts("digits")
    assert (counted["unknown"], counted["early"]) == (1, 1)


def test_correction_that_could_not_be_written_is_none(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    intake.label([Label("r1", "1")], now_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.label([Label("r1", "2", is_correction=True)], now_ns=AT_NS)
    unlock(connection)
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert result.outcome is LabelOutcome.DUPLICATE


def test_requests_that_are_to_be_labelled_are_those_that_wait_without_a_label(intake):
    intake.take([batch(1, 1, 2, 3)], at_ns=AT_NS)
    intake.label([Label("r2", "1")], now_ns=AT_NS)
    found = intake.wanted("digits", after=0, limit=10)
    assert {item["request_id"] for item in found["items"]} == {"r1", "r3"}
    assert intake.wanted("nowhere", after=0, limit=10) is None


def test_labels_that_could_not_be_written_are_none(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.label([Label("r1", "1")], now_ns=AT_NS)
    unlock(connection)
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert result.outcome is LabelOutcome.ACCEPTED


def test_observations_are_judged_at_maturity_and_once(intake):
    intake.take([batch(1, 1, 2)], at_ns=AT_NS)
    intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert not intake.mature(before_ns=by(AT_NS + 10**9 - 1))
    assert intake.mature(before_ns=by(AT_NS + 10**9))
    assert not intake.mature(before_ns=by(AT_NS + 10**9))
    assert (counts(intake)["judged"], counts(intake)["unlabelled"]) == (2, 1)
    (result,) = intake.label([Label("r2", "1")], now_ns=AT_NS + 2 * 10**9)
    assert result.outcome is LabelOutcome.LATE


def test_a_judgement_that_could_not_be_written_is_made_again(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    lock(connection)
    with pytest.raises(StoreError):
        intake.mature(before_ns=by(AT_NS + 10**9))
    intake.revert()
    unlock(connection)
    assert intake.mature(before_ns=by(AT_NS + 10**9))
    assert counts(intake)["judged"] == 1


def test_a_new_experiment_is_not_judged_on_what_the_last_one_left(intake, connection):
    intake.take([batch(1, 1, 2)], at_ns=AT_NS)
    intake.end("digits")
    begin(intake, connection, replace(PLAN, experiment="y"))
    assert not intake.mature(before_ns=by(AT_NS + 10**10))
    assert counts(intake)["judged"] == 0


def test_an_experiment_is_taken_up_with_its_evidence_or_none(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    assert Intake(connection).resume(PLAN)
    other = Intake(connection)
    assert not other.resume(replace(PLAN, experiment="y"))
    assert counts(other)["pairs"] == 0
    connection.execute("UPDATE snapshot SET content = x'c1'")
    assert not Intake(connection).resume(PLAN)


def test_tidying_drops_judged_observations_past_their_window_and_old_sources(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    intake.mature(before_ns=by(AT_NS + 10**9))
    week_ns = 8 * 86_400 * 10**9
    intake.tidy({"digits": 60 * 10**9}, now_ns=AT_NS + week_ns)
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS + week_ns)
    assert result.outcome is LabelOutcome.UNKNOWN
    assert store.last_sequence(connection, "w0") == 0


def test_tidying_drops_what_waits_for_an_experiment_that_ended(intake):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    assert intake.label_counts("digits")["waiting"] == 1
    intake.end("digits")
    intake.tidy({"digits": 60 * 10**9}, now_ns=AT_NS)
    assert intake.label_counts("digits")["waiting"] == 0


def test_a_new_epoch_is_written_with_the_change_that_made_it(intake, connection):
    before: Any = counts(intake)["epochs"]
    intake.roll_epoch("digits", "the share changed")
    intake.roll_epoch("nowhere", "no such route")
    with store.transaction(connection):
        intake.save(connection)
    intake.settled()
    again = Intake(connection)
    again.resume(PLAN)
    assert counts(again)["epochs"] == before + 1


def test_what_a_full_store_refuses_is_counted_with_the_evidence_and_judged_never(intake):
    intake.take([batch(1, 1, 2)], at_ns=AT_NS)
    intake.bound(1)
    assert intake.take([batch(2, 3, 4)], at_ns=AT_NS) == {"w0": 2}
    intake.bound(2**40)
    intake.take([batch(3, 1, 5)], at_ns=AT_NS)
    told = counts(intake)
    assert (told["pairs"], told["refused"], told["repeated"]) == (6, 2, 1)
    reading = next(r for r in evidence_of(intake).readings if r.check == "delivery")
    assert (reading.state, "refused" in reading.because) == (CheckState.UNKNOWN, True)
    assert intake.mature(before_ns=by(AT_NS + 10**10))
    assert counts(intake)["judged"] == 3


def test_losses_are_taken_back_with_the_transaction_that_they_belong_to(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON batch BEGIN SELECT RAISE(FAIL, ''); END"
    )
    with pytest.raises(StoreError):
        intake.take([batch(2, 1)], at_ns=AT_NS)
    intake.revert()
    assert counts(intake)["repeated"] == 0
    connection.execute("DROP TRIGGER full")
    intake.take([batch(2, 1)], at_ns=AT_NS)
    assert counts(intake)["repeated"] == 1


def test_labels_without_room_are_refused_as_a_whole_and_say_so(intake):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    intake.bound(1)
    with pytest.raises(StoreError, match="no room for labels"):
        intake.label([Label("r1", "1")], now_ns=AT_NS)
    intake.bound(2**40)
    assert intake.label([Label("r1", "1")], now_ns=AT_NS)[0].outcome is LabelOutcome.ACCEPTED


def test_tidying_says_whether_there_is_more_and_takes_up_routes_that_are_served_no_more(intake):
    many = batch(1, *range(TIDY_AT_ONCE + 5))
    intake.take([many], at_ns=AT_NS)
    intake.end("digits")
    assert intake.tidy({}, now_ns=AT_NS + 10**9)  # what waited waits no more
    while intake.tidy({}, now_ns=AT_NS + 10**9):
        pass
    (result,) = intake.label([Label("r1", "1")], now_ns=AT_NS)
    assert result.outcome is LabelOutcome.UNKNOWN


def test_the_size_of_the_store_is_known(intake):
    size = intake.store_size()
    assert size["limit_bytes"] == 8 * 1024**3
    assert 4096 < size["bytes"] < 1e6 and 0 < size["log_bytes"] < 1e6


def test_a_log_that_a_reader_keeps_long_counts_against_the_bound(intake, monkeypatch):
    intake.bound(2**30)
    intake.take([batch(1, 1)], at_ns=AT_NS)
    monkeypatch.setattr(store, "log_bytes", lambda _: store.WAL_LIMIT_BYTES + 2**30)
    intake.take([batch(2, 2)], at_ns=AT_NS)
    assert counts(intake)["refused"] == 1
    monkeypatch.setattr(store, "log_bytes", lambda _: store.WAL_LIMIT_BYTES)
    intake.take([batch(3, 3)], at_ns=AT_NS)
    assert counts(intake)["refused"] == 1


def test_an_observation_that_cannot_be_read_any_more_is_damage(intake, connection):
    intake.take([batch(1, 1)], at_ns=AT_NS)
    connection.execute("UPDATE observation SET judgable = x'c1'")
    with pytest.raises(StoreDamaged, match="cannot be read"):
        intake.mature(before_ns=by(AT_NS + 10**10))


def test_labels_without_a_known_route_are_counted_together(intake):
    """A sender may name any number of routes: counting by them would fill the memory."""
    labels = [Label(f"nobody-{k}", "1", route=f"invented-{k}") for k in range(50)]
    intake.label([*labels, Label("nobody", "1"), Label("nobody", "nonsense")], now_ns=AT_NS)
    found = intake.unrouted_counts()
    assert (found["unknown"], found["invalid"]) == (51, 1)


# Tokens.

SECOND_NS = 10**9


@pytest.fixture
def joining(request: pytest.FixtureRequest) -> bool:
    """Whether the token alone joins; tests say otherwise."""
    return bool(getattr(request, "param", True))


@pytest.fixture
def signed(connection: sqlite3.Connection, tmp_path: Path, joining: bool) -> Intake:
    """An intake whose route gives tokens, in a canary."""
    keys = write(tmp_path / "keys", LINES[0])
    policy = replace(route_intent(), token=TokenSpec(keys, 1000, joins=joining))
    made = Intake(connection)
    made.sign_for([policy])
    begin(made, connection, experiment_plan(policy, replace(ROLLOUT, phase=Phase.CANARY)))
    return made


def exposed(number: int, *, at_ns: int = AT_NS) -> Exposure:
    outcome = Outcome("digits-2", 200, 0.01, "", b'{"prediction": 1}', 17)
    return Exposure("digits", "x", f"r{number}", number, True, 0.5, 1, at_ns, outcome)


def token(number: int, text: str = "1", *, key: int = 0, **fields: Any) -> Label:
    """A label 1 with the token of ``exposed(number)``."""
    kind, prediction = described(text)
    given: dict[str, Any] = {"experiment": "x", "at_ns": AT_NS, "label": "1"} | fields
    served = Served(
        "digits", given["experiment"], f"r{number}", number, "digits-2", 0.5, 1, given["at_ns"],
        kind, prediction,
    )  # fmt: skip
    signed_by = Key(f"k{key}", SECRETS[key])
    return Label("", given["label"], token=sign(served, signed_by).decode())


def outcomes(intake: Intake, *labels: Label, now_ns: int = AT_NS) -> list[str]:
    return [one.outcome.value for one in intake.label(labels, now_ns=now_ns)]


def rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM observation").fetchone()[0])


def test_what_a_token_brings_back_is_not_stored_before(signed, connection):
    signed.take([Batch("w0", 1, tuple(exposed(n) for n in range(50)))], at_ns=AT_NS)
    assert rows(connection) == 0
    assert counts(signed)["exposures_challenger"] == 50
    assert outcomes(signed, token(1), token(2, "7"), token(1)) == [
        "accepted", "accepted", "duplicate",
    ]  # fmt: skip
    assert rows(connection) == 2
    assert signed.mature(before_ns=by(AT_NS + SECOND_NS))
    reading = signed.evidence("digits", now_s=NOW_S).reading("accuracy")
    assert reading.n == 2
    assert counts(signed)["judged"] == 2
    assert signed.token_counts("digits") == {"accepted": 2, "duplicate": 1}


def test_pairs_carry_no_token_and_wait_as_ever(signed, connection):
    signed.take([batch(1, 1)], at_ns=AT_NS)
    assert rows(connection) == 1


@pytest.mark.parametrize("joining", [False], indirect=True)
def test_with_the_store_a_token_and_an_id_label_the_same_row(signed, connection):
    signed.take([Batch("w0", 1, (exposed(1), exposed(2)))], at_ns=AT_NS)
    assert rows(connection) == 2
    assert outcomes(signed, Label("r1", "1"), token(1), token(2), Label("r2", "2")) == [
        "accepted", "duplicate", "accepted", "conflict",
    ]  # fmt: skip
    assert signed.mature(before_ns=by(AT_NS + SECOND_NS))
    assert counts(signed)["judged"] == 2


def test_a_token_of_a_closed_cohort_is_late(signed, connection):
    """However often it comes, and whatever label it brings."""
    late = AT_NS + SECOND_NS
    assert outcomes(signed, token(1), now_ns=late) == ["late"]
    assert outcomes(signed, token(1), now_ns=late - 1) == ["accepted"]
    signed.mature(before_ns=by(late))
    again = [token(1), token(1, label="2"), token(2)]
    assert outcomes(signed, *again, now_ns=late) == ["duplicate", "conflict", "late"]
    signed.tidy({"digits": 0}, now_ns=late + 1)
    assert rows(connection) == 0
    assert outcomes(signed, *again, now_ns=late + 1) == ["late"] * 3
    assert counts(signed)["judged"] == 1


def test_a_token_of_another_experiment_is_late(signed):
    assert outcomes(signed, token(1, experiment="w")) == ["late"]
    signed.end("digits")
    assert outcomes(signed, token(1)) == ["late"]


def test_a_forged_token_changes_nothing_and_is_counted(signed, connection):
    assert outcomes(signed, token(1, key=1), Label("", "1", token="rubbish")) == ["forged"] * 2
    assert rows(connection) == 0
    assert (signed.n_forged, signed.token_counts("digits")) == (2, {})


def test_a_label_that_is_none_is_invalid_with_a_token_too(signed, connection):
    assert outcomes(signed, token(1, label="null")) == ["invalid"]
    assert rows(connection) == 0


def test_a_token_that_could_not_be_written_is_as_if_it_had_not_come(signed, connection):
    lock(connection)
    with pytest.raises(StoreError):
        signed.label([token(1)], now_ns=AT_NS)
    unlock(connection)
    assert outcomes(signed, token(1)) == ["accepted"]


def test_a_clock_that_goes_back_does_not_make_a_used_token_young_again(signed, connection):
    assert outcomes(signed, token(1)) == ["accepted"]
    late = AT_NS + SECOND_NS
    signed.mature(before_ns=by(late))
    signed.tidy({"digits": 0}, now_ns=late + 1)
    assert rows(connection) == 0
    assert outcomes(signed, token(1), now_ns=AT_NS) == ["late"]
    assert outcomes(signed, token(2, at_ns=AT_NS + 1), now_ns=AT_NS) == ["accepted"]
    assert counts(signed)["judged"] == 1
