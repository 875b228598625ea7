"""From the keys of ``security:`` to what the gate works with. Pure."""

import os.path
from pathlib import Path

from controller.gates.goldenspec import GoldenSpec
from controller.gates.securityspec import (
    DependencySpec,
    FairnessSpec,
    LicenceSpec,
    ResultSpec,
    ScanSpec,
    SecuritySpec,
)
from sidecar.model.security import Dependencies, Fairness, Licences, Result, Scan, Security


def security_of(section: Security, folder: Path, protocol: str) -> SecuritySpec:
    """Return the spec of a section that passed every check; files are relative to ``folder``.

    ``protocol`` is the route's: it says how a row of a golden set becomes a request.
    """
    scan, licences, fairness = section.scan, section.licences, section.fairness
    dependencies = section.dependencies
    return SecuritySpec(
        artifact=None if section.artifact is None else _absolute(folder, section.artifact),
        scan=None if scan is None else _scan(scan),
        dependencies=None if dependencies is None else _dependencies(dependencies, folder),
        licences=None if licences is None else _licences(licences, dependencies, folder),
        fairness=None if fairness is None else _fairness(fairness, folder, protocol),
        results=tuple(_result(one, folder) for one in section.results),
    )


def _scan(section: Scan) -> ScanSpec:
    return ScanSpec(
        allow=tuple(section.allow),
        fail_on=section.fail_on,
        time_s=section.time,
        memory_bytes=section.memory,
        unpacked_bytes=section.size,
    )


def _dependencies(section: Dependencies, folder: Path) -> DependencySpec:
    return DependencySpec(
        file=_absolute(folder, section.file),
        database=_absolute(folder, section.database),
        max_age_s=section.max_age,
        fail_on=section.fail_on,
        ignore=tuple(section.ignore),
        others=section.others,
    )


def _licences(section: Licences, dependencies: Dependencies | None, folder: Path) -> LicenceSpec:
    file = section.file
    if file is None:
        assert dependencies is not None  # securitycheck refuses licences of nothing
        file = dependencies.file
    return LicenceSpec(
        allow=tuple(section.allow),
        file=_absolute(folder, file),
        installed=None if section.installed is None else _absolute(folder, section.installed),
        ignore=tuple(section.ignore),
    )


def _fairness(section: Fairness, folder: Path, protocol: str) -> FairnessSpec:
    golden = section.golden
    return FairnessSpec(
        by=tuple(section.by),
        metric=section.metric,
        at_most=section.at_most,
        worse_by=section.worse_by,
        positive=section.positive,
        at_least=section.at_least,
        judge_by=section.judge_by,
        alpha=section.alpha,
        golden=None
        if golden is None
        else GoldenSpec(_absolute(folder, golden), protocol=protocol, by=tuple(section.by)),
    )


def _result(section: Result, folder: Path) -> ResultSpec:
    return ResultSpec(
        file=_absolute(folder, section.file),
        fail_on=section.fail_on,
        max_age_s=section.max_age,
        is_named=section.named,
    )


def _absolute(folder: Path, named: str) -> str:
    return os.path.abspath(folder / named)
