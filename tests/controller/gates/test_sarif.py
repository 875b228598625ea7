from typing import Any

import pytest

from controller.gates import sarif
from controller.gates.severity import Severity

DIGEST = "ab" * 32


def log(*results: dict[str, Any], **parts: Any) -> dict[str, Any]:
    rules = [
        {"id": "B301", "defaultConfiguration": {"level": "error"}},
        {"id": "CVE-1", "properties": {"security-severity": "9.8"}},
        {"id": "quiet", "defaultConfiguration": {"level": "none"}},
    ]
    run = {
        "tool": {"driver": {"name": "scanner", "rules": rules}},
        "results": list(results),
    } | parts
    return {"version": "2.1.0", "runs": [run]}


def only(result: dict[str, Any]) -> sarif.Result:
    [found] = sarif.parse(log(result)).results
    return found


@pytest.mark.parametrize(
    ("result", "severity"),
    [
        ({"ruleId": "B301"}, Severity.HIGH),
        ({"ruleIndex": 0}, Severity.HIGH),
        ({"ruleId": "B301", "level": "note"}, Severity.LOW),
        ({"ruleId": "CVE-1", "level": "note"}, Severity.CRITICAL),
        ({"ruleId": "quiet"}, Severity.NONE),
        ({"ruleId": "unheard of"}, Severity.MEDIUM),
        ({"ruleIndex": 99}, Severity.MEDIUM),
        ({"level": "nonsense"}, Severity.MEDIUM),
        ({"properties": {"security-severity": "5.0"}}, Severity.MEDIUM),
        ({"properties": {"security-severity": "very"}, "level": "error"}, Severity.HIGH),
    ],
)
def test_a_results_severity_is_its_score_its_level_or_its_rules(
    result: dict[str, Any], severity: Severity
) -> None:
    assert only(result).severity is severity


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, True),
        ({"kind": "pass"}, False),
        ({"kind": "informational"}, False),
        ({"baselineState": "absent"}, False),
        ({"baselineState": "unchanged"}, True),
        ({"suppressions": []}, True),
        ({"suppressions": [{"kind": "inSource"}]}, False),
        ({"suppressions": [{"kind": "external", "status": "underReview"}]}, True),
        ({"suppressions": [{"status": "accepted"}, {"status": "rejected"}]}, True),
    ],
)
def test_what_passed_is_gone_or_was_accepted_is_no_finding(
    more: dict[str, Any], counts: bool
) -> None:
    assert bool(sarif.parse(log({"ruleId": "B301"} | more)).results) is counts


def test_a_result_says_where_it_is() -> None:
    place = {"physicalLocation": {"artifactLocation": {"uri": "model.pkl"}}}
    found = only({"ruleId": "B301", "locations": [place]})
    assert (found.rule, found.tool, found.where) == ("B301", "scanner", "model.pkl")


def test_rules_of_extensions_are_known() -> None:
    extension = {"name": "more", "rules": [{"id": "X", "defaultConfiguration": {"level": "error"}}]}
    tool = {"driver": {"name": "scanner"}, "extensions": [extension]}
    [found] = sarif.parse(log({"ruleId": "X"}, tool=tool)).results
    assert found.severity is Severity.HIGH


@pytest.mark.parametrize(
    "parts",
    [
        {"results": None},
        {"invocations": [{"executionSuccessful": False}]},
        {
            "invocations": [
                {
                    "executionSuccessful": True,
                    "toolExecutionNotifications": [
                        {"level": "error", "message": {"text": "no memory"}}
                    ],
                }
            ]
        },
    ],
)
def test_a_run_that_failed_or_did_not_look_is_a_fault(parts: dict[str, Any]) -> None:
    assert len(sarif.parse(log(**parts)).faults) == 1


def test_a_log_without_runs_is_a_fault() -> None:
    assert sarif.parse({"version": "2.1.0", "runs": []}).faults


def test_it_says_what_it_is_about_and_when() -> None:
    artifacts = [{"hashes": {"sha-256": DIGEST.upper(), "md5": "x"}}, {"location": {}}]
    invocations = [
        {"executionSuccessful": True, "endTimeUtc": "2026-01-02T00:00:00Z"},
        {"executionSuccessful": True, "endTimeUtc": "2026-01-01T00:00:00Z"},
    ]
    found = sarif.parse(log(artifacts=artifacts, invocations=invocations))
    assert found.digests == {DIGEST} and found.written_at == "2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    "document",
    [
        {"version": "2.0.0", "runs": []},
        {"runs": []},
        {"version": "2.1.0", "runs": [3]},
        {"version": "2.1.0", "runs": [{"results": []}]},
    ],
)
def test_what_is_not_of_the_form_is_an_error(document: dict[str, Any]) -> None:
    assert sarif.is_sarif(document)
    with pytest.raises(ValueError):
        sarif.parse(document)
