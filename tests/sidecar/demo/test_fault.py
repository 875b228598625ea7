import pytest

from sidecar.demo.fault import Behaviour, FaultPlan, read_plan


def behaviours(plan: FaultPlan, requests: int) -> list[str]:
    found = []
    for _ in range(requests):
        found.append(plan.behaviour.value)
        plan = plan.after_one()
    return found


def test_plan_goes_from_errors_to_hangs_to_the_end() -> None:
    plan = read_plan({"errors": 3, "hang": 2, "then": "exit"})
    assert behaviours(plan, 6) == ["error"] * 3 + ["hang"] * 2 + ["exit"]


def test_plan_without_an_end_recovers() -> None:
    assert behaviours(read_plan({"errors": 1}), 3) == ["error", "answer", "answer"]


def test_server_without_a_plan_answers() -> None:
    assert FaultPlan().behaviour is Behaviour.ANSWER


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "keys"),
        ({"error": 3}, "error"),
        ({"errors": -1}, "-1"),
        ({"errors": True}, "True"),
        ({"hang": 1.5}, "1.5"),
        ({"then": "explode"}, "explode"),
    ],
)
def test_unreadable_plan_is_refused_with_the_value(raw: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_plan(raw)
