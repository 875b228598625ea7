"""Records of known vulnerabilities in the OSV format (schema 1.x), for packages of PyPI. Pure.

Versions compare as PEP 440 has it; a local label (1.2+cu118) is the public version with a patch of
somebody's own, and as vulnerable as that.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from controller.gates import severity
from controller.gates.package import Package, canonical
from controller.gates.severity import Severity

ECOSYSTEM = "PyPI"


class Score(msgspec.Struct):
    type: str = ""
    score: str = ""


class Named(msgspec.Struct):
    ecosystem: str = ""
    name: str = ""


class Range(msgspec.Struct):
    type: str = ""
    events: list[dict[str, str]] = []


class Affected(msgspec.Struct):
    package: Named | None = None
    ranges: list[Range] | None = None
    versions: list[str] | None = None
    severity: list[Score] | None = None


class Record(msgspec.Struct):
    """One vulnerability; only what is needed of it."""

    id: str
    modified: str
    aliases: list[str] | None = None
    affected: list[Affected] | None = None
    severity: list[Score] | None = None
    withdrawn: str | None = None
    database_specific: Any = None


@dataclass(frozen=True, slots=True)
class Match:
    """A vulnerability that a package has."""

    package: Package
    ids: frozenset[str]
    """Its id and its aliases."""
    severity: Severity | None
    fixed: tuple[str, ...]
    """Versions that no longer have it."""


def names(record: Record) -> set[str]:
    """Return the packages of PyPI that a record is about, by their canonical names."""
    return {
        canonical(one.package.name)
        for one in record.affected or ()
        if one.package is not None and one.package.ecosystem == ECOSYSTEM
    }


def match(record: Record, package: Package) -> Match | None:
    """Return the vulnerability if ``package`` has it; ValueError when that cannot be told: a
    version that PEP 440 does not know."""
    if record.withdrawn is not None or package.ecosystem != ECOSYSTEM:
        return None
    for one in record.affected or ():
        if one.package is None or one.package.ecosystem != ECOSYSTEM:
            continue
        if canonical(one.package.name) != canonical(package.name) or not _has(one, package.version):
            continue
        scores = [*(record.severity or ()), *(one.severity or ())]
        ids = frozenset((record.id, *(record.aliases or ())))
        return Match(package, ids, _severity(record, scores), _fixed(one))
    return None


def merged(matches: list[Match]) -> list[Match]:
    """Return one match for each vulnerability of each package: databases tell it more than once,
    and often only one of them says how bad it is."""
    groups: list[Match] = []
    for one in matches:
        same = [g for g in groups if g.package == one.package and g.ids & one.ids]
        for group in same:
            groups.remove(group)
            one = Match(
                one.package,
                one.ids | group.ids,
                severity.worst((one.severity, group.severity)),
                tuple(sorted({*one.fixed, *group.fixed})),
            )
        groups.append(one)
    return groups


def _has(affected: Affected, text: str) -> bool:
    from packaging.version import InvalidVersion, Version

    if text in (affected.versions or ()):
        return True
    try:
        version = Version(Version(text).public)
    except InvalidVersion as exc:
        raise ValueError(f"{text} is no version of PEP 440") from exc
    for listed in affected.versions or ():
        try:
            if Version(listed) == version:
                return True
        except InvalidVersion:  # an old upload: it is not ours, which is valid
            continue
    ranges = [one for one in affected.ranges or () if one.type in ("ECOSYSTEM", "SEMVER")]
    return any(_within(one, version) for one in ranges)


def _within(span: Range, version: Any) -> bool:
    """Evaluate a range's events in the order of their versions (OSV schema, Evaluation)."""
    from packaging.version import InvalidVersion, Version

    order = {"fixed": 0, "introduced": 1, "last_affected": 2}
    events: list[tuple[Any, int, str]] = []
    for event in span.events:
        for kind, text in event.items():
            if kind not in order:
                continue
            try:
                # "0" is before every version, also before 0.dev0.
                at = Version("0.dev0") if text == "0" else Version(text)
            except InvalidVersion as exc:
                raise ValueError(f"an event at {text!r}, no version of PEP 440") from exc
            events.append((at, order[kind], kind))
    is_in = False
    for at, _, kind in sorted(events):
        if kind == "introduced" and version >= at:
            is_in = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            is_in = False
    return is_in


def _severity(record: Record, scores: list[Score]) -> Severity | None:
    if record.id.startswith("MAL-"):  # the package itself is the attack
        return Severity.CRITICAL
    word = None
    if isinstance(record.database_specific, dict):
        word = severity.of_word(record.database_specific.get("severity"))
    return severity.worst([word, *(severity.of_vector(one.score) for one in scores)])


def _fixed(affected: Affected) -> tuple[str, ...]:
    return tuple(
        event["fixed"]
        for span in affected.ranges or ()
        if span.type == "ECOSYSTEM"
        for event in span.events
        if "fixed" in event
    )
