import math

import numpy as np
import pytest

from evaluator import planning
from evaluator.binary import BinaryCheck
from evaluator.check import correct_question
from evaluator.confseq import n_expected
from evaluator.evidence import Role
from evaluator.metric import MetricSpec
from evaluator.planning import Prospect, Step
from evaluator.question import PAIRED
from tests.statistics import cases, methods, streams
from tests.statistics.simulate import Base


def prospect(
    baseline: float = 0.9, detect: float = 0.02, alpha: float = 0.05, design: float = 1.0
) -> Prospect:
    question = correct_question(MetricSpec("accuracy", "correct", Role.OBJECTIVE, detect=detect))
    differ = planning.discordance_of(baseline, detect, 0.7)
    return Prospect(question, baseline, differ, alpha, design)


def one(propensity: float, per_day: float = 1000.0) -> list[Step]:
    return [Step(propensity, 0.0, per_day)]


@pytest.mark.parametrize("propensity", [0.5, 0.05, PAIRED])
def test_plan_is_what_the_status_expects_before_the_first_observation(propensity: float) -> None:
    """One formula: a shipped check with the same baseline, asked with nothing seen."""
    given = prospect()
    check = BinaryCheck.fresh(given.question, is_clustered=False)
    check.state.baselines[0] = planning.Baseline(0.9, given.discordance, 0.02, 0.02)
    if propensity == PAIRED:
        check.observe_pair(0, True, True, 1)
    else:
        check.observe_split(0, propensity, True, True, 1)
    expected = n_expected(0, 0.0, 0.05, check.growth())
    found = planning.project(given, one(propensity)).observations[1]
    assert math.ceil(found) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("a", "b", "phi"),
    [(0.9, 0.92, None), (0.1, 0.12, None), (0.92, 0.93, 0.7), (0.9, 0.92, 0.7), (0.9, 0.92, 0.0)],
    ids=lambda x: str(x),
)
def test_measured_sample_sizes_are_those_projected(a: float, b: float, phi: float | None) -> None:
    """The median and the 80 % quantile of 1,000 simulated runs, within 15 %."""
    question = prospect(a, b - a).question
    differ = planning.discordance_of(a, b - a, phi or 0.0)
    known = Base(a, differ, b - a, b - a)
    horizon = 60_000 if phi is None else 20_000
    stream = (
        streams.split(cases.flat(a, b), (horizon, 0.5))
        if phi is None
        else streams.pairs(a, b, phi, horizon)
    )
    ways = {"ours": methods.Bets(question, known=known)}
    stops = streams.first_stops(stream, ways, 1000, seed=4)["ours"]
    assert (stops > 0).all()
    given = Prospect(question, a, differ, 0.05)
    found = planning.project(given, one(0.5 if phi is None else PAIRED)).observations
    assert np.quantile(stops, 0.5) == pytest.approx(found[0], rel=0.15)
    assert np.quantile(stops, 0.8) == pytest.approx(found[1], rel=0.15)


def test_shadow_needs_six_times_fewer_observations_when_answers_mostly_agree() -> None:
    given = prospect(0.92, 0.01)
    shadow, split = (planning.project(given, one(p)).observations[1] for p in (PAIRED, 0.5))
    assert 6.0 < split / shadow < 7.0


def test_only_pairs_that_differ_need_a_label() -> None:
    given = prospect()
    found = planning.project(given, one(PAIRED))
    assert found.labels_differing is not None
    assert found.labels_differing[1] == pytest.approx(found.labels_all[1] * given.discordance)
    assert planning.project(given, one(0.5)).labels_differing is None


def test_a_ladder_takes_its_steps_in_full_and_counts_their_evidence() -> None:
    given = prospect()
    ladder = [Step(0.05, 2_000.0, 1000.0), Step(0.5, 0.0, 1000.0)]
    alone, found = planning.project(given, one(0.5)), planning.project(given, ladder)
    worth = 2_000 * planning.growth(given, 0.05) / planning.growth(given, 0.5)
    assert found.observations[1] == pytest.approx(alone.observations[1] + 2_000 - worth)


def test_evidence_that_is_there_early_waits_for_the_last_step() -> None:
    ladder = [Step(PAIRED, 50_000.0, 1000.0), Step(0.5, 100.0, 1000.0)]
    found = planning.project(prospect(), ladder, wait_days=2.0)
    assert found.observations == (50_100.0,) * 3
    assert found.days == (52.1,) * 3


def test_alike_requests_of_one_unit_take_as_many_times_longer() -> None:
    design = planning.design_effect(20, 0.05)
    assert design == pytest.approx(1.95)
    plain = planning.project(prospect(), one(0.5)).observations[1]
    sticky = planning.project(prospect(design=design), one(0.5)).observations[1]
    assert sticky / plain == pytest.approx(design)


def test_more_traffic_takes_less_time_but_not_fewer_observations() -> None:
    slow = planning.project(prospect(), one(0.5, 1_000.0))
    fast = planning.project(prospect(), one(0.5, 10_000.0))
    assert fast.observations == slow.observations
    assert slow.days[1] == pytest.approx(10 * fast.days[1])


def test_a_smaller_alpha_and_a_smaller_effect_take_longer() -> None:
    usual = planning.project(prospect(), one(0.5)).observations[1]
    assert planning.project(prospect(alpha=0.01), one(0.5)).observations[1] > 1.3 * usual
    assert planning.project(prospect(detect=0.01), one(0.5)).observations[1] > 3.5 * usual


def test_a_useless_challenger_is_given_up_sooner_than_a_good_one_is_found() -> None:
    given = prospect()
    found = planning.project(given, one(0.5)).observations[1]
    assert planning.give_up(given, 0.5, beta=0.2) < found


def test_correlation_and_rates_that_exclude_each_other_are_refused() -> None:
    assert planning.discordance_of(0.92, 0.01, 0.7) == pytest.approx(0.0419, abs=1e-4)
    for bad in ((0.5, 0.4, 1.0), (0.99, 0.01, 0.5), (0.9, 0.02, 1.5)):
        with pytest.raises(ValueError):
            planning.discordance_of(*bad)
    with pytest.raises(ValueError):
        planning.design_effect(0.5, 0.1)
