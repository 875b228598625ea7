"""Are the licences of all dependencies on the list? From an SBOM, or from installed metadata.

Runs in a process of its own (controller/gates/cell.py); metadata are files that are read, the
packages are not imported. A package whose licence nobody says is not known, and the gate holds.
"""

import importlib.metadata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from controller.gates import packagefile
from controller.gates.finding import SHOWN, Finding, clipped, listed
from controller.gates.foreignfile import ForeignFileError
from controller.gates.licence import CLASSIFIERS, normalised, permits
from controller.gates.package import Package, canonical
from controller.gates.securityspec import LicenceSpec
from evaluator.evidence import CheckState

NAME = "licences"
NAME_CHARS = 200
"""A longer ``License`` field is the licence's text, not its name."""


def check(spec: LicenceSpec) -> Finding:
    """Return whether every package of the declared file may be used."""
    try:
        source = packagefile.read(Path(spec.file))
        allowed = {normalised(one) for one in spec.allow}
    except ForeignFileError as exc:
        return Finding(NAME, CheckState.UNKNOWN, clipped(str(exc)))
    except ValueError as exc:
        return Finding(NAME, CheckState.UNKNOWN, clipped(f"allow: {exc}"))
    ignored = {canonical(one) for one in spec.ignore}
    installed = _installed(spec.installed)
    forbidden: list[str] = []
    doubts = list(source.listed.faults)
    kinds: Counter[str] = Counter()
    for package in source.listed.packages:
        if canonical(package.name) in ignored:
            kinds["ignored"] += 1
            continue
        shown = f"{clipped(package.name, 80)} {clipped(package.version, 40)}"
        try:
            expressions = _expressions(package, installed)
        except ValueError as exc:
            doubts.append(f"{shown}: {clipped(str(exc), 120)}")
            continue
        kinds.update(expressions)
        refused = [one for one in expressions if not permits(one, allowed)]
        if refused:
            forbidden.append(f"{shown}: {clipped(' AND '.join(refused), 120)}")
    if not source.listed.packages:
        doubts.append("the file lists no package")
    numbers = {
        "file": source.kind,
        "file_sha256": source.sha256,
        "packages": len(source.listed.packages),
        "allow": sorted(allowed),
        "licences": {clipped(kind, 80): n for kind, n in sorted(kinds.items())[: 5 * SHOWN]},
        "forbidden": len(forbidden),
        "unknown": len(doubts),
        "shown": forbidden[:SHOWN],
        "open": [clipped(one) for one in doubts[:SHOWN]],
    }
    if forbidden:
        return Finding(NAME, CheckState.TRIPPED, f"not allowed: {listed(forbidden)}", numbers)
    if doubts:
        return Finding(NAME, CheckState.UNKNOWN, f"not known: {listed(doubts)}", numbers)
    because = f"{len(source.listed.packages)} packages, all under licences on the list"
    return Finding(NAME, CheckState.PASSED, because, numbers)


def _installed(folder: str | None) -> Mapping[tuple[str, str], Package]:
    """Return the packages that a ``site-packages`` folder has metadata of."""
    found: dict[tuple[str, str], Package] = {}
    for one in importlib.metadata.distributions(path=[folder]) if folder else ():
        name, version = one.metadata["Name"], one.metadata["Version"]
        if name and version:
            found[(canonical(name), version)] = Package(name, version, licences=_declared(one))
    return found


def _declared(one: importlib.metadata.Distribution) -> tuple[str, ...]:
    """Return what a distribution's metadata say: the expression (PEP 639), the classifiers, or the
    old free field."""
    fields = one.metadata
    for expression in fields.get_all("License-Expression") or []:
        return (str(expression),)
    classified = [
        text for text in fields.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    exact = tuple(CLASSIFIERS[text] for text in classified if text in CLASSIFIERS)
    if exact and len(exact) == len(classified):
        # More than one classifier: the metadata do not say whether they are a choice.
        return exact
    old = next(iter(fields.get_all("License") or []), "")
    return (old,) if 0 < len(old) <= NAME_CHARS and "\n" not in old else tuple(classified)


def _expressions(package: Package, installed: Mapping[tuple[str, str], Package]) -> list[str]:
    """Return the licences that all apply; ValueError when nobody says so clearly."""
    licences = package.licences
    if not licences:
        known = installed.get((canonical(package.name), package.version))
        licences = known.licences if known is not None else ()
    if not licences:
        raise ValueError("no licence is stated")
    return [normalised(one) for one in licences]
