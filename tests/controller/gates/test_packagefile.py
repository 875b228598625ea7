import hashlib
import json
from pathlib import Path

import pytest

from controller.gates.foreignfile import ForeignFileError
from controller.gates.package import Package
from controller.gates.packagefile import read


def test_requirements_and_sboms_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    file = tmp_path / "any-name"
    file.write_text("numpy==2.1.0\n")
    found = read(file)
    assert (found.kind, found.listed.packages) == ("requirements", (Package("numpy", "2.1.0"),))
    assert found.sha256 == hashlib.sha256(b"numpy==2.1.0\n").hexdigest()
    component = {"type": "library", "name": "a", "version": "1", "purl": "pkg:pypi/a@1"}
    file.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [component]}))
    found = read(file)
    assert (found.kind, found.listed.packages) == ("cyclonedx", (Package("a", "1"),))


@pytest.mark.parametrize(
    "raw",
    [b'{"spdxVersion": "SPDX-2.3"}', b"[]", b"{", b"<bom/>", b"\xff\xfe",
     b'{"bomFormat": "CycloneDX", "components": 3}'],
)  # fmt: skip
def test_other_files_are_errors(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(ForeignFileError):
        read(tmp_path / "a")
