"""May this model be served at all? Its files, its dependencies, their licences, how it treats
groups, and what other programs have found; each part in a process of its own, one after the other.

A part that shows harm refuses the challenger. One that cannot be decided (a scan that is not whole,
a database that is old, too few rows) holds, and is asked again.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

from controller.gates.confined import Limits, ask
from controller.gates.fairness import GoldenRows
from controller.gates.finding import Finding, report_of
from controller.gates.report import GateReport
from controller.gates.securityspec import SecuritySpec
from evaluator.evidence import CheckState

LIMITS = Limits(time_s=120.0, memory_bytes=3 << 30)
"""Of every part but the scan, which declares its own."""


class RowsMissing(Exception):
    """The answers that fairness is judged by are not there; the message says why."""


async def _no_rows() -> GoldenRows:
    raise RowsMissing("no golden set was asked")


@dataclass(frozen=True, slots=True)
class SecurityTask:
    """What the gate is to look at."""

    challenger: str
    spec: SecuritySpec
    artifact: str | None = None
    """Where the model's files are; None when nobody says."""
    digests: frozenset[str] = frozenset()
    """SHA-256 (hex) of the artifact's files and of the whole, as far as known."""
    rows: Callable[[], Awaitable[GoldenRows]] = _no_rows
    """Asks the models the golden set; RowsMissing when that does not work."""
    now_s: float = field(default_factory=time.time)
    """Seconds since 1970: what the ages of databases and results are counted from."""


async def run(task: SecurityTask) -> GateReport:
    """Ask every declared part, and report; never raises for what the challenger brings along."""
    findings: list[Finding] = []
    for part in (_scan, _dependencies, _licences, _results, _fairness):
        findings += await part(task)
    return report_of(task.challenger, findings)


async def _scan(task: SecurityTask) -> list[Finding]:
    spec = task.spec.scan
    if spec is None:
        return []
    if task.artifact is None:
        return [Finding("scan", CheckState.UNKNOWN, "nobody says where the artifact is")]
    asked = {"artifact": task.artifact, "spec": asdict(spec)}
    return await ask("scan", asked, Limits(spec.time_s, spec.memory_bytes))


async def _dependencies(task: SecurityTask) -> list[Finding]:
    spec = task.spec.dependencies
    if spec is None:
        return []
    return await ask("dependencies", {"spec": asdict(spec), "now_s": task.now_s}, LIMITS)


async def _licences(task: SecurityTask) -> list[Finding]:
    spec = task.spec.licences
    return [] if spec is None else await ask("licences", {"spec": asdict(spec)}, LIMITS)


async def _results(task: SecurityTask) -> list[Finding]:
    if not task.spec.results:
        return []
    asked = {
        "specs": [asdict(one) for one in task.spec.results],
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
    return await ask("fairness", {"spec": asdict(spec), "rows": asdict(rows)}, LIMITS)
