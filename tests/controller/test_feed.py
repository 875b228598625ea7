"""A route that feeds another one: its challenger is judged by what comes of its answers there."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from controller.feed import copies, guarding, settled
from controller.policy import Feed, RouteIntent
from evaluator.evidence import Role
from evaluator.join import Label, LabelOutcome, LabelResult
from evaluator.metric import MetricSpec
from router.observation import Batch, Exposure, Observation
from router.table import Route
from tests.controller.builders import CANARY, FUNCTIONAL, METRICS, PRODUCTION, intent, route_intent
from tests.controller.simulation import Model, Simulation

ON_RANK = (
    MetricSpec("errors", "error", Role.GUARDRAIL, margin=0.05),
    MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=0.05),
)
STAGES = (FUNCTIONAL, CANARY, PRODUCTION)


def pair(on_rank: tuple[MetricSpec, ...] = ON_RANK) -> tuple[RouteIntent, RouteIntent]:
    """Return digits, which feeds rank."""
    rank = route_intent(
        name="rank", path="/rank", champion="rank-1", challengers=(), stages=(), metrics=on_rank
    )
    feed = Feed("rank", on_rank, rank.prediction, rank.maturity_s, rank.window_s, None)
    digits = replace(route_intent(stages=STAGES, metrics=METRICS), feeds=(feed,))
    return digits, replace(rank, fed_by=("digits",))


SOUND = {"digits-1": Model(0.8), "digits-2": Model(0.8)}
SPOILT = {"digits-1": Model(0.8), "digits-2": Model(0.8, error_rate=0.4)}
MISLED = {"digits-1": Model(0.9), "digits-2": Model(0.4)}


@dataclass
class Chain(Simulation):
    """Each request that digits answers by lot is asked of rank too, if its caller sends the set."""

    on_rank: dict[str, Model] = field(default_factory=lambda: dict(SOUND))
    """How good rank's answers are to what a variant of digits said."""
    is_passed_on: bool = True

    def batch(self, n: int) -> Batch:
        self.sequence += 1
        seen: list[Observation] = []
        for _ in range(n):
            one = self.request()
            seen.append(one)
            if isinstance(one, Exposure) and 0.0 < one.propensity < 1.0 and self.is_passed_on:
                seen.append(self.behind(one))
        return Batch(self.source, self.sequence, tuple(seen))

    def behind(self, one: Exposure) -> Exposure:
        said_by = "digits-2" if one.is_challenger else "digits-1"
        truth, request_id = self.dice.randrange(10), f"{one.request_id}-rank"
        models, self.models = self.models, self.on_rank
        outcome = self.answer(said_by, truth)
        self.models = models
        if self.sends_labels:
            label = Label(request_id=request_id, label=json.dumps(truth))
            self.waiting.append((self.clock.mono_s + self.label_after_s, label))
        return replace_struct(one, "digits>rank", request_id, outcome)


def replace_struct(one: Exposure, route: str, request_id: str, outcome: object) -> Exposure:
    return msgspec.structs.replace(one, route=route, request_id=request_id, outcome=outcome)


Start = Callable[..., Chain]


@pytest.fixture
def start(tmp_path: Path):
    begun: list[Chain] = []

    def begin(**parts: object) -> Chain:
        given = {"intent": intent(*pair())} | parts
        begun.append(Chain(tmp_path / f"{len(begun)}.db", **given))
        return begun[-1]

    yield begin
    for one in begun:
        one.stop()


def route_of(chain: Chain, name: str) -> Route:
    assert chain.published is not None
    return next(route for route in chain.published.routes if route.name == name)


def test_both_routes_hold_the_same_key_and_know_each_other(start: Start) -> None:
    chain = start()
    digits, rank = route_of(chain, "digits").chain, route_of(chain, "rank").chain
    assert digits is not None and rank is not None
    assert digits.key == rank.key and len(digits.key) == 32
    assert (digits.fed_by, rank.fed_by) == ((), ("digits",))
    chain.restart()
    kept = route_of(chain, "rank").chain
    assert kept is not None and kept.key == rank.key  # sets that are under way stay good


def test_promotion_waits_for_the_guardrails_of_the_route_behind(start: Start) -> None:
    chain = start()
    chain.run("watch")
    record = next(r for r in chain.audit() if r["action"] == "promote")
    checks = {one["check"]: one["state"] for one in record["evidence"]["readings"]}
    assert checks["rank/errors"] == "passed" and checks["errors"] == "passed"
    assert "rank/errors" in record["because"]


def test_without_the_set_nothing_is_promoted_and_status_says_what_to_send(start: Start) -> None:
    chain = start(is_passed_on=False)
    for _ in range(250):
        chain.tick()
    status = chain.status()
    assert (status["phase"], status["step"]) == ("canary", 2)
    told = next(one for one in status["missing"] if one.startswith("rank/versions"))
    assert "x-understudy-versions of digits's answer" in told


def test_challenger_that_spoils_the_route_behind_is_rolled_back_and_the_stage_is_named(
    start: Start,
) -> None:
    chain = start(on_rank=SPOILT)
    assert chain.run("rolled_back", "watch") == "rolled_back"
    because = chain.status()["because"]
    assert because.startswith("rank/") and "under this set of versions" in because
    record = chain.audit()[-1]
    found = {one["check"]: one["state"] for one in record["evidence"]["readings"]}
    assert found["harm"] != "tripped"  # by itself it did well


def test_labels_of_the_route_behind_judge_the_one_in_front(start: Start) -> None:
    """rank has no experiment of its own: its labels are accepted for the chain."""
    chain = start(on_rank=MISLED)
    assert chain.run("rolled_back", "watch") == "rolled_back"
    assert chain.status()["because"].startswith("rank/")


def test_status_shows_each_stage_by_itself(start: Start) -> None:
    chain = start(is_passed_on=True)
    chain.run("canary", n=0)
    for _ in range(20):
        chain.tick()
    stages = chain.status()["chain"]
    assert [one["route"] for one in stages] == ["digits", "rank"]
    assert stages[1]["exposures_champion"] > 0
    assert chain.status(1)["chain"] == []
    chain.run("rolled_back", "promoted")
    assert chain.status()["chain"] == []


def test_evidence_of_both_stages_survives_a_restart(start: Start) -> None:
    chain = start()
    chain.run("canary", n=0)
    for _ in range(40):
        chain.tick()
    before = chain.status()
    chain.restart()
    after = chain.status()
    assert after["chain"] == before["chain"]
    assert {c["check"]: c["n"] for c in after["checks"]} == {
        c["check"]: c["n"] for c in before["checks"]
    }
    chain.run("watch")


def test_experiment_on_the_route_behind_ends_with_the_first_ones(start: Start) -> None:
    chain = start(on_rank=SPOILT)
    chain.run("rolled_back")
    trials = chain.controller._intake._trials
    assert trials == {}


# The pure part.


def test_no_metric_of_the_route_behind_asks_for_a_gain() -> None:
    specs = (
        *ON_RANK,
        MetricSpec("agrees", "agreement", Role.PROXY, at_least=0.9),
        MetricSpec("floor", "correct", Role.OBJECTIVE, at_least=0.5),
        MetricSpec("same", "correct", Role.OBJECTIVE, within=0.02),
    )
    roles = {spec.name: spec.role for spec in guarding(specs)}
    assert roles == {
        "errors": Role.GUARDRAIL,
        "accuracy": Role.PROXY,
        "floor": Role.GUARDRAIL,
        "same": Role.GUARDRAIL,
    }


CHAINED = {"digits>rank": "rank", "embed>rank": "rank"}


def test_label_is_copied_to_every_chain_that_its_route_ends() -> None:
    labels = [
        Label("q1", "7"),
        Label("q2", "7", route="rank"),
        Label("q3", "7", route="other"),
        Label("q4", "7", token="v1.k.p.m"),
        LabelResult(LabelOutcome.FORGED, "no"),
    ]
    found = [(place, one.route) for place, one in copies(labels, CHAINED)]
    assert found == [
        (0, "digits>rank"),
        (0, "embed>rank"),
        (1, "digits>rank"),
        (1, "embed>rank"),
    ]
    assert copies(labels, {}) == []


def test_sender_is_told_what_became_of_the_label_itself_or_else_of_its_copy() -> None:
    unknown = LabelResult(LabelOutcome.UNKNOWN, "nobody knows it")
    accepted = LabelResult(LabelOutcome.ACCEPTED, "joined", "digits>rank")
    own = LabelResult(LabelOutcome.LATE, "too late", "rank")
    more = copies([Label("q1", "7"), Label("q2", "7")], {"digits>rank": "rank"})
    told = settled([unknown, own], more, [accepted, accepted], {"digits>rank": "rank"})
    assert told == [replace(accepted, route="rank"), own]
