"""CycloneDX 1.2 to 1.7 in JSON: which packages, under which licences, with which vulnerabilities.
Pure.

Field names are those of the specification (ECMA-424); what it does not require may be missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from controller.gates import severity
from controller.gates.finding import clipped
from controller.gates.package import MAX_PACKAGES, Package, PackageList
from controller.gates.severity import Severity

ECOSYSTEMS = {"pypi": "PyPI"}
"""The type of a package URL, and OSV's word for it."""
SETTLED = {"resolved", "resolved_with_pedigree", "false_positive", "not_affected"}
"""``analysis.state`` of a vulnerability that somebody has looked at and found no problem."""
DEEP = 32


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One entry of ``vulnerabilities`` that nobody has settled."""

    id: str
    severity: Severity | None
    affects: tuple[str, ...]


def is_cyclonedx(document: Any) -> bool:
    return isinstance(document, Mapping) and document.get("bomFormat") == "CycloneDX"


def packages(document: Mapping[str, Any]) -> PackageList:
    """Return the components, those inside others too; ValueError when it is no list of them."""
    found: list[Package] = []
    faults: list[str] = []
    for component in _components(document):
        if len(found) >= MAX_PACKAGES:
            faults.append(f"more than {MAX_PACKAGES} components")
            break
        if component.get("type") in ("file", "operating-system", "device", "data"):
            continue
        name, version = component.get("name"), component.get("version")
        if not isinstance(name, str) or not name:
            faults.append("a component without a name")
            continue
        if not isinstance(version, str) or not version:
            faults.append(f"{clipped(name, 80)} has no version")
            continue
        found.append(_package(component, name, version))
    return PackageList(tuple(found), tuple(faults))


def vulnerabilities(document: Mapping[str, Any]) -> list[Vulnerability]:
    """Return what the document says is wrong; ValueError when it is not of the form."""
    listed = document.get("vulnerabilities", [])
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ValueError("vulnerabilities is not a list of objects")
    return [_vulnerability(one) for one in listed if not _is_settled(one)]


def digests(document: Mapping[str, Any]) -> set[str]:
    """Return the SHA-256 digests (hexadecimal) of what the document is about."""
    about = _mapping(document.get("metadata")).get("component")
    return {
        hashed["content"].lower()
        for component in (*_tree(about, 0), *_components(document))
        for hashed in _mappings(component.get("hashes"))
        if hashed.get("alg") == "SHA-256" and isinstance(hashed.get("content"), str)
        and (component is about or component.get("type") in ("file", "machine-learning-model"))
    }  # fmt: skip


def written_at(document: Mapping[str, Any]) -> str | None:
    """Return ``metadata.timestamp``."""
    stamp = _mapping(document.get("metadata")).get("timestamp")
    return stamp if isinstance(stamp, str) else None


def _components(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    listed = document.get("components", [])
    if not isinstance(listed, list):
        raise ValueError("components is not a list")
    for component in listed:
        yield from _tree(component, 0)


def _tree(component: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > DEEP:
        raise ValueError("components too deep inside each other")
    if not isinstance(component, Mapping):
        return
    yield component
    for inner in _mappings(component.get("components")):
        yield from _tree(inner, depth + 1)


def _package(component: Mapping[str, Any], name: str, version: str) -> Package:
    purl = component.get("purl")
    ecosystem = ""
    if isinstance(purl, str) and purl.startswith("pkg:"):
        kind, _, rest = purl.removeprefix("pkg:").strip("/").partition("/")
        ecosystem = ECOSYSTEMS.get(kind.lower(), kind.lower())
        if ecosystem == "PyPI":  # the URL says which package it is; the name may be decorated
            bare = rest.partition("?")[0].partition("#")[0]
            name, version = unquote(bare.partition("@")[0]), unquote(bare.partition("@")[2])
    return Package(name, version or str(component.get("version")), ecosystem, _licences(component))


def _licences(component: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for choice in _mappings(component.get("licenses")):
        inner = _mapping(choice.get("license"))
        for text in (choice.get("expression"), inner.get("id"), inner.get("name")):
            if isinstance(text, str) and text:
                found.append(text)
                break
    return tuple(found)


def _vulnerability(entry: Mapping[str, Any]) -> Vulnerability:
    ratings = _mappings(entry.get("ratings"))
    worst = severity.worst(
        said
        for rating in ratings
        for said in (
            severity.of_word(rating.get("severity")),
            severity.of_vector(rating.get("vector")),
            _scored(rating.get("score")),
        )
    )
    affects = tuple(
        clipped(one["ref"], 120)
        for one in _mappings(entry.get("affects"))
        if isinstance(one.get("ref"), str)
    )
    return Vulnerability(clipped(str(entry.get("id", "without an id")), 80), worst, affects)


def _scored(score: Any) -> Severity | None:
    return severity.of_score(float(score)) if isinstance(score, int | float) else None


def _is_settled(entry: Mapping[str, Any]) -> bool:
    return _mapping(entry.get("analysis")).get("state") in SETTLED


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
