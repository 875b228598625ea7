"""The registry in a whole rollout: what is proven moves it, what is not holds it or ends it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from controller.lineage import Artifact, ModelVersion
from controller.policy import Intent, RegistrySpec, ReportsSpec, RouteIntent
from controller.proof import ARTIFACT, IDENTITY, Finding, Proof
from controller.registrar import UnknownModel
from controller.registry import RegistrationRefused
from controller.rejudge import Outcome, rejudge
from controller.signature import sign
from controller.store import StoreError
from evaluator.evidence import CheckState
from tests.controller.builders import intent, route_intent
from tests.controller.simulation import Simulation
from tests.controller.test_signature import key_pair

A = "a" * 64
TWO = ModelVersion(
    name="digits", version="2", artifact=Artifact(A, path="/m"), parent="digits:1", by="ada"
)
GOOD = Finding(CheckState.PASSED, "as registered", {"found": A})
OTHER = Finding(CheckState.TRIPPED, "runs version '9', registered is '2'")
NO_WORD = Finding(CheckState.UNKNOWN, "does not say what it runs")
MODELS = (("digits-1", "digits:1"), ("digits-2", "digits:2"))


def declared(spec: RegistrySpec | None = None, **changes: Any) -> Intent:
    usual: dict[str, Any] = {"models": MODELS, "reports": ReportsSpec("/v2", "version")}
    route: RouteIntent = replace(route_intent(), **(usual | changes))
    return replace(intent(route), registry=spec or RegistrySpec())


@dataclass
class Play:
    """A simulation whose proofs the test decides."""

    simulation: Simulation
    found: dict[str, Finding] = field(default_factory=lambda: {ARTIFACT: GOOD, IDENTITY: GOOD})
    looks: list[tuple[str, str]] = field(default_factory=list)
    """Phase and check of each look."""

    @property
    def registrar(self) -> Any:
        return self.simulation.controller.registrar

    def tick(self, n: int = 20) -> None:
        for task in self.registrar.tasks():
            self.looks += [(task.phase.value, check) for check in task.wants]
            findings = {check: self.found[check] for check in task.wants}
            self.registrar.take(Proof(task, findings))
        self.simulation.tick(n)

    def run(self, phase: str, at_most: int = 2000) -> None:
        for _ in range(at_most):
            if self.simulation.phase == phase:
                return
            self.tick()
        raise AssertionError(f"still {self.simulation.status()}")

    def stay(self, phase: str, ticks: int = 60) -> None:
        """Whatever the evidence says meanwhile."""
        for _ in range(ticks):
            self.tick()
            assert self.simulation.phase == phase

    def missing(self) -> str:
        return " ".join(self.simulation.status()["missing"])

    def last(self) -> dict[str, Any]:
        return dict(self.simulation.audit()[-1])


@pytest.fixture
def play(start: Callable[..., Simulation]) -> Callable[..., Play]:
    def begin(one: Intent | None = None, *, is_registered: bool = True) -> Play:
        simulation = start(intent=one or declared())
        if is_registered:
            simulation.controller.registrar.register(TWO)
        return Play(simulation)

    return begin


def test_version_that_is_not_registered_waits_until_it_is(play: Callable[..., Play]) -> None:
    one = play(is_registered=False)
    one.run("functional")
    one.stay("functional", 10)
    assert "is digits:2, which is not registered" in one.missing()
    one.registrar.register(TWO)
    one.run("shadow")


def test_required_registration_is_missing_until_the_stage_is_over(
    play: Callable[..., Play],
) -> None:
    one = play(declared(RegistrySpec(required=True), models=()), is_registered=False)
    one.run("functional")
    one.tick()
    assert "names no registered version" in one.missing()
    assert one.simulation.is_champion_only
    one.run("rolled_back")
    assert "functional lasted longer" in one.last()["because"]


def test_variant_without_a_version_is_free_where_none_is_required(
    play: Callable[..., Play],
) -> None:
    one = play(declared(models=()), is_registered=False)
    one.run("shadow")
    assert one.looks == [] and one.last()["artifact"] is None


def test_other_files_end_the_rollout_before_any_traffic_on_the_record(
    play: Callable[..., Play],
) -> None:
    one = play()
    one.found[ARTIFACT] = Finding(CheckState.TRIPPED, "the files have digest b, registered is a")
    one.run("rolled_back")
    record = one.last()
    assert record["because"] == "artifact: the files have digest b, registered is a"
    assert (record["phase_from"], record["artifact"]) == ("functional", A)
    proofs = record["evidence"]["registry"]["proofs"]
    assert [proof["state"] for proof in proofs] == ["tripped", "passed"]
    assert one.simulation.is_champion_only


@pytest.mark.parametrize("phase", ["shadow", "canary", "watch"])
def test_variant_that_becomes_another_one_is_rolled_back(
    play: Callable[..., Play], phase: str
) -> None:
    one = play()
    one.run(phase)
    one.found[IDENTITY] = OTHER
    one.run("rolled_back", at_most=200)
    assert one.simulation.is_champion_only
    assert one.last()["because"].startswith("identity: runs version '9'")


def test_variant_that_says_nothing_holds_and_goes_on_when_it_does(
    play: Callable[..., Play],
) -> None:
    one = play()
    one.run("canary")
    one.found[IDENTITY] = NO_WORD
    one.stay("canary", 150)
    step = one.simulation.status()["step"]
    one.stay("canary", 60)
    assert one.simulation.status()["step"] == step
    assert "identity: does not say what it runs" in one.missing()
    one.found[IDENTITY] = GOOD
    one.run("promoted")


def test_everything_is_verified_in_each_stage_and_before_the_promotion(
    play: Callable[..., Play],
) -> None:
    one = play()
    one.run("promoted")
    for phase in ("functional", "shadow", "canary", "watch"):
        assert {(phase, ARTIFACT), (phase, IDENTITY)} <= set(one.looks), phase
    moves = [r for r in one.simulation.audit() if r["phase_to"] not in (None, "functional")]
    assert {record["artifact"] for record in moves} == {A}
    promotion = next(r for r in moves if r["action"] == "promote")
    assert promotion["evidence"]["registry"]["model"] == "digits:2"
    assert {p["state"] for p in promotion["evidence"]["registry"]["proofs"]} == {"passed"}


def test_promotion_waits_for_files_that_were_read_long_ago(
    play: Callable[..., Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.proof.PROMOTION_S", 1.0)
    one = play()
    one.run("watch")
    assert one.looks.count(("canary", ARTIFACT)) > 1
    other = play()
    other.run("canary")
    other.tick()
    other.found[ARTIFACT] = Finding(CheckState.TRIPPED, "other files")
    other.run("rolled_back")
    assert "promote" not in other.simulation.actions()


def test_full_disk_keeps_no_wrong_model_in_traffic(play: Callable[..., Play]) -> None:
    one = play()
    one.run("canary")
    one.tick()
    one.simulation.clock.advance(61.0)
    one.simulation.connection.execute("PRAGMA query_only = ON")
    one.found[IDENTITY] = OTHER
    with pytest.raises(StoreError):
        one.tick()
    with pytest.raises(StoreError):
        one.simulation.controller.step()
    assert one.simulation.is_champion_only
    one.simulation.connection.execute("PRAGMA query_only = OFF")
    one.tick()
    assert one.simulation.phase == "rolled_back"
    assert one.last()["because"].startswith("identity: ")


def test_everything_is_proven_again_after_a_restart(play: Callable[..., Play]) -> None:
    one = play()
    one.run("shadow")
    one.tick()
    one.looks.clear()
    one.simulation.restart()
    one.tick()
    assert set(one.looks) == {("shadow", ARTIFACT), ("shadow", IDENTITY)}


def test_unsigned_version_is_not_registered_where_keys_are_declared(
    play: Callable[..., Play], tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path)
    one = play(declared(RegistrySpec(keys=str(public))), is_registered=False)
    with pytest.raises(RegistrationRefused, match="is not signed"):
        one.registrar.register(TWO)
    assert one.registrar.find("digits:2") is None
    assert (one.last()["action"], one.last()["who"]) == ("refuse", "ada")
    one.registrar.register(replace(TWO, signature=sign(TWO, private)))
    assert one.registrar.find("digits:2") is not None


def test_stage_alias_and_line_are_told(play: Callable[..., Play]) -> None:
    one = play()
    one.run("shadow")
    [told] = one.registrar.overview()
    assert (told["ref"], told["stage"], told["aliases"]) == (
        *("digits:2", "shadow"),
        {"challenger": ["digits"]},
    )
    whole = one.registrar.describe("digits@challenger")
    assert [(step["ref"], step["registered"]) for step in whole["line"]] == [
        *(("digits:2", True), ("digits:1", False))
    ]
    one.run("promoted")
    assert one.registrar.describe("digits@champion")["stage"] == "production"
    for unknown in ("digits:9", "digits@challenger", "what"):
        with pytest.raises(UnknownModel):
            one.registrar.describe(unknown)


def test_gates_are_given_the_registered_version(play: Callable[..., Play]) -> None:
    one = play()
    one.simulation.functional_ok = False
    one.run("functional")
    one.simulation.clock.advance(60.0)
    [task] = one.simulation.controller.pending_gates()
    assert task.model is not None and str(task.model.ref) == "digits:2"
    assert task.champion_model is None


def test_registration_is_dated_by_the_controllers_clock(play: Callable[..., Play]) -> None:
    one = play()
    assert one.registrar.find("digits:2").at_ns == one.simulation.clock.wall_ns()
    assert isinstance(one.simulation.connection, sqlite3.Connection)


def test_who_registered_a_version_does_not_approve_it(play: Callable[..., Play]) -> None:
    one = play()
    one.run("functional")
    state = one.simulation.controller._mover.states["digits"]
    assert one.registrar.registered_by(state) == "ada"
    assert "ada" in one.simulation.controller._sponsors(state)


def test_decisions_of_registered_versions_can_be_judged_again(play: Callable[..., Play]) -> None:
    """Proofs stand beside the evidence: the verdict is the evidence's alone."""
    one = play()
    one.run("promoted")
    judged = [rejudge(record) for record in one.simulation.audit() if "basis" in record["evidence"]]
    assert len(judged) >= 3
    assert {found.outcome for found in judged} == {Outcome.SAME}
