import json

import pytest

from controller.gates.finding import Finding, clipped, from_json, listed, report_of, to_json
from evaluator.evidence import CheckState

PASSED = Finding("scan", CheckState.PASSED, "clean", {"files": 3})
TRIPPED = Finding("licences", CheckState.TRIPPED, "GPL")
UNKNOWN = Finding("dependencies", CheckState.UNKNOWN, "too old")
UNDECIDED = Finding("fairness", CheckState.UNDECIDED, "few rows")


@pytest.mark.parametrize("finding", [PASSED, TRIPPED, UNKNOWN, UNDECIDED])
def test_a_finding_crosses_a_process(finding: Finding) -> None:
    assert from_json(json.loads(json.dumps(to_json(finding)))) == finding


@pytest.mark.parametrize(
    "nonsense", [None, [], {}, {"name": "scan"}, to_json(PASSED) | {"state": "splendid"}]
)
def test_nonsense_is_no_finding(nonsense: object) -> None:
    with pytest.raises(ValueError):
        from_json(nonsense)


def test_everything_in_order_passes() -> None:
    report = report_of("fraud-7", [PASSED])
    assert report.passed and report.challenger == "fraud-7"
    assert report.checks[0].numbers == {"verdict": "passed", "files": 3}


def test_one_part_that_shows_harm_refuses_whatever_the_others_say() -> None:
    report = report_of("fraud-7", [PASSED, UNKNOWN, TRIPPED])
    assert not report.passed and not report.is_transient
    assert report.because == "licences: GPL"


@pytest.mark.parametrize("undecided", [UNKNOWN, UNDECIDED])
def test_a_part_that_is_not_decided_holds(undecided: Finding) -> None:
    report = report_of("fraud-7", [PASSED, undecided])
    assert not report.passed and report.is_transient


def test_no_part_at_all_is_no_success() -> None:
    assert not report_of("fraud-7", []).passed


def test_somebody_elses_text_is_one_short_line() -> None:
    assert clipped("a\nb\x1b[31m\u202e", 80) == "a?b?[31m?"
    assert len(clipped("x" * 10_000)) == 300


def test_a_list_names_the_first_and_counts_the_rest() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
