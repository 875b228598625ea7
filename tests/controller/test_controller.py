import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller import audit
from controller.controller import Act, ActRefused, UnknownRoute
from controller.gates import functional
from controller.gates.report import GateCheck, GateReport
from controller.policy import ScorerSpec, StageKind
from controller.store import StoreError
from evaluator.join import Label
from router.observation import Batch
from router.table import BUCKETS, Split
from tests.controller.builders import (
    ALL_STAGES,
    CANARY,
    FUNCTIONAL,
    PERFORMANCE,
    PRODUCTION,
    SHADOW,
    STAGES,
    intent,
    route_intent,
)
from tests.controller.simulation import BETTER, EQUAL, FAILING, WORSE, Model, Simulation

Start = Callable[..., Simulation]


HAPPY_PATH = [
    ("adopt", None, None),
    ("start", "queued", "functional"),
    ("advance", "functional", "shadow"),
    ("advance", "shadow", "canary"),
    ("advance", "canary", "canary"),
    ("advance", "canary", "canary"),
    ("promote", "canary", "watch"),
    ("finish", "watch", "promoted"),
]


def moves(simulation: Simulation) -> list[tuple[str, str | None, str | None]]:
    return [(r["action"], r["phase_from"], r["phase_to"]) for r in simulation.audit()]


# What evidence does.


def test_a_better_challenger_is_promoted_through_shadow_canary_and_watch(start):
    simulation = start(models=BETTER)
    assert simulation.run("promoted", "rolled_back") == "promoted"
    assert moves(simulation) == HAPPY_PATH
    assert simulation.route.split == Split(champion="digits-2")
    assert simulation.status()["champion"] == "digits-2"
    assert audit.verify(simulation.connection).verified


def test_shares_rise_by_the_ladder_only(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    shares = [table.routes[0].split.challenger_buckets for table in simulation.tables]
    assert shares == [0, 0, *CANARY.shares_buckets, BUCKETS - PRODUCTION.holdback_buckets, 0]
    versions = [table.version for table in simulation.tables]
    assert versions == list(range(1, len(versions) + 1))


def test_a_promotion_records_the_numbers_that_allowed_it(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    (record,) = [r for r in simulation.audit() if r["action"] == "promote"]
    readings = {r["check"]: r for r in record["evidence"]["readings"]}
    assert readings["accuracy"]["state"] == "passed"
    assert readings["accuracy"]["log_e"] >= 2.99
    assert record["evidence"]["counts"]["exposures_challenger"] > 0
    assert (record["share_from"], record["share_to"]) == (0.5, 0.99)
    assert record["table_to"] == record["table_from"] + 1
    assert record["config_digest"] == "d1"


@pytest.mark.parametrize("models", [WORSE, FAILING], ids=["wrong", "failing"])
def test_a_worse_challenger_is_rolled_back_and_not_tried_again(start, models):
    simulation = start(models=models)
    assert simulation.run("promoted", "rolled_back") == "rolled_back"
    assert simulation.is_champion_only
    tables = len(simulation.tables)
    for _ in range(20):
        simulation.tick()
    assert len(simulation.tables) == tables
    assert simulation.actions().count("rollback") == 1
    assert simulation.actions().count("start") == 1


@pytest.mark.parametrize("holdback_buckets", [2000, 0])
def test_a_challenger_that_turns_bad_during_the_watch_is_rolled_back(start, holdback_buckets):
    """Against those who are held back, or against what was usual where nobody is."""
    watch = replace(PRODUCTION, watch_s=3000.0, holdback_buckets=holdback_buckets)
    stages = (*STAGES[:3], watch)
    simulation = start(models=BETTER, intent=intent(route_intent(stages=stages)))
    simulation.run("watch")
    simulation.models = {"digits-1": Model(0.7), "digits-2": Model(0.7, error_rate=0.8)}
    assert simulation.run("promoted", "rolled_back") == "rolled_back"
    assert simulation.route.split == Split(champion="digits-1")
    assert simulation.status()["champion"] == "digits-1"


def test_without_labels_nothing_is_promoted(start):
    """Errors and agreement cannot say that a model is better."""
    simulation = start(models=BETTER, sends_labels=False)
    simulation.run("canary")
    for _ in range(200):
        simulation.tick(40)
    status = simulation.status()
    assert (status["phase"], status["step"]) == ("canary", 2)
    assert any(sentence.startswith("accuracy: ") for sentence in status["missing"])


def test_without_traffic_nothing_moves_until_time_is_up(start):
    simulation = start(models=BETTER)
    simulation.run("shadow")
    for _ in range(100):
        simulation.tick(0)
    assert simulation.phase == "shadow"
    simulation.clock.advance(SHADOW.at_most_s or 0.0)
    simulation.tick(0)
    assert simulation.phase == "rolled_back"
    assert "longer than the file allows" in simulation.status()["because"]


def test_traffic_that_stops_in_the_canary_does_not_advance_it(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    step = simulation.status()["step"]
    for _ in range(50):
        simulation.tick(0)
    assert (simulation.phase, simulation.status()["step"]) == ("canary", step)


def test_ejection_rolls_back_in_one_step(start):
    simulation = start(models=EQUAL)
    simulation.run("canary")
    simulation.controller.eject("digits", "digits-2", 5)
    assert simulation.is_champion_only
    assert simulation.phase == "rolled_back"
    assert simulation.status()["because"] == "a router saw 5 failures in a row"


@pytest.mark.parametrize(("route", "variant"), [("digits", "digits-1"), ("other", "digits-2")])
def test_ejection_of_somebody_else_is_ignored(start, route, variant):
    simulation = start()
    simulation.run("shadow")
    simulation.controller.eject(route, variant, 5)
    assert simulation.phase == "shadow"


def test_a_second_ejection_comes_too_late(start):
    simulation = start()
    simulation.run("shadow")
    for _ in range(2):
        simulation.controller.eject("digits", "digits-2", 5)
    assert simulation.actions().count("rollback") == 1


def test_challengers_are_tried_in_their_order_against_the_effective_champion(start):
    models = {"digits-1": Model(0.6), "digits-2": Model(0.2), "digits-3": Model(0.95)}
    file = intent(route_intent(challengers=("digits-2", "digits-3")))
    simulation = start(models=models, intent=file)
    simulation.run("rolled_back")
    simulation.tick()
    assert simulation.status()["challenger"] == "digits-3"
    simulation.run("promoted")
    assert simulation.status()["champion"] == "digits-3"
    history = [(h["challenger"], h["phase"]) for h in simulation.status()["history"]]
    assert history == [("digits-3", "promoted"), ("digits-2", "rolled_back")]


def test_every_experiment_has_its_own_name_and_secret(start):
    models = {"digits-1": Model(0.6), "digits-2": Model(0.2), "digits-3": Model(0.95)}
    file = intent(route_intent(challengers=("digits-2", "digits-3")))
    simulation = start(models=models, intent=file)
    simulation.run("shadow")
    first = simulation.route
    simulation.run("rolled_back")
    simulation.run("shadow")
    second = simulation.route
    assert len(first.salt) == len(second.salt) == 32
    assert first.salt != second.salt and first.experiment != second.experiment


# The functional gate.


def test_a_failed_gate_is_asked_again_and_keeps_the_challenger_from_traffic(start):
    simulation = start(functional_ok=False)
    for _ in range(20):
        simulation.tick()
    assert simulation.phase == "functional"
    assert simulation.status()["missing"] == ["functional: asked"]
    simulation.functional_ok = True
    assert simulation.run("shadow") == "shadow"


def test_a_gate_that_never_passes_ends_the_rollout(start):
    simulation = start(functional_ok=False)
    simulation.run("rolled_back")
    assert [table.routes[0].mirror for table in simulation.tables] == [None]


def test_a_gate_says_what_to_ask_of_whom(start):
    gate = replace(FUNCTIONAL, samples=(b"{}",), ready_path="/ready")
    simulation = start(intent=intent(route_intent(stages=(gate, *STAGES[1:]))))
    simulation.controller.step()
    (task,) = simulation.controller.pending_gates()
    asked = functional.task_of(task)
    assert (asked.route, asked.challenger.name, task.champion.name) == (
        *("digits", "digits-2"),
        "digits-1",
    )
    assert (asked.samples, asked.ready_path, asked.prediction) == ((b"{}",), "/ready", "prediction")


def test_a_report_about_another_challenger_is_ignored(start):
    simulation = start()
    simulation.controller.step()
    (task,) = simulation.controller.pending_gates()
    simulation.controller.report(task, GateReport("digits-9", True, "ok"))
    for other in (
        replace(task, experiment="x"),
        replace(task, route=replace(task.route, name="other")),
        replace(task, stage=PERFORMANCE),
    ):
        simulation.controller.report(other, GateReport("digits-2", True, "ok"))
    assert simulation.phase == "functional"


def test_every_declared_stage_is_passed_in_its_order(start):
    simulation = start(intent=intent(route_intent(stages=ALL_STAGES)))
    simulation.run("promoted")
    reached = [record["phase_to"] for record in simulation.audit() if record["phase_to"]]
    assert list(dict.fromkeys(reached)) == [
        *("functional", "performance", "security", "shadow", "canary", "watch", "promoted")
    ]


def test_status_says_what_a_gate_found_and_what_is_missing(start):
    rows = GateCheck("rows", False, "12 of 100 answered", {"answered": 12})
    found = GateReport("", False, "not all rows were answered", (rows,), is_transient=True)
    simulation = start(
        intent=intent(route_intent(stages=ALL_STAGES)), gates={StageKind.PERFORMANCE: found}
    )
    simulation.run("performance")
    simulation.tick()
    status = simulation.status()
    assert status["missing"] == ["performance: rows: 12 of 100 answered"]
    assert status["gate"]["checks"][0]["numbers"] == {"answered": 12}


# Restarts and clocks.


@pytest.mark.parametrize("phase", ["functional", "shadow", "canary", "watch"])
def test_a_restart_in_any_phase_goes_on_where_it_was(start, phase):
    simulation = start(models=BETTER, functional_ok=phase != "functional")
    simulation.run(phase)
    simulation.tick()
    before = simulation.status()
    table, n_records = simulation.published, len(simulation.audit())
    simulation.restart()
    after = simulation.status()
    for same in ("phase", "step", "experiment", "share", "counts", "checks"):
        assert after[same] == before[same], same
    assert simulation.published == table
    assert len(simulation.audit()) == n_records
    simulation.functional_ok = True
    assert simulation.run("promoted") == "promoted"
    assert moves(simulation) == HAPPY_PATH


def test_restarting_at_every_tick_changes_no_statistic_and_no_decision(start):
    steady, shaken = start(models=BETTER), start(models=BETTER)
    while steady.phase != "watch":
        for simulation in (steady, shaken):
            simulation.tick(40)
        shaken.restart()
        for same in ("phase", "step", "share", "counts", "checks", "history"):
            assert shaken.status()[same] == steady.status()[same], same
    assert shaken.published == steady.published
    assert shaken.run("promoted") == steady.run("promoted")


def test_a_hold_survives_a_restart(start):
    simulation = start()
    simulation.run("canary")
    simulation.controller.act("digits", Act.HOLD, "ana", "holiday")
    simulation.restart()
    assert simulation.status()["held_by"] == "ana"


def test_time_that_passes_while_stopped_counts(start):
    simulation = start(models=BETTER)
    simulation.run("watch")
    simulation.stop()
    simulation.clock.advance(PRODUCTION.watch_s)
    simulation.start()
    simulation.tick()
    simulation.tick()
    assert simulation.phase == "promoted"


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_ends_no_stage(start, jump_s):
    simulation = start(models=BETTER)
    simulation.run("watch")
    simulation.clock.wall_s += jump_s
    for _ in range(20):
        simulation.tick()
    assert simulation.phase == "watch"
    for _ in range(60):
        simulation.tick()
    assert simulation.phase == "promoted"


def test_a_wall_clock_that_jumps_judges_nothing_before_its_label_came(start):
    """Labels come after 20 s and are waited for 30 s; the clock jumps by an hour in between."""
    judged = {}
    for jump_s in (0.0, 3600.0, -3600.0):
        route = replace(route_intent(), maturity_s=30.0, window_s=60.0)
        simulation = start(models=EQUAL, intent=intent(route))
        simulation.run("shadow")
        simulation.label_after_s = 20.0
        for _ in range(40):
            simulation.tick(5)
        simulation.jump(jump_s)
        for _ in range(50):
            simulation.tick(5)
        counts = simulation.status()["counts"]
        judged[jump_s] = counts["judged"]
        assert counts["unlabelled"] == 0
    assert judged[3600.0] == judged[0.0] > 100
    assert judged[-3600.0] == 0  # times that occur twice wait for the later one


def test_audit_is_in_the_order_of_its_numbers_whatever_the_clock_says(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.jump(-7200.0)
    simulation.run("promoted")
    records = simulation.audit()
    assert [record["sequence"] for record in records] == list(range(1, len(records) + 1))
    assert sorted(record["at"] for record in records) != [record["at"] for record in records]
    assert audit.verify(simulation.connection).verified


def test_second_labels_that_differ_are_in_the_audit(start):
    simulation = start(models=EQUAL)
    simulation.run("shadow")
    simulation.sends_labels = False
    simulation.tick(3)
    first, second = (Label(simulation.last_id, text) for text in ("1", "2"))
    results = simulation.controller.label([first, second])
    assert [result.outcome.value for result in results] == ["accepted", "conflict"]
    record = simulation.audit()[-1]
    assert (record["action"], record["who"], record["route"]) == ("labels", "controller", "digits")
    assert record["evidence"]["request_ids"] == {"conflict": [simulation.last_id]}
    corrected = replace(second, is_correction=True)
    assert simulation.controller.label([corrected])[0].outcome.value == "corrected"
    assert simulation.audit()[-1] == record
    simulation.clock.advance(120.0)
    simulation.controller.step()
    assert simulation.audit()[-1]["evidence"]["counts"] == {"corrected": 1}


def test_labels_are_asked_for_where_an_experiment_waits_for_them(start):
    simulation = start(models=EQUAL)
    simulation.run("shadow")
    simulation.sends_labels = False
    simulation.tick(3)
    found = simulation.controller.wanted("digits", after=0, limit=100)
    assert simulation.last_id in {item["request_id"] for item in found["items"]}
    with pytest.raises(UnknownRoute):
        simulation.controller.wanted("nowhere", after=0, limit=1)
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "enough")
    with pytest.raises(ActRefused, match="no experiment"):
        simulation.controller.wanted("digits", after=0, limit=1)


# A store that refuses.


def fill_disk(simulation: Simulation) -> None:
    pages = simulation.connection.execute("PRAGMA page_count").fetchone()[0]
    simulation.connection.execute(f"PRAGMA max_page_count = {pages}")


def free_disk(simulation: Simulation) -> None:
    simulation.connection.execute("PRAGMA max_page_count = 1000000")


def exhaust(simulation: Simulation) -> None:
    """Fill the disk so far that not even one more observation fits."""
    fill_disk(simulation)
    for _ in range(1000):
        try:
            simulation.controller.ingest([simulation.batch(50)])
        except StoreError:
            return
    raise AssertionError("the store took everything")


def test_a_full_disk_does_not_keep_a_challenger_in_traffic(start):
    simulation = start(models=EQUAL)
    simulation.run("canary")
    exhaust(simulation)
    n_records = len(simulation.audit())
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "a bad feeling")
    assert simulation.controller.status()["unrecorded"] == 1
    assert simulation.is_champion_only
    assert len(simulation.audit()) == n_records
    with pytest.raises(StoreError):
        simulation.controller.step()
    free_disk(simulation)
    simulation.controller.step()
    assert simulation.controller.status()["unrecorded"] == 0
    assert simulation.audit()[-1]["action"] == "rollback"
    assert len(simulation.audit()) == n_records + 1
    assert audit.verify(simulation.connection).verified


def test_evidence_that_cannot_be_written_can_still_roll_back(start):
    simulation = start(models=EQUAL)
    simulation.run("canary")
    exhaust(simulation)
    simulation.models = FAILING
    kept: list[Batch] = []
    for _ in range(60):
        simulation.clock.advance(0.5)
        kept.append(simulation.batch(40))
        with pytest.raises(StoreError):
            simulation.controller.ingest(kept)
        if simulation.is_champion_only:
            break
    assert simulation.phase == "rolled_back"


def test_evidence_that_was_not_written_is_not_kept(start):
    simulation = start(models=EQUAL)
    simulation.run("canary")
    exhaust(simulation)
    before = simulation.status()["counts"]
    batch = simulation.batch(50)
    with pytest.raises(StoreError):
        simulation.controller.ingest([batch])
    assert simulation.status()["counts"] == before
    free_disk(simulation)
    assert simulation.controller.ingest([batch]) == {"w0": batch.sequence}
    counts = simulation.status()["counts"]
    names = ("exposures_champion", "exposures_challenger")
    assert sum(counts[name] - before[name] for name in names) == 50


def test_a_full_disk_stops_promotion(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    table = simulation.published
    fill_disk(simulation)
    for _ in range(100):
        simulation.clock.advance(0.5)
        try:
            simulation.controller.ingest([simulation.batch(50)])
            simulation.controller.step()
        except StoreError:
            break
    else:
        raise AssertionError("the store took everything")
    shares = simulation.route.split.challenger_buckets
    for _ in range(50):
        simulation.clock.advance(0.5)
        with pytest.raises(StoreError):
            simulation.controller.ingest([simulation.batch(50)])
    assert simulation.route.split.challenger_buckets == shares
    assert table is not None
    free_disk(simulation)
    assert simulation.run("promoted") == "promoted"
    assert audit.verify(simulation.connection).verified


# A state that was lost.


def test_after_a_loss_of_state_nothing_starts_until_a_person_resumes(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    version = simulation.published.version
    simulation.stop()
    simulation.path.write_bytes(b"\xff" * 8192)
    simulation.start()
    assert simulation.published.version > version
    assert simulation.route.split == Split(champion="digits-2")
    for _ in range(20):
        simulation.tick()
    assert simulation.is_champion_only
    status = simulation.status()
    assert status["held_by"] in (None, "recovery")
    assert simulation.actions() == ["adopt", "hold"]
    assert "damaged" in simulation.audit()[1]["because"]


def test_a_lost_state_in_mid_rollout_is_served_by_the_champion_and_can_be_resumed(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.stop()
    simulation.path.write_bytes(b"\xff" * 8192)
    simulation.start()
    simulation.tick()
    assert simulation.is_champion_only
    assert simulation.status()["held_by"] == "recovery"
    assert "damaged" in simulation.status()["missing"][0]
    simulation.restart()
    simulation.tick()
    assert simulation.status()["held_by"] == "recovery"
    simulation.controller.act("digits", Act.RESUME, "ana", "checked by hand")
    assert simulation.run("promoted") == "promoted"


def test_a_state_that_vanished_counts_as_lost(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.stop()
    for file in simulation.path.parent.glob(f"{simulation.path.name}*"):
        file.unlink()
    simulation.start()
    simulation.tick()
    assert simulation.status()["held_by"] == "recovery"


def test_unreadable_evidence_delays_and_promotes_nothing(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    simulation.connection.execute("UPDATE snapshot SET content = x'00'")
    simulation.restart()
    assert simulation.phase == "canary"
    assert simulation.status()["counts"]["pairs"] == 0
    assert simulation.run("promoted") == "promoted"


# Tables that routers know and the store does not.


def test_a_router_with_a_newer_table_ends_every_trial(start):
    simulation = start()
    simulation.run("canary")
    newer = simulation.published.version + 1
    simulation.controller.fence(newer)
    assert simulation.phase == "rolled_back"
    assert simulation.is_champion_only
    assert simulation.published.version > newer


def test_a_router_with_an_old_table_changes_nothing(start):
    simulation = start()
    simulation.run("canary")
    simulation.controller.fence(1)
    simulation.controller.fence(simulation.published.version)
    assert simulation.phase == "canary"


# What is shown.


def test_status_is_json_and_has_the_keys_of_the_contract(start):
    simulation = start(models=BETTER)
    simulation.run("canary")
    status = json.loads(json.dumps(simulation.controller.status(), allow_nan=False))
    assert {"version", "at", "table_version", "config_digest", "routers", "routes"} <= set(status)
    (route,) = status["routes"]
    assert {
        *("name", "champion", "challenger", "phase", "step", "steps", "share", "mirror_share"),
        *("held_by", "since", "experiment", "missing", "expected_seconds", "checks", "counts"),
        *("labels", "history"),
    } <= set(route)
    assert (route["steps"], route["share"]) == (3, 0.05)
    (check,) = [c for c in route["checks"] if c["check"] == "accuracy"]
    assert {
        *("check", "kind", "role", "state", "because", "log_e", "odds", "log_e_harm"),
        *("progress", "effect", "low", "high", "n", "n_expected"),
    } <= set(check)


def test_decisions_are_the_moves_newest_first(start):
    simulation = start(models=BETTER)
    simulation.run("promoted")
    actions = [record["action"] for record in simulation.controller.decisions("digits", 10)]
    assert actions == ["promote", "advance", "advance", "advance", "advance"]
    assert simulation.controller.decisions("other", 10) == []
    assert len(simulation.controller.decisions(None, 2)) == 2


def test_undeclared_stages_are_passed_by(start):
    stages = (replace(CANARY, shares_buckets=(5000,)),)
    simulation = start(models=BETTER, intent=intent(route_intent(stages=stages)))
    simulation.run("promoted")
    assert moves(simulation)[1:] == [
        ("start", "queued", "functional"),
        ("advance", "functional", "canary"),
        ("promote", "canary", "watch"),
        ("finish", "watch", "promoted"),
    ]


def test_scorer_is_offered_what_waits_for_a_label_in_batches_and_only_on_its_route(start):
    scorer = ScorerSpec("http://127.0.0.1:9/score", None, 5, 1.0)
    route = replace(route_intent(), scorer=scorer, maturity_s=1e6, window_s=1e6)
    simulation = start(intent=intent(route), sends_labels=False)
    simulation.run("shadow")
    for _ in range(20):
        simulation.tick()
    (task,) = simulation.controller.to_score({})
    assert (task.route, task.scorer, len(task.due)) == ("digits", scorer, 5)
    last = task.due[-1].sequence
    (following,) = simulation.controller.to_score({"digits": last})
    assert following.due[0].sequence > last
    assert simulation.controller.to_score({"digits": 10**9}) == []


# After a promotion.


def cooling(start: Start, cool_down_s: float) -> Simulation:
    """Two challengers; the first is promoted, turns bad, and is taken back."""
    route = replace(route_intent(challengers=("digits-2", "digits-3")), cool_down_s=cool_down_s)
    simulation = start(models=BETTER | {"digits-3": Model(0.95)}, intent=intent(route))
    simulation.run("watch")
    simulation.models["digits-2"] = Model(0.9, error_rate=0.6)
    for _ in range(400):
        simulation.tick(40)
        if simulation.status()["history"]:
            break
    assert simulation.status()["history"][0]["phase"] == "rolled_back"
    return simulation


def test_a_new_champion_is_taken_back_at_once_and_no_gate_is_asked(start):
    simulation = start(models=BETTER, intent=intent(route_intent(stages=ALL_STAGES)))
    simulation.run("watch")
    simulation.models = FAILING
    n_records, began_s = len(simulation.audit()), simulation.clock.mono_s
    while simulation.phase == "watch":
        assert simulation.controller.pending_gates() == []
        simulation.tick(200)
    assert simulation.clock.mono_s - began_s <= 10.0  # of the clock that the traffic is played by
    assert simulation.route.split == Split(champion="digits-1")
    [record] = simulation.audit()[n_records:]
    assert (record["action"], record["phase_from"]) == ("rollback", "watch")


@pytest.mark.parametrize("phase", ["watch", "promoted"])
def test_a_person_takes_it_back_within_the_act_itself(start, phase):
    simulation = start(models=BETTER, intent=intent(route_intent(stages=ALL_STAGES)))
    simulation.run(phase)
    simulation.controller.act("digits", Act.ROLLBACK, "ana", "complaints")
    assert simulation.route.split == Split(champion="digits-1")


def test_the_next_challenger_is_not_promoted_before_the_route_has_cooled_down(start):
    simulation = cooling(start, cool_down_s=5000.0)
    assert 4990.0 < simulation.status()["cool_down_s"] <= 5000.0
    simulation.run("canary")  # it is tried all the same
    while simulation.status()["step"] < 2 or len(simulation.status()["missing"]) > 1:
        simulation.tick(40)
    [missing] = simulation.status()["missing"]
    assert missing.startswith("cool_down: nothing is promoted for another ")
    simulation.clock.advance(simulation.status()["cool_down_s"] - 5.0)
    simulation.restart()  # which forgets none of it
    simulation.tick(40)
    assert (simulation.phase, simulation.status()["challenger"]) == ("canary", "digits-3")
    simulation.clock.advance(5.0)
    simulation.tick(40)
    assert simulation.phase == "watch"
