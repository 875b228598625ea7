from typing import Any

import pytest

from controller.gates import cyclonedx
from controller.gates.cyclonedx import Vulnerability
from controller.gates.package import Package
from controller.gates.severity import Severity

DIGEST = "ab" * 32


def bom(**parts: Any) -> dict[str, Any]:
    return {"bomFormat": "CycloneDX", "specVersion": "1.6"} | parts


def library(name: str, version: str, **parts: Any) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": version} | parts


def test_components_are_read_those_inside_others_too() -> None:
    inner = library("inner", "2", purl="pkg:pypi/Inner@2.0")
    outer = library("outer", "1", purl="pkg:npm/outer@1", components=[inner])
    found = cyclonedx.packages(bom(components=[outer, {"type": "file", "name": "model.pkl"}]))
    assert found.packages == (Package("outer", "1", "npm"), Package("Inner", "2.0", "PyPI"))
    assert found.faults == ()


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        ([{"license": {"id": "MIT"}}], ("MIT",)),
        ([{"license": {"name": "BSD 3-Clause"}}], ("BSD 3-Clause",)),
        ([{"expression": "MIT OR Apache-2.0"}], ("MIT OR Apache-2.0",)),
        ([{"license": {"id": "MIT"}}, {"license": {"id": "ISC"}}], ("MIT", "ISC")),
        ([], ()),
        ("MIT", ()),
    ],
)
def test_licences_are_read_in_each_of_their_forms(
    licences: object, expected: tuple[str, ...]
) -> None:
    [found] = cyclonedx.packages(bom(components=[library("a", "1", licenses=licences)])).packages
    assert found.licences == expected


def test_a_component_without_name_or_version_is_a_fault() -> None:
    found = cyclonedx.packages(bom(components=[{"type": "library"}, library("a", "")]))
    assert found.packages == () and len(found.faults) == 2


def test_open_vulnerabilities_are_read_with_their_worst_rating() -> None:
    entries = [
        {
            "id": "CVE-1",
            "ratings": [{"severity": "low"}, {"score": 9.1}],
            "affects": [{"ref": "pkg:pypi/a@1"}],
        },
        {"id": "CVE-2", "ratings": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]},
        {"id": "CVE-3"},
        {"id": "CVE-4", "analysis": {"state": "not_affected"}},
        {"id": "CVE-5", "analysis": {"state": "in_triage"}, "ratings": [{"severity": "unknown"}]},
    ]
    assert cyclonedx.vulnerabilities(bom(vulnerabilities=entries)) == [
        Vulnerability("CVE-1", Severity.CRITICAL, ("pkg:pypi/a@1",)),
        Vulnerability("CVE-2", Severity.CRITICAL, ()),
        Vulnerability("CVE-3", None, ()),
        Vulnerability("CVE-5", None, ()),
    ]


def test_it_says_what_it_is_about_and_when() -> None:
    hashes = [{"alg": "SHA-256", "content": DIGEST.upper()}, {"alg": "MD5", "content": "x"}]
    about = {"timestamp": "2026-11-01T00:00:00Z", "component": {"name": "m", "hashes": hashes}}
    wheel = library("a", "1", hashes=[{"alg": "SHA-256", "content": "cd" * 32}])
    document = bom(metadata=about, components=[wheel])
    assert cyclonedx.digests(document) == {DIGEST}  # a dependency's own hash is not the model's
    assert cyclonedx.written_at(document) == "2026-11-01T00:00:00Z"


def nested(depth: int) -> dict[str, Any]:
    whole = library("a", "1")
    for _ in range(depth):
        whole = library("a", "1", components=[whole])
    return whole


@pytest.mark.parametrize("components", [{"a": 1}, [nested(40)]])
def test_what_is_not_of_the_form_is_an_error(components: object) -> None:
    with pytest.raises(ValueError):
        cyclonedx.packages(bom(components=components))


def test_other_documents_are_not_cyclonedx() -> None:
    assert not cyclonedx.is_cyclonedx({"spdxVersion": "SPDX-2.3"})
    assert not cyclonedx.is_cyclonedx([])
