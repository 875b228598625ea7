"""A dependency of a model: its name, version and licences, whichever file says so. Pure."""

import re
from dataclasses import dataclass

MAX_PACKAGES = 20_000
"""In one file. Chosen: the SBOM of a whole operating system has a few thousand."""


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned dependency."""

    name: str
    """As written; ``canonical`` compares names."""
    version: str
    ecosystem: str = "PyPI"
    """OSV's word; empty when the file does not say where it comes from."""
    licences: tuple[str, ...] = ()
    """SPDX expressions or names; all of them hold. Empty: the file says nothing."""


@dataclass(frozen=True, slots=True)
class PackageList:
    """What a file lists, and what in it could not be understood."""

    packages: tuple[Package, ...]
    faults: tuple[str, ...] = ()


def canonical(name: str) -> str:
    """Return a name as the index compares it (PyPA, name normalization)."""
    return re.sub(r"[-_.]+", "-", name).lower()
