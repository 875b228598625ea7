from dataclasses import replace

import pytest
from msgspec import structs

from controller.rollout import Phase, Rollout
from controller.trial import SECOND_NS, Trial, experiment_plan, exposed
from evaluator.evaluator import Evaluator
from evaluator.join import Judgable, LabelOutcome, Mode
from router.token import Served, described
from tests.controller.builders import NOW_S, route_intent

AT_NS = round(NOW_S * 1e9)
ROLLOUT = Rollout(challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.SHADOW)
PLAN = experiment_plan(route_intent(), ROLLOUT)
SERVED = Served("digits", "x", "r1", 1, "digits-2", 0.5, 1, AT_NS, *described("1"))


@pytest.fixture
def trial() -> Trial:
    evaluator = Evaluator(PLAN)
    return Trial(PLAN, evaluator, evaluator.snapshot())


def test_the_plan_is_what_the_file_said_when_the_rollout_began():
    plan = experiment_plan(replace(route_intent(), unit_header="x-user", alpha=0.01), ROLLOUT)
    assert (plan.experiment, plan.champion, plan.challenger) == ("x", "digits-1", "digits-2")
    assert (plan.clustered, plan.alpha, plan.maturity_s) == (True, 0.01, 1.0)
    assert not PLAN.clustered


def test_a_changed_trial_goes_back_to_what_was_settled(trial):
    trial.evaluator.roll_epoch("one")
    trial.is_changed, trial.pending = True, trial.evaluator.snapshot()
    trial.settled()
    assert not trial.is_changed
    trial.evaluator.roll_epoch("two")
    trial.is_changed = True
    trial.revert()
    assert trial.evaluator.snapshot() == trial.durable
    assert trial.evaluator.evidence(NOW_S).counts["epochs"] == 1


def test_a_token_is_kept_until_its_cohort_is_closed(trial):
    def told(trial: Trial | None, served: Served, now_ns: int) -> LabelOutcome | None:
        refusal = exposed(trial, served, "1", now_ns).refusal
        return None if refusal is None else refusal.outcome

    assert told(None, SERVED, AT_NS) is LabelOutcome.LATE
    assert told(trial, structs.replace(SERVED, experiment="w"), AT_NS) is LabelOutcome.LATE
    assert told(trial, SERVED, AT_NS + SECOND_NS) is LabelOutcome.LATE
    assert told(trial, SERVED, AT_NS + SECOND_NS - 1) is None
    judgable = exposed(trial, SERVED, "1", AT_NS).judgable
    assert judgable is not None and judgable.request_id == "r1"


@pytest.mark.parametrize(
    ("joins", "mode", "is_kept"),
    [(False, Mode.SPLIT, True), (True, Mode.SPLIT, False), (True, Mode.PAIR, True)],
)
def test_what_a_token_brings_back_need_not_wait_in_the_store(trial, joins, mode, is_kept):
    trial.plan = replace(PLAN, joins_by_token=joins)
    assert trial.is_kept(Judgable("r1", AT_NS, mode, 0.5, 1, 0, None, None)) is is_kept
