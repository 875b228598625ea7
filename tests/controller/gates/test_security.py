"""The whole gate, each part in its own process, on files that are really there."""

import json
import os
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from controller.artifact import manifest_of
from controller.gates import confined, runner
from controller.gates.fairness import GoldenRows
from controller.gates.goldenspec import GoldenSpec, PerformanceSpec
from controller.gates.scanmemory import ScanMemory
from controller.gates.security import SecurityTask, run, task_of
from controller.gates.securityspec import (
    DependencySpec,
    FairnessSpec,
    LicenceSpec,
    ResultSpec,
    ScanSpec,
    SecuritySpec,
)
from controller.gates.task import GateTask
from controller.lineage import Artifact, ModelVersion
from controller.policy import StageKind, StageSpec
from tests.controller.builders import variant
from tests.controller.gates.test_task import TASK

DAY_AGO = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 86_400))


class Leaves:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with everything that a company would keep beside it."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "model").mkdir()
    rows, labels = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, labels), folder / "model" / "m.joblib")
    component = {
        "type": "library", "name": "numpy", "version": "2.1.0",
        "purl": "pkg:pypi/numpy@2.1.0", "licenses": [{"license": {"id": "BSD-3-Clause"}}],
    }  # fmt: skip
    (folder / "sbom.json").write_text(
        json.dumps({"bomFormat": "CycloneDX", "components": [component]})
    )
    (folder / "osv").mkdir()
    package = {"ecosystem": "PyPI", "name": "jinja2"}
    record = {"id": "PYSEC-1", "modified": DAY_AGO, "affected": [{"package": package}]}
    (folder / "osv" / "PYSEC-1.json").write_text(json.dumps(record))
    tool = {"driver": {"name": "scanner"}}
    invocations = [{"executionSuccessful": True, "endTimeUtc": DAY_AGO}]
    run = {"tool": tool, "results": [], "invocations": invocations}
    (folder / "scan.sarif").write_text(json.dumps({"version": "2.1.0", "runs": [run]}))
    return folder


def whole(world: Path) -> SecuritySpec:
    return SecuritySpec(
        artifact=str(world / "model"),
        scan=ScanSpec(allow=("sklearn.*", "joblib.numpy_pickle.NumpyArrayWrapper", "numpy.*")),
        dependencies=DependencySpec(str(world / "sbom.json"), str(world / "osv")),
        licences=LicenceSpec(("BSD-3-Clause",), str(world / "sbom.json")),
        fairness=FairnessSpec(("sex",), "demographic_parity_difference", at_most=0.1),
        results=(ResultSpec(str(world / "scan.sarif")),),
    )


async def fair_rows() -> GoldenRows:
    told = ("1", "0") * 5000
    return GoldenRows(told, told, None, {"sex": ("f", "f", "m", "m") * 2500})


def asked(spec: SecuritySpec) -> SecurityTask:
    return SecurityTask("digits-2", spec, artifact=spec.artifact, rows=fair_rows)


async def test_a_model_that_is_in_order_in_every_part_passes(world: Path) -> None:
    report = await run(asked(whole(world)))
    assert report.passed, report
    assert [check.name for check in report.checks] == [
        "scan", "dependencies", "licences", "result scan.sarif", "fairness by sex"
    ]  # fmt: skip
    json.dumps([dict(check.numbers) for check in report.checks])  # fit for the audit record


async def test_a_malicious_pickle_is_refused_and_not_run(world: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Leaves(mark)))
    spec = SecuritySpec(artifact=str(tmp_path / "model.pkl"), scan=ScanSpec(fail_on="dangerous"))
    report = await run(asked(spec))
    assert not report.passed and not report.is_transient
    assert "posix.system" in report.because
    assert not mark.exists()


async def test_files_that_passed_are_not_read_again_while_the_gate_waits(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SecuritySpec(scan=whole(world).scan)
    first = SecurityTask("fraud-7", spec, artifact=str(world / "model"))
    report = await run(first)
    assert report.passed
    monkeypatch.setattr(confined, "COMMAND", ("false",))  # a second scan would not be known
    assert await run(first) == report
    assert not (await run(replace(first, memory=ScanMemory()))).passed


async def test_what_cannot_be_decided_is_asked_again(world: Path) -> None:
    spec = SecuritySpec(results=(ResultSpec(str(world / "not-yet.sarif")),))
    report = await run(asked(spec))
    assert not report.passed and report.is_transient


async def test_a_scan_without_an_artifact_holds() -> None:
    report = await run(asked(SecuritySpec(scan=ScanSpec())))
    assert report.is_transient and "where the artifact is" in report.because


async def test_fairness_without_answers_holds(world: Path) -> None:
    spec = SecuritySpec(fairness=whole(world).fairness)
    report = await run(SecurityTask("digits-2", spec))
    assert report.is_transient and "no golden set" in report.because


async def test_a_gate_that_asks_nothing_is_not_passed() -> None:
    assert not (await run(asked(SecuritySpec()))).passed


async def test_a_stage_may_be_left_to_people_and_to_scanners_elsewhere() -> None:
    for approvals, passes in ((0, False), (2, True)):
        stage = StageSpec(kind=StageKind.SECURITY, approvals=approvals, security=SecuritySpec())
        assert (await runner.run(replace(TASK, stage=stage))).passed is passes


async def test_the_runner_finds_the_gate(world: Path) -> None:
    spec = SecuritySpec(artifact=str(world / "model"), results=whole(world).results)
    task = replace(TASK, stage=StageSpec(kind=StageKind.SECURITY, security=spec))
    assert (await runner.run(task)).passed


def registered(artifact: Artifact) -> ModelVersion:
    return ModelVersion(name="fraud", version="7", artifact=artifact)


def gate_of(spec: SecuritySpec, model: ModelVersion | None = None) -> GateTask:
    return replace(TASK, stage=StageSpec(kind=StageKind.SECURITY, security=spec), model=model)


async def test_digests_of_the_artifact_are_known_to_the_results(world: Path) -> None:
    spec = SecuritySpec(artifact=str(world / "model"), results=whole(world).results)
    task = await task_of(gate_of(spec), ScanMemory())
    assert len(task.digests) == 2  # the file, and the whole
    gone = replace(spec, artifact=str(world / "missing"))
    assert not (await task_of(gate_of(gone), ScanMemory())).digests


async def test_a_registered_versions_files_are_what_is_looked_at(world: Path) -> None:
    artifact = Artifact("ab" * 32, path=str(world / "model"), files=(("m.joblib", 3, "cd" * 32),))
    spec = SecuritySpec(artifact="/somewhere/else", scan=ScanSpec())
    task = await task_of(gate_of(spec, registered(artifact)), ScanMemory())
    assert task.artifact == str(world / "model") and not task.fault
    assert task.digests == {"ab" * 32, "cd" * 32}


async def test_files_beside_a_registered_uri_must_be_the_registered_ones(world: Path) -> None:
    spec = SecuritySpec(artifact=str(world / "model"), scan=ScanSpec())
    right = manifest_of(world / "model").digest
    model = registered(Artifact(right, uri="s3://models/fraud-7"))
    assert not (await task_of(gate_of(spec, model), ScanMemory())).fault
    wrong = registered(Artifact("ab" * 32, uri="s3://models/fraud-7"))
    report = await run(await task_of(gate_of(spec, wrong), ScanMemory()))
    assert not report.passed and "not those that were registered" in str(report.checks[0])


async def test_fairness_asks_the_golden_set_of_the_performance_stage(tmp_path: Path) -> None:
    """Nobody is there to answer, so every row is missed; but they were read."""
    rows = [{"request": {"x": n}, "label": 1, "sex": "fm"[n % 2]} for n in range(4)]
    golden = tmp_path / "golden.ndjson"
    golden.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = SecuritySpec(fairness=FairnessSpec(("sex",), "demographic_parity_difference", 0.1))
    performance = StageSpec(
        kind=StageKind.PERFORMANCE, performance=PerformanceSpec(GoldenSpec(str(golden)))
    )
    gone = variant("digits-2", 1)
    for stages, because in ((), "no golden set"), ((performance,), "4 rows have no answer"):
        route = replace(TASK.route, stages=stages)
        asked = replace(gate_of(spec), route=route, challenger=gone)
        report = await run(await task_of(asked, ScanMemory()))
        assert report.is_transient and because in report.because
