from controller.policy import OnTimeout, StageKind, StageSpec
from tests.controller.builders import route_intent


def test_a_route_with_challengers_has_an_experiment():
    assert route_intent().has_experiment
    assert not route_intent(challengers=()).has_experiment


def test_stages_are_declared_in_the_order_of_a_challengers_way():
    assert [kind.value for kind in StageKind] == [
        *("functional", "performance", "security", "shadow", "canary", "production")
    ]


def test_a_stage_that_lasts_too_long_goes_back_unless_told_otherwise():
    assert StageSpec(kind=StageKind.CANARY).on_timeout is OnTimeout.ROLLBACK
