"""What other programs found: files in SARIF, CycloneDX or pip-audit's own JSON.

Runs in a process of its own (controller/gates/cell.py). A file counts while it is young, whole, and
about this artifact as far as it says what it is about; otherwise nothing is known, and the gate
holds.
"""

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.gates import cyclonedx, foreignfile, sarif
from controller.gates.finding import SHOWN, Finding, clipped, listed
from controller.gates.foreignfile import ForeignFileError, days
from controller.gates.securityspec import ResultSpec
from controller.gates.severity import Severity, is_over, of_word
from evaluator.evidence import CheckState


@dataclass(frozen=True, slots=True)
class Said:
    """What any such file comes to."""

    kind: str
    found: tuple[tuple[str, Severity | None], ...]
    """What in words, and how bad; None where the file does not say."""
    faults: tuple[str, ...]
    digests: frozenset[str]
    written_at: str | None


def check(spec: ResultSpec, artifact_digests: Set[str], now_s: float) -> Finding:
    """Return what a result file comes to at ``now_s`` (seconds since 1970).

    ``artifact_digests`` are the SHA-256 of the artifact's files, and of the whole.
    """
    path = Path(spec.file)
    name = f"result {clipped(path.name, 80)}"
    try:
        raw = foreignfile.read(path)
        said = read(foreignfile.as_json(raw, path.name), path.name)
    except ForeignFileError as exc:
        return Finding(name, CheckState.UNKNOWN, clipped(str(exc)))
    stamp = said.written_at
    dated_by = "the file"
    if stamp is None:
        stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        dated_by = "the time of its last change"
    limit = of_word(spec.fail_on) or Severity.LOW
    bad = [what for what, level in said.found if is_over(level, limit)]
    doubts = [
        *said.faults,
        *_age_doubts(spec, stamp, now_s),
        *_doubts(spec, said, artifact_digests),
    ]
    unrated = [what for what, level in said.found if is_over(level, limit) is None]
    if unrated:
        doubts.append(f"it does not say how bad these are: {listed(unrated)}")
    numbers = {
        "kind": said.kind,
        "sha256": foreignfile.sha256(raw),
        "written_at": clipped(stamp, 40),
        "dated_by": dated_by,
        "names_the_artifact": bool(said.digests & artifact_digests),
        "fail_on": spec.fail_on,
        "findings": dict(sorted(Counter(_word(level) for _, level in said.found).items())),
        "over_the_limit": len(bad),
        "shown": bad[:SHOWN],
        "open": [clipped(one) for one in doubts[:SHOWN]],
    }
    # A file about something else says nothing about us, good or bad.
    if bad and not _is_foreign(said, artifact_digests):
        return Finding(name, CheckState.TRIPPED, listed(bad), numbers)
    if doubts:
        return Finding(name, CheckState.UNKNOWN, listed(doubts), numbers)
    because = f"{said.kind}: {len(said.found)} findings, none of {spec.fail_on} or above"
    return Finding(name, CheckState.PASSED, because, numbers)


def read(document: Any, name: str) -> Said:
    """Return what a document says, whichever of the three forms it has."""
    try:
        if sarif.is_sarif(document):
            return _of_sarif(sarif.parse(document))
        if cyclonedx.is_cyclonedx(document):
            return _of_cyclonedx(document)
        if _is_pip_audit(document):
            return _of_pip_audit(document)
    except ValueError as exc:
        raise ForeignFileError(f"{name}: {exc}") from exc
    raise ForeignFileError(f"{name} is neither SARIF nor CycloneDX nor of pip-audit")


def _of_sarif(log: sarif.Log) -> Said:
    found = tuple(
        (f"{one.tool}: {one.rule}{' in ' + one.where if one.where else ''}", one.severity)
        for one in log.results
    )
    return Said("SARIF", found, log.faults, log.digests, log.written_at)


def _of_cyclonedx(document: Mapping[str, Any]) -> Said:
    found = tuple(
        (f"{one.id} in {listed(one.affects) or 'something'}", one.severity)
        for one in cyclonedx.vulnerabilities(document)
    )
    # A plain SBOM looks the same but for this list: whoever wrote it did not look.
    faults = () if "vulnerabilities" in document else ("it has no list of vulnerabilities",)
    digests = frozenset(cyclonedx.digests(document))
    return Said("CycloneDX", found, faults, digests, cyclonedx.written_at(document))


def _is_pip_audit(document: Any) -> bool:
    return isinstance(document, Mapping) and isinstance(document.get("dependencies"), list)


def _of_pip_audit(document: Mapping[str, Any]) -> Said:
    found: list[tuple[str, Severity | None]] = []
    faults: list[str] = []
    for one in document["dependencies"]:
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            raise ValueError("a dependency without a name")
        if "skip_reason" in one:
            faults.append(f"{clipped(one['name'], 80)} was not audited")
        for vulnerability in one.get("vulns") or ():
            text = f"{vulnerability.get('id')} in {one['name']} {one.get('version')}"
            found.append((clipped(text, 160), None))
    return Said("pip-audit", tuple(found), tuple(faults), frozenset(), None)


def _age_doubts(spec: ResultSpec, stamp: str, now_s: float) -> list[str]:
    try:
        age_s = foreignfile.age_s(stamp, now_s)
    except ValueError as exc:
        return [f"it has no age: {clipped(str(exc), 80)}"]
    if age_s <= spec.max_age_s:
        return []
    return [f"it is {days(age_s)} old, more than {days(spec.max_age_s)}"]


def _doubts(spec: ResultSpec, said: Said, ours: Set[str]) -> list[str]:
    if _is_foreign(said, ours):
        return ["it is about another artifact: none of its digests is ours"]
    if said.digests and not ours:
        return ["it is about an artifact with a digest, and ours is not known"]
    if spec.is_named and not said.digests:
        return ["it does not say which artifact it is about"]
    return []


def _is_foreign(said: Said, ours: Set[str]) -> bool:
    return bool(said.digests and ours) and not said.digests & ours


def _word(level: Severity | None) -> str:
    return "unknown" if level is None else level.name.lower()
