import json
from pathlib import Path
from typing import Any

import pytest

from controller.gates.finding import Finding
from controller.gates.licencecheck import check
from controller.gates.securityspec import LicenceSpec
from evaluator.evidence import CheckState

ALLOW = ("MIT", "BSD-3-Clause", "Apache-2.0")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


def install(site: Path, name: str, *fields: str) -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *fields]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


def asked(folder: Path, content: str, **keys: Any) -> Finding:
    file = folder / "dependencies"
    file.write_text(content)
    return check(LicenceSpec(ALLOW, str(file), **keys))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        (["License-Expression: MIT OR GPL-3.0-only"], CheckState.PASSED),
        (["License-Expression: GPL-3.0-only"], CheckState.TRIPPED),
        (["Classifier: License :: OSI Approved :: MIT License"], CheckState.PASSED),
        (
            ["Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"],
            CheckState.TRIPPED,
        ),
        (["Classifier: License :: OSI Approved :: BSD License"], CheckState.UNKNOWN),
        (
            ["Classifier: License :: OSI Approved :: BSD License", "License: BSD 3-Clause"],
            CheckState.PASSED,
        ),
        (["License: " + "x" * 300], CheckState.UNKNOWN),
        ([], CheckState.UNKNOWN),
        # Two classifiers may be a choice or not: both must be allowed.
        (
            [
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
            ],
            CheckState.TRIPPED,
        ),
    ],
)
def test_installed_metadata_say_the_licence(
    site: Path, tmp_path: Path, fields: list[str], state: CheckState
) -> None:
    install(site, "Some_Package", *fields)
    found = asked(tmp_path, "some-package==1.0\n", installed=str(site))
    assert found.state is state, found


def test_a_package_that_is_not_installed_in_that_version_is_not_known(
    site: Path, tmp_path: Path
) -> None:
    install(site, "a", "License-Expression: MIT")
    assert asked(tmp_path, "a==2.0\n", installed=str(site)).state is CheckState.UNKNOWN
    assert asked(tmp_path, "a==1.0\n").state is CheckState.UNKNOWN


def component(name: str, licence: str) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": "1", "licenses": [{"expression": licence}]}


def test_an_sbom_says_licences_by_itself(tmp_path: Path) -> None:
    good, bad = component("a", "MIT"), component("b", "AGPL-3.0-only")
    document = {"bomFormat": "CycloneDX", "components": [good, bad]}
    found = asked(tmp_path, json.dumps(document))
    assert found.state is CheckState.TRIPPED and found.because == "not allowed: b 1: AGPL-3.0-only"
    assert found.numbers["licences"] == {"AGPL-3.0-only": 1, "MIT": 1}
    assert asked(tmp_path, json.dumps(document), ignore=("B",)).state is CheckState.PASSED


def test_a_list_that_names_no_licence_of_spdx_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("a==1\n")
    found = check(LicenceSpec(("GPL-ish",), str(tmp_path / "r.txt")))
    assert found.state is CheckState.UNKNOWN and "allow" in found.because


def test_a_file_that_is_missing_or_lists_nothing_is_not_known(tmp_path: Path) -> None:
    assert check(LicenceSpec(ALLOW, str(tmp_path / "missing"))).state is CheckState.UNKNOWN
    assert asked(tmp_path, "").state is CheckState.UNKNOWN
