import os
import time
from pathlib import Path

import pytest

from controller.gates import scanmemory
from controller.gates.finding import Finding
from controller.gates.scanmemory import ScanMemory, stamp_of
from controller.gates.securityspec import ScanSpec
from evaluator.evidence import CheckState

PASSED = Finding("scan", CheckState.PASSED, "clean")
UNKNOWN = Finding("scan", CheckState.UNKNOWN, "no time")
SPEC = ScanSpec()


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.pkl").write_bytes(b"abc")
    return tmp_path


def test_what_passed_is_remembered_under_the_same_spec(artifact: Path) -> None:
    memory, stamp = ScanMemory(), stamp_of(artifact)
    memory.keep("m", SPEC, stamp, PASSED)
    assert memory.recall("m", SPEC, stamp_of(artifact)) == PASSED
    assert memory.recall("m", ScanSpec(fail_on="dangerous"), stamp) is None
    assert memory.recall("other", SPEC, stamp) is None


def test_what_did_not_pass_is_not_remembered(artifact: Path) -> None:
    memory, stamp = ScanMemory(), stamp_of(artifact)
    memory.keep("m", SPEC, stamp, UNKNOWN)
    assert memory.recall("m", SPEC, stamp) is None


def test_a_file_that_changed_and_hides_it_is_another_artifact(artifact: Path) -> None:
    file = artifact / "deep" / "model.pkl"
    before, times = stamp_of(artifact), file.stat()
    deadline_s = time.monotonic() + 30
    while file.stat().st_ctime_ns == times.st_ctime_ns and time.monotonic() < deadline_s:
        file.write_bytes(b"xyz")  # of the same length; the kernel's clock ticks every few ms
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_mtime_ns == times.st_mtime_ns
    assert stamp_of(artifact) != before


def test_a_new_file_is_another_artifact(artifact: Path) -> None:
    before = stamp_of(artifact)
    (artifact / "deep" / "new").touch()
    assert stamp_of(artifact) != before


def test_what_cannot_be_listed_is_known_by_nothing(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stamp_of(artifact / "missing") is None
    monkeypatch.setattr(scanmemory, "MAX_ENTRIES", 1)
    assert stamp_of(artifact) is None
    memory = ScanMemory()
    memory.keep("m", SPEC, None, PASSED)
    assert memory.recall("m", SPEC, None) is None


def test_memory_is_bounded(artifact: Path) -> None:
    memory, stamp = ScanMemory(), stamp_of(artifact)
    for n in range(100):
        memory.keep(f"m{n}", SPEC, stamp, PASSED)
    assert memory.recall("m0", SPEC, stamp) is None
    assert memory.recall("m99", SPEC, stamp) == PASSED
