from dataclasses import replace
from typing import Any

import pytest

from sidecar.demo.scenario import (
    Outcome,
    Scenario,
    Summary,
    complaints,
    decision_in,
    is_decided,
    may_crash,
    outcome_of,
    phase_of,
)

GOOD = Summary(
    scenario=Scenario.BETTER,
    outcome=Outcome.PROMOTED,
    champion_before="digits-1",
    champion_after="digits-2",
    requests=9000,
    failed_requests=0,
    labels={"accepted": 8500},
    seconds_to_decision=50.0,
    decision={"action": "promote"},
    audit_verified=True,
)
WORSE = replace(
    GOOD, scenario=Scenario.WORSE, outcome=Outcome.ROLLED_BACK, champion_after="digits-1"
)
CRASH = replace(
    WORSE,
    scenario=Scenario.CRASH,
    seconds_to_rollback=0.4,
    failures={"error": 3, "hang": 2, "exit": 1},
)
KEYS = {
    "scenario",
    "outcome",
    "champion_before",
    "champion_after",
    "requests",
    "failed_requests",
    "labels",
    "seconds_to_decision",
    "decision",
    "audit_verified",
}


@pytest.mark.parametrize("summary", [GOOD, WORSE, CRASH], ids=lambda s: s.scenario.value)
def test_scenario_that_ended_as_it_should_has_no_complaints(summary: Summary) -> None:
    assert complaints(summary) == []


@pytest.mark.parametrize("good", [GOOD, WORSE, CRASH], ids=lambda s: s.scenario.value)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failed_requests": 1}, "1 of 9000 requests failed"),
        ({"failed_requests": 1, "last_failure": "status 502"}, "status 502"),
        ({"requests": 0}, "no request"),
        ({"decision": None}, "no decision"),
        ({"audit_verified": False}, "does not verify"),
        ({"outcome": Outcome.HELD}, "held"),
    ],
)
def test_each_thing_that_is_wrong_is_said(
    good: Summary, change: dict[str, Any], words: str
) -> None:
    assert any(words in complaint for complaint in complaints(replace(good, **change)))


def test_worse_challenger_in_production_is_a_complaint() -> None:
    promoted = replace(WORSE, outcome=Outcome.PROMOTED, champion_after="digits-2")
    assert complaints(promoted) == ["the outcome is promoted, it should be rolled_back"]


def test_champion_that_does_not_fit_the_outcome_is_a_complaint() -> None:
    assert complaints(replace(GOOD, champion_after="digits-1"))
    assert complaints(replace(WORSE, champion_after="digits-2"))


@pytest.mark.parametrize("seconds", [None, 1.01, 30.0])
def test_slow_or_missing_rollback_after_a_crash_is_a_complaint(seconds: float | None) -> None:
    assert len(complaints(replace(CRASH, seconds_to_rollback=seconds))) == 1


def test_challenger_that_did_not_fail_in_all_ways_is_a_complaint() -> None:
    crash = replace(CRASH, failures={"error": 3, "hang": 0, "exit": 1})
    assert complaints(crash) == ["the challenger was to fail by hang, and did not"]


def test_summary_has_exactly_the_declared_keys() -> None:
    assert GOOD.as_json().keys() == KEYS
    assert WORSE.as_json().keys() == KEYS
    assert CRASH.as_json().keys() == KEYS | {"seconds_to_rollback"}


def test_past_challengers_do_not_hide_the_present_one() -> None:
    history = [{"challenger": "digits-0", "phase": "rolled_back", "at": "", "because": ""}]
    route = {"phase": "shadow", "history": history}
    assert phase_of(route, "digits-2") == "shadow"


def test_end_of_a_rollout_is_known_after_the_route_has_gone_on() -> None:
    history = [{"challenger": "digits-2", "phase": "promoted", "at": "", "because": ""}]
    assert phase_of({"phase": None, "history": history}, "digits-2") == "promoted"


def test_route_without_a_rollout_waits() -> None:
    assert phase_of({"phase": None}, "digits-2") == "waiting"


@pytest.mark.parametrize(
    ("phase", "outcome", "decided"),
    [
        ("waiting", None, False),
        ("functional", None, False),
        ("shadow", None, False),
        ("canary", None, False),
        ("watch", None, True),
        ("promoted", Outcome.PROMOTED, True),
        ("rolled_back", Outcome.ROLLED_BACK, True),
    ],
)
def test_promotion_is_decided_before_its_watch_ends(
    phase: str, outcome: Outcome | None, decided: bool
) -> None:
    assert outcome_of(phase) is outcome
    assert is_decided(phase) is decided


@pytest.mark.parametrize(
    ("phase", "share", "expected"),
    [
        ("shadow", 0.0, False),
        ("canary", 0.05, False),
        ("canary", 0.25, True),
        ("canary", 0.5, True),
        ("watch", 0.9, False),
    ],
)
def test_challenger_crashes_in_canary_with_a_quarter_of_the_units(
    phase: str, share: float, expected: bool
) -> None:
    assert may_crash({"share": share}, phase) is expected


def test_decision_is_the_newest_promotion_or_rollback_of_the_challenger() -> None:
    records = [
        {"action": "advance", "challenger": "digits-2", "sequence": 9},
        {"action": "rollback", "challenger": "digits-3", "sequence": 8},
        {"action": "rollback", "challenger": "digits-2", "sequence": 7},
        {"action": "promote", "challenger": "digits-2", "sequence": 6},
    ]
    found = decision_in(records, "digits-2")
    assert found is not None and found["sequence"] == 7
    assert decision_in(records[:2], "digits-2") is None
