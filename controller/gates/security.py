"""May this model be served at all? Its files, its dependencies, their licences, how it treats
groups, and what other programs have found; each part in a process of its own, one after the other.

A part that shows harm refuses the challenger. One that cannot be decided (a scan that is not whole,
a database that is old, too few rows) holds, and is asked again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from controller.artifact import ArtifactError, manifest_of
from controller.gates.confined import Limits, ask
from controller.gates.fairness import GoldenRows
from controller.gates.finding import Finding, report_of
from controller.gates.goldenanswer import RowsMissing, answered
from controller.gates.goldenspec import GoldenSpec
from controller.gates.report import GateReport
from controller.gates.scanmemory import ScanMemory, stamp_of
from controller.gates.securityspec import SecuritySpec
from controller.gates.task import GateTask
from controller.policy import StageSpec
from evaluator.evidence import CheckState

LIMITS = Limits(time_s=120.0, memory_bytes=3 << 30)
"""Of every part but the scan, which declares its own."""


async def _no_rows() -> GoldenRows:
    raise RowsMissing("no golden set was asked")


@dataclass(frozen=True, slots=True)
class SecurityTask:
    """What the gate is to look at."""

    challenger: str
    spec: SecuritySpec
    artifact: str | None = None
    """Where the model's files are; None when nobody says."""
    fault: str = ""
    """Why these files must not stand for the challenger; empty when they may."""
    digests: frozenset[str] = frozenset()
    """SHA-256 (hex) of the artifact's files and of the whole, as far as known."""
    rows: Callable[[], Awaitable[GoldenRows]] = _no_rows
    """Asks the models the golden set; RowsMissing when that does not work."""
    now_s: float = field(default_factory=time.time)
    """Seconds since 1970: what the ages of databases and results are counted from."""
    is_left_to_others: bool = False
    """Whether webhooks or people decide as well, so that no part of our own is needed."""
    memory: ScanMemory = field(default_factory=ScanMemory)
    """Of scans that passed before."""


async def task_of(task: GateTask, memory: ScanMemory) -> SecurityTask:
    """Return what the gate looks at for one rollout; reads the artifact's files for their digests
    where results of other programs are to be compared with them."""
    spec = task.stage.security or SecuritySpec()

    async def rows() -> GoldenRows:
        return await _rows(task, spec)

    registered = None if task.model is None else task.model.artifact
    artifact, fault = spec.artifact, ""
    digests: frozenset[str] = frozenset()
    if registered is not None and registered.path is not None:
        artifact = registered.path  # what is registered is proven elsewhere to be what is there
        digests = frozenset((registered.digest, *(sha256 for _, _, sha256 in registered.files)))
    elif artifact is not None and (spec.results or registered is not None):
        digests = await asyncio.to_thread(_digests, Path(artifact))
        if registered is not None and registered.digest not in digests:
            fault = f"the files at {artifact} are not those that were registered"
    return SecurityTask(
        task.challenger.name,
        spec,
        artifact=artifact,
        fault=fault,
        digests=digests,
        rows=rows,
        is_left_to_others=bool(task.stage.webhooks or task.stage.approvals),
        memory=memory,
    )


def _digests(artifact: Path) -> frozenset[str]:
    """Return the digests of a model's files and of the whole; none when it has none."""
    try:
        manifest = manifest_of(artifact)
    except ArtifactError:
        return frozenset()
    return frozenset((manifest.digest, *(file.sha256 for file in manifest.files)))


async def _rows(task: GateTask, spec: SecuritySpec) -> GoldenRows:
    fairness = spec.fairness
    if fairness is None:
        raise AssertionError("rows are asked for by fairness only")
    golden = fairness.golden or _golden_of(task.route.stages)
    if golden is None:
        raise RowsMissing("no golden set is declared")
    golden = replace(golden, by=fairness.by)
    variants = [task.challenger]
    if fairness.worse_by is not None:
        variants.append(task.champion)
    return await answered(golden, variants, task.route.match, task.route.prediction)


def _golden_of(stages: Sequence[StageSpec]) -> GoldenSpec | None:
    """Return the golden set of the performance stage."""
    return next((one.performance.golden for one in stages if one.performance is not None), None)


async def run(task: SecurityTask) -> GateReport:
    """Ask every declared part, and report; never raises for what the challenger brings along."""
    findings: list[Finding] = []
    if task.fault:
        findings.append(Finding("artifact", CheckState.UNKNOWN, task.fault))
    for part in (_scan, _dependencies, _licences, _results, _fairness):
        findings += await part(task)
    if not findings and task.is_left_to_others:
        because = "no part of its own: webhooks and approvals decide"
        return GateReport(task.challenger, True, because)
    return report_of(task.challenger, findings)


async def _scan(task: SecurityTask) -> list[Finding]:
    spec = task.spec.scan
    if spec is None:
        return []
    if task.artifact is None:
        return [Finding("scan", CheckState.UNKNOWN, "nobody says where the artifact is")]
    stamp = await asyncio.to_thread(stamp_of, Path(task.artifact))
    known = task.memory.recall(task.artifact, spec, stamp)
    if known is not None:
        return [known]
    asked = {"artifact": task.artifact, "spec": spec}
    findings = await ask("scan", asked, Limits(spec.time_s, spec.memory_bytes))
    for finding in findings:
        task.memory.keep(task.artifact, spec, stamp, finding)
    return findings


async def _dependencies(task: SecurityTask) -> list[Finding]:
    spec = task.spec.dependencies
    if spec is None:
        return []
    return await ask("dependencies", {"spec": spec, "now_s": task.now_s}, LIMITS)


async def _licences(task: SecurityTask) -> list[Finding]:
    spec = task.spec.licences
    return [] if spec is None else await ask("licences", {"spec": spec}, LIMITS)


async def _results(task: SecurityTask) -> list[Finding]:
    if not task.spec.results:
        return []
    asked = {
        "specs": task.spec.results,
        "digests": sorted(task.digests),
        "now_s": task.now_s,
    }
    return await ask("results", asked, LIMITS)


async def _fairness(task: SecurityTask) -> list[Finding]:
    spec = task.spec.fairness
    if spec is None:
        return []
    try:
        rows = await task.rows()
    except RowsMissing as exc:
        return [Finding("fairness", CheckState.UNKNOWN, str(exc))]
    return await ask("fairness", {"spec": spec, "rows": rows}, LIMITS)
