"""Whole rollouts, played without sockets, recorded, and evaluated again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller import record
from controller.account import reading_json
from controller.intake import Intake
from controller.opening import open_database
from controller.policy import RecordSpec, RouteIntent, TokenSpec
from controller.record import Line, Raw
from controller.recorder import segments
from controller.replay import Replay, Replayed, with_policy
from controller.rollout import Rollout
from controller.trial import experiment_plan
from evaluator.evidence import Role
from evaluator.join import Label, LabelOutcome
from evaluator.metric import ExperimentPlan, MetricSpec
from router.observation import Batch, Exposure, MirroredPair, Outcome
from router.token import Key, Served, sign
from tests.controller.builders import NOW_S, intent, route_intent
from tests.controller.simulation import BETTER, EQUAL, Simulation
from tests.router.test_keyfile import write
from tests.router.test_signer import LINES, SECRETS

MIB = 1 << 20
AT_NS = round(NOW_S * 1e9)


@pytest.fixture
def recorded(start: Callable[..., Simulation], tmp_path: Path) -> Callable[..., Simulation]:
    """Begin a simulation that records into tmp_path/recording."""

    def begin(*routes: RouteIntent, size_bytes: int = 64 * MIB, **parts: object) -> Simulation:
        spec = RecordSpec(str(tmp_path / "recording"), size_bytes)
        return start(intent=replace(intent(*routes), record=spec), **parts)

    return begin


def told(tmp_path: Path) -> list[Line]:
    return [
        line
        for path in segments(tmp_path / "recording")
        for line in record.lines_of(path.read_bytes().splitlines(keepends=True))
    ]


def replayed(lines: list[Line], **how: object) -> dict[str, Replayed]:
    found = Replay(**how)  # type: ignore[arg-type]
    found.feed(lines)
    found.finish()
    return found.experiments


def checks_of(one: Replayed) -> list[dict]:
    return [reading_json(reading) for reading in one.evaluator.evidence(0.0).readings]


def assert_equal(simulation: Simulation, tmp_path: Path) -> Replayed:
    """Live and replayed evidence are the same, to the last bit and the last count."""
    live = simulation.status()
    one = replayed(told(tmp_path))[live["experiment"]]
    # What a check must exceed is of the route's other challengers, which no recording knows.
    checks = [{k: v for k, v in check.items() if k != "must_exceed"} for check in live["checks"]]
    assert checks_of(one) == checks
    assert one.evaluator.evidence(0.0).counts.items() <= live["counts"].items()
    state = simulation.connection.execute("SELECT content FROM snapshot").fetchone()[0]
    assert one.evaluator.snapshot() == state
    return one


@pytest.mark.parametrize("models", [BETTER, EQUAL], ids=["better", "equal"])
def test_replay_of_a_rollout_says_what_it_said_live(recorded, tmp_path, models) -> None:
    simulation = recorded(models=models)
    simulation.run("shadow")
    for _ in range(400):
        if simulation.phase not in ("shadow", "canary"):
            break
        simulation.tick()
        if simulation.n_requests % 1000 == 0:
            assert_equal(simulation, tmp_path)
    assert simulation.n_requests > 1000


def test_a_restart_in_the_middle_leaves_no_trace(recorded, tmp_path) -> None:
    simulation = recorded(models=EQUAL)
    simulation.run("canary")
    simulation.restart()
    for _ in range(20):
        simulation.tick()
    assert assert_equal(simulation, tmp_path).is_whole


def test_a_full_disk_in_the_middle_leaves_no_trace(recorded, tmp_path) -> None:
    simulation = recorded(models=EQUAL)
    simulation.run("canary")
    batch = simulation.batch(20)
    simulation.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(Exception, match="could not be written"):
        simulation.controller.ingest([batch])
    simulation.connection.execute("PRAGMA query_only = OFF")
    simulation.controller.ingest([batch])
    simulation.tick()
    assert_equal(simulation, tmp_path)


def test_a_recording_that_lost_its_beginning_still_ends_with_the_same_evidence(
    recorded, tmp_path
) -> None:
    simulation = recorded(models=EQUAL, size_bytes=MIB)
    simulation.run("shadow")
    for _ in range(200):
        simulation.tick(40)
        if not (tmp_path / "recording" / "00000001.ndjson").exists():
            break
    assert not (tmp_path / "recording" / "00000001.ndjson").exists()
    assert_equal(simulation, tmp_path)


def test_recording_that_is_switched_on_late_starts_from_the_state_so_far(start, tmp_path) -> None:
    simulation = start(models=EQUAL)
    simulation.run("canary")
    spec = RecordSpec(str(tmp_path / "recording"), MIB)
    simulation.controller.adopt(replace(simulation.intent, record=spec, digest="d2"), "file")
    for _ in range(10):
        simulation.tick()
    assert_equal(simulation, tmp_path)
    status = simulation.controller.status()["recording"]
    assert status["bytes"] > 0
    assert status["dropped"] == 0
    simulation.controller.adopt(replace(simulation.intent, digest="d3"), "file")
    assert simulation.controller.status()["recording"] is None


@pytest.fixture
def lines(recorded, tmp_path) -> tuple[Simulation, list[Line]]:
    simulation = recorded(models=BETTER)
    simulation.run("canary")
    for _ in range(30):
        simulation.tick()
    return simulation, told(tmp_path)


def only(found: dict[str, Replayed]) -> Replayed:
    (one,) = found.values()
    return one


def test_another_alpha_asks_for_other_odds_of_the_same_evidence(lines) -> None:
    simulation, recording = lines
    policy = replace(simulation.intent.routes[0], alpha=0.001)
    one = only(replayed(recording, replan=with_policy(policy, "digits")))
    live = {check["check"]: check for check in simulation.status()["checks"]}
    for check in checks_of(one):
        assert check["log_e"] == live[check["check"]]["log_e"]
    assert checks_of(one)[0]["alpha"] == 0.001
    assert not one.is_as_recorded


def test_another_metric_is_measured_from_the_answers(lines) -> None:
    simulation, recording = lines
    agrees = MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.5)
    policy = replace(simulation.intent.routes[0], metrics=(agrees,))
    one = only(replayed(recording, replan=with_policy(policy, "digits")))
    check = checks_of(one)[0]
    assert check["check"] == "agrees"
    assert check["n"] == sum(isinstance(line, record.PairLine) for line in recording)


def test_another_maturity_joins_the_labels_anew(lines) -> None:
    """Too early, no label is there: labels come 200 ms after their request."""
    simulation, recording = lines
    policy = simulation.intent.routes[0]

    def judged(maturity_s: float) -> dict[str, int]:
        other = replace(policy, maturity_s=maturity_s)
        one = only(replayed(recording, replan=with_policy(other, "digits")))
        return one.evaluator.evidence(0.0).counts

    early, late = judged(0.1), judged(5.0)
    assert early["unlabelled"] == early["judged"] > 500
    assert late["unlabelled"] == 0
    assert 500 < late["judged"] < early["judged"]


def test_another_route_is_left_out(lines) -> None:
    simulation, recording = lines
    assert replayed(recording, replan=with_policy(simulation.intent.routes[0], "cats")) == {}


def plan() -> ExperimentPlan:
    route = route_intent()
    return ExperimentPlan(
        "x", "digits", "digits-1", "digits-2", route.metrics, "prediction", maturity_s=1.0
    )


def pair(number: int, at_s: float) -> record.Line:
    outcome = Outcome("digits-1", 200, 0.01, "", b'{"prediction": 1}', 17)
    at_ns = round((NOW_S + at_s) * 1e9)
    return record.of_observation(
        MirroredPair("digits", "x", f"r{number}", number, 1, at_ns, outcome, outcome)
    )


def test_after_a_gap_evidence_starts_from_the_snapshot_that_follows() -> None:
    begun = record.Begun(plan=plan())
    whole = only(replayed([begun, *(pair(n, 0.0) for n in range(30))]))
    again = record.Begun(plan=plan(), snapshot=whole.evaluator.snapshot())
    one = only(replayed([begun, pair(1, 0.0), record.Gap(lost=29, why="x"), again, pair(30, 0.0)]))
    assert one.evaluator.evidence(0.0).counts["pairs"] == 31


def test_by_another_policy_evidence_goes_on_over_a_gap() -> None:
    begun = record.Begun(plan=plan())
    again = record.Begun(plan=plan(), snapshot=b"of no use to another policy")
    lines = [begun, pair(1, 0.0), record.Gap(lost=5, why="x"), again, pair(2, 0.0)]
    other = replace(route_intent(), alpha=0.01)
    one = only(replayed(lines, replan=with_policy(other, "digits")))
    assert one.evaluator.evidence(0.0).counts["pairs"] == 2


def label(value: bytes, after_s: float, *, correct: bool = False) -> record.Line:
    at_ns = round((NOW_S + after_s) * 1e9)
    return record.LabelLine(
        request_id="r1", label=Raw(value), at_ns=at_ns, route="digits", correct=correct
    )


def joined_anew(*lines: Line) -> dict[str, object]:
    """Return what is said of accuracy when labels are waited for 2 s."""
    other = replace(route_intent(), maturity_s=2.0)
    whole = [record.Begun(plan=plan()), pair(1, 0.0), *lines, pair(2, 5.0)]
    return checks_of(only(replayed(whole, replan=with_policy(other, "digits"))))[0]


def test_the_first_label_of_a_request_counts_when_labels_are_joined_anew() -> None:
    accuracy = joined_anew(label(b"1", 0.1), label(b"2", 0.1))
    assert accuracy["n"] == 1
    assert "challenger 100.0 %" in str(accuracy["because"])


def test_a_correction_counts_when_labels_are_joined_anew_if_it_is_in_time() -> None:
    in_time = joined_anew(label(b"1", 0.1), label(b"2", 1.9, correct=True))
    late = joined_anew(label(b"1", 0.1), label(b"2", 2.1, correct=True))
    assert "challenger 0.0 %" in str(in_time["because"])
    assert "challenger 100.0 %" in str(late["because"])


def test_a_label_that_is_late_by_the_clock_of_the_recording_does_not_count() -> None:
    assert joined_anew(label(b"1", 2.1))["n"] == 0


def test_lines_of_an_experiment_that_is_not_known_are_passed_over() -> None:
    found = Replay()
    found.feed([pair(1, 0.0), record.EpochLine(route="digits", why="x")])
    found.finish()
    assert found.experiments == {}
    assert found.n_lines == 2


def test_simulation_without_record_writes_nothing(start, tmp_path) -> None:
    simulation = start(models=EQUAL)
    simulation.run("shadow")
    simulation.tick()
    assert simulation.controller.status()["recording"] is None
    assert not (tmp_path / "recording").exists()
    assert isinstance(simulation.connection, sqlite3.Connection)


def test_what_the_store_did_not_keep_is_replayed_as_lost(recorded, tmp_path):
    simulation = recorded()
    simulation.run("canary")
    intake = simulation.controller._intake
    intake.bound(intake.store_size()["bytes"])
    for _ in range(3):
        simulation.tick()
    intake.bound(2**40)
    simulation.tick()
    assert simulation.status()["counts"]["refused"] > 0
    assert_equal(simulation, tmp_path)


def corrected(simulation: Simulation, ticks: int) -> None:
    """Play on; of every second batch a label is corrected while its request waits."""
    for tick in range(ticks):
        simulation.tick(5)
        if tick % 2:
            labels = [Label(simulation.last_id, text, route="digits") for text in ("1", "2")]
            for label in labels:
                simulation.controller.label([replace(label, is_correction=True)])


def test_corrections_replay_to_the_same_evidence(recorded, tmp_path) -> None:
    simulation = recorded(replace(route_intent(), maturity_s=3.0, window_s=60.0), models=EQUAL)
    simulation.run("shadow")
    corrected(simulation, 40)
    assert simulation.status()["labels"]["corrected"] >= 15
    assert_equal(simulation, tmp_path)


def test_what_tokens_brought_back_is_replayed_to_the_last_bit(tmp_path: Path) -> None:
    """A token has the epoch in which it was served, not that in which its observation came."""
    keys = write(tmp_path / "keys", LINES[0])
    policy = replace(route_intent(), token=TokenSpec(keys, 1000, joins=True))
    rollout = Rollout(challenger="digits-2", champion="digits-1", experiment="x")
    with closing(open_database(tmp_path / "understudy.db")) as connection:
        intake = Intake(connection)
        intake.sign_for([policy])
        intake.record_to(RecordSpec(str(tmp_path / "recording"), 64 * MIB))
        intake.begin(experiment_plan(policy, rollout))
        for number in range(1, 41):
            outcome = Outcome("digits-2", 200, 0.01, "", b'{"prediction": 7}', 17)
            at_ns = AT_NS + number
            seen = Exposure("digits", "x", f"r{number}", number, True, 0.5, 1, at_ns, outcome)
            if number % 10 == 0:
                intake.roll_epoch("digits", "a share changed")
            intake.take([Batch("w0", number, (seen,))], at_ns=at_ns)
            served = Served(
                "digits", "x", f"r{number}", number, "digits-2", 0.5, 1, at_ns, "value", Raw(b"7")
            )
            signed = sign(served, Key("k0", SECRETS[0])).decode()
            (result,) = intake.label([Label("", str(number % 2 + 6), token=signed)], now_ns=at_ns)
            assert result.outcome is LabelOutcome.ACCEPTED
        intake.mature(before_ns=lambda age_ns: AT_NS + 10**10 - age_ns)
        live = intake.evidence("digits", now_s=0.0)
        found = replayed(told(tmp_path))["x"]
        assert live is not None and live.counts["judged"] == 40
        assert found.evaluator.evidence(0.0) == live
        assert found.waiting == {}
