from dataclasses import replace

from sidecar.demo.result import decision_lines, result_lines
from sidecar.demo.scenario import Outcome, Scenario, Summary

DECISION = {
    "action": "promote",
    "challenger": "digits-2",
    "because": "all 3 checks passed",
    "evidence": {
        "readings": [
            {
                "check": "accuracy",
                "state": "passed",
                "effect": 0.0512,
                "low": 0.021,
                "high": 0.083,
                "odds": 27.0,
                "n": 3210,
            },
            {"check": "srm", "state": "passed"},
        ]
    },
}
SUMMARY = Summary(
    scenario=Scenario.BETTER,
    outcome=Outcome.PROMOTED,
    champion_before="digits-1",
    champion_after="digits-2",
    requests=9000,
    failed_requests=0,
    labels={"accepted": 8500, "duplicate": 400, "late": 0},
    seconds_to_decision=50.04,
    decision=DECISION,
    audit_verified=True,
)


def text(summary: Summary, complaints: list[str]) -> str:
    return "\n".join(result_lines(summary, complaints))


def test_decision_is_shown_with_its_numbers() -> None:
    first, accuracy, srm = decision_lines(DECISION)
    assert first == "decision     promote of digits-2: all 3 checks passed"
    assert accuracy == (
        "  accuracy   passed, effect +0.0512, between +0.0210 and +0.0830, odds 27:1, "
        "3,210 observations"
    )
    assert srm == "  srm        passed"


def test_tripped_check_shows_the_odds_of_harm() -> None:
    reading = {"check": "harm", "state": "tripped", "odds": 1.0, "log_e_harm": 3.4, "n": 9}
    record = {**DECISION, "action": "rollback", "evidence": {"readings": [reading]}}
    assert list(decision_lines(record))[1:] == [
        "  harm       tripped, odds of harm 30:1, 9 observations"
    ]


def test_result_says_what_happened() -> None:
    said = text(SUMMARY, [])
    for words in (
        "promoted",
        "digits-1 before, digits-2 after",
        "9,000, of which 0 failed",
        "8,500 accepted, 400 duplicate",
        "50.0 s",
        "audit log    verified",
    ):
        assert words in said
    assert "late" not in said and "NOT AS IT" not in said


def test_complaints_and_a_broken_audit_log_are_loud() -> None:
    said = text(replace(SUMMARY, audit_verified=False), ["too bad"])
    assert "DOES NOT VERIFY" in said
    assert "NOT AS IT SHOULD BE: too bad" in said


def test_crash_says_how_long_the_challenger_stayed() -> None:
    crash = replace(
        SUMMARY,
        scenario=Scenario.CRASH,
        outcome=Outcome.ROLLED_BACK,
        seconds_to_rollback=0.314,
        failures={"error": 3, "exit": 1},
    )
    assert "out within   0.31 s of its first failure (3 x error, 1 x exit)" in text(crash, [])


def test_run_without_a_decision_can_be_shown() -> None:
    held = replace(
        SUMMARY, outcome=Outcome.HELD, decision=None, seconds_to_decision=None, labels={}
    )
    said = text(held, [])
    assert "held" in said and "labels       none" in said
