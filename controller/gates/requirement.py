"""Pinned requirements, as ``pip freeze`` and ``pip-compile`` write them. Pure.

Only what is pinned can be checked: a line that leaves the version, or the place, to the day of the
installation is a fault, and the gate holds.
"""

import re

from controller.gates.finding import clipped
from controller.gates.package import MAX_PACKAGES, Package, PackageList

HARMLESS = ("--hash", "-i ", "--index-url", "--extra-index-url", "--no-binary", "--only-binary",
            "--prefer-binary", "--require-hashes", "--trusted-host", "--find-links", "-f ",
            "--pre", "--use-feature", "--no-index")  # fmt: skip
"""Options that say where packages come from, not which."""


def parse(text: str) -> PackageList:
    """Return the pins of a requirements file. Markers are not looked at: a package that only some
    environments install is checked all the same."""
    packages: dict[tuple[str, str], Package] = {}
    faults: list[str] = []
    for line in _lines(text):
        if len(packages) >= MAX_PACKAGES:
            faults.append(f"more than {MAX_PACKAGES} requirements")
            break
        if line.startswith(HARMLESS):
            continue
        package = _pin(line)
        if package is None:
            faults.append(f"no pin: {clipped(line, 80)}")
        else:
            packages[(package.name, package.version)] = package
    return PackageList(tuple(packages.values()), tuple(faults))


def _lines(text: str) -> list[str]:
    joined = re.sub(r"\\\r?\n", " ", text)
    stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in stripped if line]


def _pin(line: str) -> Package | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(re.split(r"\s--", line, maxsplit=1)[0].strip())
    except InvalidRequirement:
        return None
    pins = [one for one in wanted.specifier if one.operator in ("==", "===")]
    if wanted.url or len(wanted.specifier) != 1 or len(pins) != 1 or pins[0].version.endswith("*"):
        return None
    return Package(wanted.name, pins[0].version)
