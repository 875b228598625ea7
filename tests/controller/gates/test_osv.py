"""Records as osv.dev publishes them; expected answers from the schema's own evaluation rules."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.gates import osv
from controller.gates.osv import Match, Record, match, merged
from controller.gates.package import Package
from controller.gates.severity import Severity


def record(**parts: Any) -> Record:
    whole = {"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z"} | parts
    return msgspec.convert(whole, Record)


def affected(*events: dict[str, str], **parts: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": "Some_Package"}
    return {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": list(events)}]} | parts


def has(version: str, *events: dict[str, str], **parts: Any) -> bool:
    found = match(record(affected=[affected(*events, **parts)]), Package("some.package", version))
    return found is not None


WORST = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
INTRODUCED = {"introduced": "0"}


@pytest.mark.parametrize(
    ("version", "is_in"),
    [
        ("1.0", True),
        ("0.0.dev0", True),
        ("1.2.3rc1", True),
        ("1.2.3", False),
        ("1.2.3.post1", False),
        ("1!0.1", False),
        ("1.2.2+cu118", True),
        ("1.2.3+cu118", False),
    ],
)
def test_a_version_before_the_fix_is_vulnerable(version: str, is_in: bool) -> None:
    assert has(version, INTRODUCED, {"fixed": "1.2.3"}) is is_in


@pytest.mark.parametrize(
    ("version", "is_in"), [("1.1", False), ("1.2", True), ("1.2+cpu", True), ("1.3", False)]
)
def test_the_last_affected_version_is_still_vulnerable(version: str, is_in: bool) -> None:
    assert has(version, {"introduced": "1.2"}, {"last_affected": "1.2"}) is is_in


@pytest.mark.parametrize(
    ("version", "is_in"), [("1.0", True), ("1.5", False), ("2.0", True), ("2.5", False)]
)
def test_several_spans_in_any_order_are_read_by_version(version: str, is_in: bool) -> None:
    events = [{"fixed": "2.2"}, {"introduced": "2.0"}, {"fixed": "1.2"}, {"introduced": "0"}]
    assert has(version, *events) is is_in


def test_listed_versions_are_vulnerable_in_any_spelling() -> None:
    assert has("1.0", ranges=None, versions=["1.0.0"])
    assert has("2013b", ranges=None, versions=["2013b"])
    assert not has("1.1", ranges=None, versions=["1.0.0", "not-a-version"])


@pytest.mark.parametrize(
    ("version", "event"), [("not a version", {"fixed": "2"}), ("1.0", {"fixed": "two"})]
)
def test_a_version_that_nobody_can_compare_is_an_error(version: str, event: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="PEP 440"):
        has(version, INTRODUCED, event)


def test_commits_are_not_versions() -> None:
    git = {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abcdef"}]}
    assert not has("1.0", ranges=[git])


def test_other_packages_other_ecosystems_and_withdrawn_records_do_not_match() -> None:
    ours = record(affected=[affected(INTRODUCED)])
    assert match(ours, Package("other", "1")) is None
    assert match(ours, Package("some-package", "1", "npm")) is None
    withdrawn = record(affected=[affected(INTRODUCED)], withdrawn="2026-01-01T00:00:00Z")
    assert match(withdrawn, Package("some-package", "1")) is None


@pytest.mark.parametrize(
    ("parts", "severity"),
    [
        ({}, None),
        ({"database_specific": {"severity": "MODERATE"}}, Severity.MEDIUM),
        ({"severity": [{"type": "CVSS_V3", "score": WORST}]}, Severity.CRITICAL),
        ({"id": "MAL-2026-1"}, Severity.CRITICAL),
        ({"database_specific": "words"}, None),
    ],
)  # fmt: skip
def test_severity_is_read_wherever_a_record_has_it(
    parts: dict[str, Any], severity: Severity | None
) -> None:
    whole = record(affected=[affected(INTRODUCED, {"fixed": "3.1"})], **parts)
    found = match(whole, Package("some-package", "1"))
    assert found is not None
    assert (found.severity, found.fixed) == (severity, ("3.1",))


def found(ids: set[str], severity: Severity | None, package: str = "a") -> Match:
    return Match(Package(package, "1"), frozenset(ids), severity, ())


def test_one_vulnerability_told_under_two_names_is_one() -> None:
    pysec = found({"PYSEC-1", "CVE-1"}, None)
    ghsa = found({"GHSA-1", "CVE-1"}, Severity.HIGH)
    assert merged([pysec, ghsa]) == [found({"PYSEC-1", "GHSA-1", "CVE-1"}, Severity.HIGH)]


def test_a_record_that_ties_two_others_makes_them_one() -> None:
    one, two = found({"A"}, None), found({"B"}, None)
    assert len(merged([one, two, found({"A", "B"}, None)])) == 1
    assert len(merged([one, two])) == 2
    assert len(merged([one, found({"A"}, None, package="b")])) == 2


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(0, 9),
)
def test_spans_are_evaluated_as_a_plain_look_at_each_would(
    spans: list[tuple[int, int]], version: int
) -> None:
    """Spans that do not touch, in the form in which databases write them."""
    ends = sorted({end for span in spans for end in span})
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    events = [{k: str(n)} for a, b in pairs for k, n in (("introduced", a), ("fixed", b))]
    expected = any(a <= version < b for a, b in pairs)
    assert has(str(version), *reversed(events)) is expected


def test_names_are_those_of_pypi() -> None:
    other = {"package": {"ecosystem": "npm", "name": "left-pad"}}
    assert osv.names(record(affected=[affected(), other])) == {"some-package"}
