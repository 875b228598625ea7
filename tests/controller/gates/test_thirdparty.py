import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller.gates.finding import Finding
from controller.gates.securityspec import ResultSpec
from controller.gates.thirdparty import check
from evaluator.evidence import CheckState

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
OURS = frozenset({"ab" * 32})
OTHERS = "cd" * 32
YESTERDAY = "2025-12-31T00:00:00Z"


def sarif(*levels: str, at: str | None = YESTERDAY, digest: str | None = None) -> dict[str, Any]:
    invocation = {"executionSuccessful": True} | ({} if at is None else {"endTimeUtc": at})
    run = {
        "tool": {"driver": {"name": "scanner"}},
        "results": [{"ruleId": f"R-{level}", "level": level} for level in levels],
        "invocations": [invocation],
        "artifacts": [] if digest is None else [{"hashes": {"sha-256": digest}}],
    }
    return {"version": "2.1.0", "runs": [run]}


def cyclonedx(*severities: str, at: str = YESTERDAY) -> dict[str, Any]:
    found = [{"id": f"CVE-{s}", "ratings": [{"severity": s}]} for s in severities]
    return {"bomFormat": "CycloneDX", "metadata": {"timestamp": at}, "vulnerabilities": found}


def pip_audit(*vulnerable: str) -> dict[str, Any]:
    names = [{"name": "numpy", "version": "1", "vulns": []}]
    names += [{"name": n, "version": "1", "vulns": [{"id": "PYSEC-1"}]} for n in vulnerable]
    return {"dependencies": names, "fixes": []}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scan.json"


def asked(file: Path, document: object, ours: frozenset[str] = OURS, **keys: Any) -> Finding:
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    os.utime(file, (NOW_S - 3600, NOW_S - 3600))
    return check(ResultSpec(str(file), **keys), ours, NOW_S)


@pytest.mark.parametrize(
    ("document", "keys", "state"),
    [
        (sarif(), {}, CheckState.PASSED),
        (sarif("note", "warning"), {}, CheckState.PASSED),
        (sarif("note", "error"), {}, CheckState.TRIPPED),
        (sarif("warning"), {"fail_on": "warning"}, CheckState.TRIPPED),
        (sarif("error"), {"fail_on": "critical"}, CheckState.PASSED),
        (cyclonedx(), {}, CheckState.PASSED),
        (cyclonedx("medium"), {}, CheckState.PASSED),
        (cyclonedx("critical"), {}, CheckState.TRIPPED),
        (cyclonedx("unknown"), {}, CheckState.UNKNOWN),
        (pip_audit(), {}, CheckState.PASSED),
        (pip_audit("jinja2"), {}, CheckState.UNKNOWN),
        (pip_audit("jinja2"), {"fail_on": "low"}, CheckState.TRIPPED),
    ],
)
def test_each_form_is_held_to_the_declared_limit(
    file: Path, document: object, keys: dict[str, Any], state: CheckState
) -> None:
    found = asked(file, document, **keys)
    assert found.state is state, found
    assert found.name == "result scan.json"


@pytest.mark.parametrize(
    ("document", "because"),
    [
        ("not json", "not JSON"),
        ("{}", "neither SARIF nor CycloneDX"),
        ("[]", "neither SARIF nor CycloneDX"),
        ({"version": "2.0.0", "runs": []}, "not 2.1.0"),
        ({"version": "2.1.0", "runs": []}, "no run"),
        ({"bomFormat": "CycloneDX", "metadata": {"timestamp": YESTERDAY}}, "no list of vulner"),
        ({"dependencies": [{"name": "a", "skip_reason": "not on the index"}]}, "a was not audited"),
        ({"dependencies": [3]}, "without a name"),
    ],
)
def test_broken_and_foreign_files_hold_with_their_reason(
    file: Path, document: object, because: str
) -> None:
    found = asked(file, document)
    assert found.state is CheckState.UNKNOWN and because in found.because


def test_a_missing_file_holds(tmp_path: Path) -> None:
    found = check(ResultSpec(str(tmp_path / "scan.sarif")), OURS, NOW_S)
    assert found.state is CheckState.UNKNOWN and "cannot be read" in found.because


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2025-12-25T00:00:01Z", CheckState.PASSED),
        ("2025-12-23T00:00:00Z", CheckState.UNKNOWN),
        ("2026-01-09T00:00:00Z", CheckState.UNKNOWN),
        ("long ago", CheckState.UNKNOWN),
        (None, CheckState.PASSED),
    ],
)
def test_an_old_file_holds(file: Path, at: str | None, state: CheckState) -> None:
    found = asked(file, sarif(at=at))
    assert found.state is state
    assert found.numbers["dated_by"] == ("the file" if at else "the time of its last change")


def test_a_file_about_another_artifact_says_nothing_good_or_bad(file: Path) -> None:
    for levels in ((), ("error",)):
        found = asked(file, sarif(*levels, digest=OTHERS))
        assert found.state is CheckState.UNKNOWN and "another artifact" in found.because


def test_a_file_about_this_artifact_counts(file: Path) -> None:
    [ours] = OURS
    found = asked(file, sarif(digest=ours), is_named=True)
    assert found.state is CheckState.PASSED and found.numbers["names_the_artifact"]


def test_a_file_that_must_name_the_artifact_and_does_not_holds(file: Path) -> None:
    assert asked(file, sarif(), is_named=True).state is CheckState.UNKNOWN


def test_a_digest_that_nobody_can_compare_holds(file: Path) -> None:
    found = asked(file, sarif(digest=OTHERS), ours=frozenset())
    assert found.state is CheckState.UNKNOWN and "ours is not known" in found.because
