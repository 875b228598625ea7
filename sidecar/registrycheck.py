"""Checks what a routing file says of registered versions, and the keys that it trusts."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from controller.signature import SignatureFault, read_keys
from sidecar.model.registry import Registry, Reports
from sidecar.problem import Path, Problem
from sidecar.routecheck import part
from sidecar.routeintent import absolute
from sidecar.yamltree import Tree

EXPECTED_KEYS = "a PEM file of Ed25519 public keys (openssl pkey -in signing.pem -pubout)"
WORDS = ("version", "digest", "version_header", "digest_header")


def check_registry(tree: Tree, folder: FilePath) -> list[Problem]:
    """Return what is wrong with `registry:` and `reports:`; files are relative to ``folder``."""
    problems = list(_keys(tree, folder))
    routes = tree.get(("routes",))
    for index in range(len(routes) if isinstance(routes, list) else 0):
        problems += _reports(tree, ("routes", index))
    return problems


def _keys(tree: Tree, folder: FilePath) -> Iterator[Problem]:
    registry = part(tree, ("registry",), Registry)
    if registry is None or registry.keys is None:
        return
    try:
        read_keys(FilePath(absolute(folder, registry.keys)))
    except SignatureFault as error:
        yield tree.problem(("registry", "keys"), EXPECTED_KEYS, found=str(error))


def _reports(tree: Tree, route: Path) -> Iterator[Problem]:
    path = (*route, "reports")
    reports = part(tree, path, Reports)
    if reports is None:
        return
    if all(getattr(reports, word) is None for word in WORDS):
        yield tree.problem(path, f"at least one of {', '.join(f'`{word}`' for word in WORDS)}")
    if not any(tree.get((*one, "model")) for one in _variants(tree, route)):
        yield tree.problem(
            path,
            "a variant with `model: NAME:VERSION`: what it reports is compared with what was "
            "registered",
        )


def _variants(tree: Tree, route: Path) -> Iterator[Path]:
    yield (*route, "champion")
    challengers = tree.get((*route, "challengers"))
    for index in range(len(challengers) if isinstance(challengers, list) else 0):
        yield (*route, "challengers", index)
