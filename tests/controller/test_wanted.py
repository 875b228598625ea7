from dataclasses import replace

from controller.rollout import Phase, Rollout
from controller.trial import experiment_plan
from controller.wanted import COHORT, wanted_json
from evaluator.draw import draw
from evaluator.join import Answer, Judgable, Mode
from evaluator.waiting import Due
from tests.controller.builders import NOW_S, route_intent

AT_NS = round(NOW_S * 1e9)
ROLLOUT = Rollout(challenger="digits-2", champion="digits-1", experiment="x", phase=Phase.SHADOW)
PLAN = replace(experiment_plan(route_intent(), ROLLOUT), labels_wanted="disagreements")


def due(number: int, challenger: str = "8", mode: Mode = Mode.PAIR) -> Due:
    judgable = Judgable(
        f"r{number}", AT_NS + number, mode, 0.5, number, 0, Answer("7"), Answer(challenger)
    )
    return Due(number + 1, judgable, None)


def test_disagreements_come_in_the_order_of_their_draws():
    waiting = [due(number, "8" if number % 3 else "7") for number in range(60)]
    found = wanted_json(PLAN, waiting, 10)
    ids = [item["request_id"] for item in found["items"]]
    differing = [f"r{number}" for number in range(60) if number % 3]
    assert ids == sorted(differing, key=lambda one: draw("x", one))[:10]
    assert found["cohort"]["wanted"] == 40 and found["cohort"]["unlabelled"] == 60
    assert (found["rate"], found["next"]) == (1.0, None)


def test_a_longer_list_begins_with_the_shorter_one():
    """Whoever labels the first few, and later more, has a random sample at any time."""
    waiting = [due(number) for number in range(50)]
    short, long = (wanted_json(PLAN, waiting, n)["items"] for n in (7, 30))
    assert long[:7] == short


def test_of_a_sample_only_its_draws_are_listed():
    sampled = replace(PLAN, label_rate=0.1)
    found = wanted_json(sampled, [due(number) for number in range(400)], 400)
    assert found["rate"] == 0.1
    assert found["items"] and all(item["draw"] < 0.1 for item in found["items"])


def test_who_labels_is_not_told_what_the_variants_said():
    (item,) = wanted_json(PLAN, [due(1)], 5)["items"]
    assert set(item) == {"request_id", "at", "mode", "draw"}


def test_what_was_not_drawn_by_lot_decides_nothing():
    assert wanted_json(PLAN, [due(1, mode=Mode.HISTORY)], 5)["items"] == []


def test_a_full_cohort_says_where_the_next_one_begins():
    waiting = [due(number) for number in range(COHORT)]
    assert wanted_json(PLAN, waiting, 1)["next"] == COHORT


def test_nothing_that_waits_is_an_empty_list():
    found = wanted_json(PLAN, [], 5)
    assert (found["items"], found["cohort"]["from"]) == ([], None)
