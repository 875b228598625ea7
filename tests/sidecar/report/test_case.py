import pytest

from sidecar.report.case import NoCase, build, seconds
from tests.sidecar.report.cases import READING, RECORDS, ROUTE, STATUS, VERIFIED, record


def test_a_promotion_has_its_facts() -> None:
    case = build("digits", STATUS, RECORDS, VERIFIED)
    facts = dict(case.facts)
    assert (case.challenger, case.outcome) == ("digits-2", "promoted, and watched")
    assert facts["Artifact of the challenger"] == "sha256:ef"
    assert facts["Routing file in force (SHA-256)"] == "ab" * 32
    assert facts["Routing file at the last record"] == "cd" * 32
    assert (facts["Audit chain"], facts["Audit head"]) == ("whole, 4 records", "h4")
    assert [step.move for step in case.steps] == [
        *("queued to functional", "functional to shadow", "shadow to canary", "canary to watch"),
    ]
    assert [share.share for share in case.shares] == [0.0, 0.0, 0.05, 0.99]


def test_only_checks_with_an_effect_have_an_interval_and_only_statistics_have_odds() -> None:
    case = build("digits", STATUS, RECORDS, VERIFIED)
    assert [row.name for row in case.intervals] == ["accuracy"]
    assert [(row.name, row.odds, row.needed) for row in case.odds] == [("accuracy", 31.0, 20.0)]


def test_a_challenger_that_is_gone_is_told_from_its_records() -> None:
    gone = [record(5, "rollback", "watch", "rolled_back", 0.0, because="harm")]
    status = STATUS | {"routes": [ROUTE | {"challenger": None, "checks": []}]}
    case = build("digits", status, RECORDS + gone, VERIFIED)
    assert (case.outcome, case.sentences) == ("rolled back", ())
    assert case.checks[0] == READING and case.checks_at == RECORDS[-1]["at"]


def test_an_earlier_challenger_can_be_asked_for() -> None:
    earlier = [record(0, "start", "queued", "functional", 0.0, challenger="digits-0")]
    case = build("digits", STATUS, earlier + RECORDS, VERIFIED, "digits-0")
    assert (case.challenger, len(case.steps), case.checks) == ("digits-0", 1, ())
    with pytest.raises(NoCase, match="it had: digits-0, digits-2"):
        build("digits", STATUS, earlier + RECORDS, VERIFIED, "digits-9")


def test_nothing_to_report_says_why() -> None:
    with pytest.raises(NoCase, match="the routes are: digits"):
        build("dogs", STATUS, RECORDS, VERIFIED)
    bare = STATUS | {"routes": [ROUTE | {"challenger": None}]}
    with pytest.raises(NoCase, match="never had a challenger"):
        build("digits", bare, [], VERIFIED)


def test_a_broken_chain_is_on_top() -> None:
    broken = {"verified": False, "records": 2, "head": "h2", "because": "record 3 is missing"}
    facts = dict(build("digits", STATUS, RECORDS, broken).facts)
    assert facts["Audit chain"] == "BROKEN: record 3 is missing, 2 records"


def test_moments_are_read_with_and_without_a_zone() -> None:
    assert seconds("1970-01-01T00:01:00Z") == seconds("1970-01-01T00:01:00") == 60.0
    assert seconds("soon") == 0.0
