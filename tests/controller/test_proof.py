from dataclasses import replace

import pytest

from controller.lineage import Artifact, ModelVersion
from controller.policy import RegistrySpec, ReportsSpec
from controller.proof import (
    AGAIN_S,
    ARTIFACT,
    CHECKS,
    EVERY_S,
    IDENTITY,
    PROMOTION_S,
    STALE_S,
    Claim,
    Finding,
    Proof,
    Proofs,
    ProofTask,
    worst,
)
from controller.rollout import Phase, Rollout
from evaluator.evidence import CheckState
from tests.controller.builders import route_intent, variant

ROUTE = route_intent()
MODEL = ModelVersion(name="digits", version="2", artifact=Artifact("a" * 64, path="/m"))
CLAIM = Claim("digits:2", MODEL, RegistrySpec(), ReportsSpec("/v2/models/{name}", "version"))
ROLLOUT = Rollout(
    challenger="digits-2", champion="digits-1", experiment="e1", phase=Phase.FUNCTIONAL
)
GOOD = Finding(CheckState.PASSED, "as registered")
NO_WORD = Finding(CheckState.UNKNOWN, "no answer")
OTHER = Finding(CheckState.TRIPPED, "another digest")


class Bench:
    """Proofs of one rollout, and a clock."""

    def __init__(self, claim: Claim = CLAIM) -> None:
        self.proofs, self.claim, self.rollout, self.now_s = Proofs(), claim, ROLLOUT, 1000.0

    def task(self) -> ProofTask | None:
        return self.proofs.task(
            ROUTE, self.rollout, variant("digits-2"), self.claim, now_s=self.now_s
        )

    def wants(self) -> tuple[str, ...]:
        task = self.task()
        return () if task is None else task.wants

    def take(self, **findings: Finding) -> None:
        task = self.task()
        assert task is not None and set(findings) <= set(task.wants)
        self.proofs.take(Proof(task, findings), self.rollout, now_s=self.now_s)

    def states(self) -> dict[str, CheckState]:
        readings = self.proofs.readings("digits", self.rollout, self.claim, now_s=self.now_s)
        return {reading.check: reading.state for reading in readings}

    def may_promote(self) -> bool:
        return self.proofs.may_promote("digits", self.rollout, self.claim, now_s=self.now_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def both(state: CheckState) -> dict[str, CheckState]:
    return dict.fromkeys(CHECKS, state)


def test_nothing_is_proven_before_it_was_looked_at(bench: Bench) -> None:
    assert bench.wants() == CHECKS and bench.states() == both(CheckState.UNKNOWN)
    bench.take(artifact=GOOD, identity=GOOD)
    assert bench.wants() == () and bench.states() == both(CheckState.PASSED)


def test_everything_is_looked_at_again_in_each_stage(bench: Bench) -> None:
    bench.take(artifact=GOOD, identity=GOOD)
    bench.rollout = replace(bench.rollout, phase=Phase.SHADOW)
    assert bench.states() == both(CheckState.UNKNOWN) and bench.wants() == CHECKS
    bench.take(artifact=GOOD, identity=GOOD)
    assert bench.states() == both(CheckState.PASSED)


def test_variant_is_asked_once_a_minute_and_old_words_are_none(bench: Bench) -> None:
    bench.take(artifact=GOOD, identity=GOOD)
    bench.now_s += EVERY_S - 1
    assert bench.wants() == ()
    bench.now_s += 1
    assert bench.wants() == (IDENTITY,)
    bench.now_s += STALE_S
    assert bench.states() == {ARTIFACT: CheckState.PASSED, IDENTITY: CheckState.UNKNOWN}


def test_what_could_not_be_told_is_asked_again_soon(bench: Bench) -> None:
    bench.take(artifact=NO_WORD, identity=NO_WORD)
    assert bench.states() == both(CheckState.UNKNOWN) and bench.wants() == ()
    bench.now_s += AGAIN_S
    assert bench.wants() == CHECKS
    bench.take(artifact=GOOD, identity=GOOD)
    assert bench.states() == both(CheckState.PASSED)


def test_mismatch_stays_and_is_not_asked_again(bench: Bench) -> None:
    """A variant that is put right between two questions was another one in between."""
    task = bench.task()
    bench.take(artifact=GOOD, identity=OTHER)
    bench.now_s += 10 * STALE_S
    assert task is not None
    bench.proofs.take(Proof(task, {IDENTITY: GOOD}), bench.rollout, now_s=bench.now_s)
    assert bench.states()[IDENTITY] is CheckState.TRIPPED and bench.wants() == ()


def test_news_of_another_rollout_is_ignored(bench: Bench) -> None:
    task = bench.task()
    assert task is not None
    bench.rollout = replace(bench.rollout, experiment="e2")
    bench.proofs.take(Proof(task, {ARTIFACT: OTHER}), bench.rollout, now_s=bench.now_s)
    bench.proofs.take(Proof(task, {ARTIFACT: OTHER}), None, now_s=bench.now_s)
    assert bench.states() == both(CheckState.UNKNOWN)


def test_files_are_read_once_more_before_a_promotion(bench: Bench) -> None:
    bench.rollout = replace(bench.rollout, phase=Phase.CANARY)
    bench.take(artifact=GOOD, identity=GOOD)
    assert bench.may_promote()
    bench.now_s += PROMOTION_S + 1
    assert bench.wants() == (IDENTITY,)  # nobody asks for a promotion: files are not read for ever
    assert not bench.may_promote() and bench.wants() == CHECKS
    bench.take(artifact=GOOD)
    assert bench.may_promote() and ARTIFACT not in bench.wants()


def test_claim_without_reports_is_about_the_files_alone() -> None:
    bench = Bench(replace(CLAIM, reports=None))
    assert bench.wants() == (ARTIFACT,)
    bench.take(artifact=GOOD)
    assert bench.states() == {ARTIFACT: CheckState.PASSED}


@pytest.mark.parametrize(
    ("claim", "because"),
    [
        (Claim("digits:3", None, RegistrySpec(), None), "is digits:3, which is not registered"),
        (Claim(None, None, RegistrySpec(required=True), None), "names no registered version"),
    ],
)
def test_version_that_is_not_registered_holds_and_says_why(claim: Claim, because: str) -> None:
    bench = Bench(claim)
    [reading] = bench.proofs.readings("digits", ROLLOUT, claim, now_s=0.0)
    assert reading.state is CheckState.UNKNOWN and because in reading.because
    assert bench.wants() == () and worst((reading,)) is reading


def test_variant_without_a_version_is_free_unless_the_file_requires_one() -> None:
    bench = Bench(Claim(None, None, RegistrySpec(), None))
    assert bench.states() == {} and bench.wants() == () and bench.may_promote()
    assert not Bench(Claim(None, None, RegistrySpec(required=True), None)).may_promote()


def test_worst_news_is_told_first(bench: Bench) -> None:
    bench.take(artifact=NO_WORD, identity=OTHER)
    readings = bench.proofs.readings("digits", ROLLOUT, CLAIM, now_s=bench.now_s)
    found = worst(readings)
    assert found is not None and found.check == IDENTITY
    assert worst(()) is None
