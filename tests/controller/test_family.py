import math
from dataclasses import replace

import pytest

from controller.family import alpha_objective, least_claim
from controller.store import Finished
from evaluator.evidence import CheckState, Evidence, Reading, Role
from router.table import Variant
from tests.controller.builders import route_intent

ROUTE = replace(
    route_intent(),
    alpha=0.05,
    challengers=tuple(Variant(name=n, host="127.0.0.1", port=9002) for n in ("b", "c", "d")),
)


def reading(name: str, role: Role, log_e: float) -> Reading:
    return Reading(name, "correct", role, CheckState.PASSED, "", log_e=log_e)


def test_a_challenger_alone_has_the_files_alpha() -> None:
    alone = replace(ROUTE, challengers=ROUTE.challengers[:1])
    assert alpha_objective(alone, "b", ()) is None


def test_three_challengers_share_alpha() -> None:
    assert alpha_objective(ROUTE, "b", ()) == pytest.approx(0.05 / 3)


def test_one_that_was_taken_back_stays_in_the_family_and_one_that_was_proven_leaves_it() -> None:
    back = Finished("b", "rolled_back", 1.0, "harm")
    proven = Finished("b", "promoted", 1.0, "good", claimed_log_e=math.log(90.0))
    assert alpha_objective(ROUTE, "c", (back,)) == pytest.approx(0.05 / 3)
    assert alpha_objective(ROUTE, "c", (proven,)) == pytest.approx(0.05 / 2)


def test_only_the_last_journey_of_a_challenger_counts() -> None:
    proven = Finished("b", "promoted", 1.0, "good", claimed_log_e=math.log(90.0))
    again = Finished("b", "rolled_back", 2.0, "harm")
    assert alpha_objective(ROUTE, "c", (proven, again)) == pytest.approx(0.05 / 3)


def test_the_least_sure_objective_is_the_claim() -> None:
    evidence = Evidence(
        "e",
        1.0,
        (
            reading("accuracy", Role.OBJECTIVE, 5.0),
            reading("reward", Role.OBJECTIVE, 4.0),
            reading("errors", Role.GUARDRAIL, 1.0),
        ),
    )
    assert least_claim(evidence) == 4.0
    assert least_claim(None) is None
